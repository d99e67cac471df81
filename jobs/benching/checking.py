"""What a server knows, found out before it is measured: is it there, which models does it have, how does it answer."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.specs.bench import Load
from jobs.benching.answer import Answer
from jobs.benching.connection import Address, Connection

LOOK_S = 15.0
TRIAL = "Count from one to five. 从一数到五。"


@dataclass(frozen=True)
class Target:
    """A server with the OpenAI API. base_url: ends in ``/v1``. model: its name there; empty: the first that it lists. The
    key is never shown."""

    base_url: str
    model: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"Target({self.base_url!r}, {self.model!r})"


@dataclass(frozen=True)
class Dialect:
    """base_url, model: as they are asked for. usage: it tells the tokens of each answer. asks_usage, ignore_eos: it takes
    ``stream_options`` and ``ignore_eos``. streams: it sends an answer piece by piece. prompt_tokens: of TRIAL with the model's template;
    None: it did not say."""

    base_url: str
    model: str
    usage: bool = True
    asks_usage: bool = True
    ignore_eos: bool = True
    streams: bool = True
    prompt_tokens: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def body(self, messages: Any, max_tokens: int, *, ignore_eos: bool) -> bytes:
        """One request in JSON. Greedy, so that a second measurement has the same answers."""
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
        }
        if self.asks_usage:
            asked["stream_options"] = {"include_usage": True}
        if ignore_eos and self.ignore_eos:
            asked["ignore_eos"] = True
        return orjson.dumps(asked)


def check(target: Target, load: Load) -> Dialect:
    """Look at the server of ``target`` and ask it one short question.

    Raises:
        ServerError: ``bench_address_bad``, ``bench_server_away``, ``bench_key_refused``, ``bench_model_unknown``,
            ``bench_not_openai``, ``bench_refused``.
    """
    return asyncio.run(_check(target, load))


async def _check(target: Target, load: Load) -> Dialect:
    address = Address.of(target.base_url)
    status, answer = await _ask(address, address.request("GET", "/models", target.key), LOOK_S)
    if status == 404 and not address.path.endswith("/v1"):
        longer = Address(address.host, address.port, f"{address.path}/v1", address.tls)
        again, answer_again = await _ask(longer, longer.request("GET", "/models", target.key), LOOK_S)
        if again != 404:
            address, status, answer = longer, again, answer_again
    if status in (401, 403):
        raise _key(address)
    names = [str(one.get("id")) for one in answer.listed()] if status == 200 else []
    model = target.model or (names[0] if names else "")
    if not model:
        raise _not_openai(address)
    if names and model not in names:
        raise _unknown(address, model, names)
    return await _trial(Dialect(address.url(), model), address, target.key, load, names)


async def _trial(known: Dialect, address: Address, key: str, load: Load, names: list[str]) -> Dialect:
    """``known`` with what a short question shows. A server that refuses a field is asked without it."""
    said = ""
    tried: set[tuple[bool, bool]] = set()
    for usage, eos in ((True, True), (True, False), (False, True), (False, False)):
        way = Dialect(known.base_url, known.model, asks_usage=usage, ignore_eos=eos)
        kind = (usage, eos and load.ignore_eos)
        if kind in tried:
            continue
        tried.add(kind)
        body = way.body([{"role": "user", "content": TRIAL}], min(4, load.output_tokens), ignore_eos=load.ignore_eos)
        status, answer = await _ask(address, address.request("POST", "/chat/completions", key, body), load.timeout_s)
        if status in (401, 403):
            raise _key(address)
        code = str(answer.said.get("code") or answer.said.get("type") or "")
        if status == 404 and ("model" in code or "model" in answer.message().lower()):
            raise _unknown(address, known.model, names)
        if status == 404:
            raise _not_openai(address)
        if status == 200 and not answer.said:
            if answer.garbage or not (answer.finished or answer.pieces):
                raise _not_openai(address)
            return Dialect(
                known.base_url,
                known.model,
                usage=answer.completion_tokens is not None,
                asks_usage=usage,
                ignore_eos=eos,
                streams=answer.streamed,
                prompt_tokens=answer.prompt_tokens,
            )
        said = answer.message() or f"HTTP {status}"
        if status not in (400, 422):
            break
    raise ServerError(
        "bench_refused",
        N_("The server at {address} does not answer a short question: {problem}"),
        N_("Ask it in the Chat or with curl first. Its log shows the cause."),
        address=address.url(),
        problem=said,
    )


async def _ask(address: Address, request: bytes, timeout_s: float) -> tuple[int, Answer]:
    """(HTTP status, answer) of one request on a connection of its own."""
    try:
        connection = await Connection.open(address)
    except (OSError, TimeoutError) as error:
        raise ServerError(
            "bench_server_away",
            N_("No server answers at {address}: {problem}."),
            N_(
                "Check host and port, and whether the server is running. One on another machine needs an ssh port forward."
            ),
            address=address.url(),
            problem=str(error) or type(error).__name__,
        ) from error
    try:
        answer = await connection.ask(request, timeout_s)
    finally:
        connection.close()
    if connection.trouble == "timeout":
        raise ServerError(
            "bench_server_silent",
            N_("The server at {address} has said nothing for {seconds} seconds."),
            N_("It may be loading its model or be stuck: look at its log. A slow one needs a longer time-out."),
            address=address.url(),
            seconds=round(timeout_s),
        )
    if connection.trouble:
        raise _not_openai(address)
    return connection.response.status, answer


def _key(address: Address) -> PanelError:
    return ServerError(
        "bench_key_refused",
        N_("The server at {address} wants a key, or does not accept the one that it was given."),
        N_("Keep its key with: python -m backend bench key NAME, and name it in the settings."),
        address=address.url(),
    )


def _unknown(address: Address, model: str, names: list[str]) -> PanelError:
    return ServerError(
        "bench_model_unknown",
        N_("The server at {address} has no model '{model}'."),
        N_("It has: {known}."),
        address=address.url(),
        model=model,
        known=", ".join(names[:20]) or "-",
    )


def _not_openai(address: Address) -> PanelError:
    return ServerError(
        "bench_not_openai",
        N_("What answers at {address} is no server with the OpenAI API."),
        N_("Check the port and the path: the address usually ends in /v1."),
        address=address.url(),
    )
