"""Questions to one server, many at once over one HTTP client: the whole answer of each, or in words why there is none.

Answers are streamed, so that a server stops writing at once when nobody waits any more. A connection that breaks is no failure of the question: the
server is looked for, waited for, and asked again; a question that breaks it over and over fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
import orjson

from backend.errors import PanelError, ServerError
from backend.i18n import N_
from jobs.benching.answer import TOO_LONG
from jobs.evaluating import serving
from jobs.evaluating.serving import Reach
from jobs.evaluating.work import Served

CONNECT_S = 10.0
TRIES = 3
"""So often a question is asked at whose answer the connection broke."""
BUSY_TRIES, BUSY_S = 6, 0.5
"""A server with too much to do is asked again after a pause that doubles each time."""
MOST_BYTES = 16 << 20
_KEY_WANTED = (401, 403)
_BUSY = (429, 503)


@dataclass(frozen=True)
class Said:
    """One answer. text: all of it, what the model thought before in ``<think>``. cut: it was longer than allowed. tokens: as the server counted, None
    where it does not. seconds: from sending to the last byte."""

    text: str
    cut: bool
    tokens: int | None
    seconds: float


class Away(Exception):
    """Nobody listens, or the connection broke off."""


class Busy(Exception):
    """The server has too much to do."""


class Endpoint:
    """The server that ``reach`` finds; ``async with`` it. ``served``: as it was found last. log: told when it is away and back."""

    def __init__(self, reach: Reach, found: Served, timeout_s: float, log: Callable[[str], None]) -> None:
        self.served, self._reach, self._timeout_s, self._log = found, reach, timeout_s, log
        self._http: aiohttp.ClientSession | None = None
        self._door = asyncio.Lock()
        self._times_gone = 0

    async def __aenter__(self) -> Endpoint:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def ask(self, messages: Sequence[Mapping[str, Any]], most: int, temperature: float = 0.0) -> Said:
        """What it says to ``messages``, ``most`` tokens at the longest.

        Raises:
            PanelError: with a code in :data:`OF_ONE` this question failed; with any other the server is gone or of no use for all of them.
        """
        broken = busy = 0
        while True:
            gone = self._times_gone
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._once(messages, most, temperature)
            except TimeoutError:
                raise self._late() from None
            except Busy as error:
                busy += 1
                if busy == BUSY_TRIES:
                    raise self._failed(str(error)) from None
                await asyncio.sleep(BUSY_S * 2 ** (busy - 1))
            except Away as error:
                broken += 1
                await self._come_back(gone, str(error))
                if broken == TRIES:
                    raise self._broken(str(error)) from None

    async def _come_back(self, gone: int, problem: str) -> None:
        """Wait until the server lets somebody in; one waits for all."""
        async with self._door:
            if gone != self._times_gone:
                return
            self._log(f"{self.served.model} broke off ({problem}); looking for it")
            self.served = await serving.back(self._reach, self.served.model, self._timeout_s, problem)
            self._log(f"{self.served.model} is there: {self.served.base_url}")
            self._times_gone += 1

    async def _once(self, messages: Sequence[Mapping[str, Any]], most: int, temperature: float) -> Said:
        assert self._http is not None
        body: dict[str, Any] = {
            "model": self.served.model,
            "messages": messages,
            "max_tokens": most,
            "temperature": temperature,
            "stream": True,
        }
        if self.served.asks_usage:
            body["stream_options"] = {"include_usage": True}
        headers = {"Content-Type": "application/json"}
        if self.served.key:
            headers["Authorization"] = f"Bearer {self.served.key}"
        began = time.perf_counter()
        reply = Reply()
        url = f"{self.served.base_url}/chat/completions"
        try:
            async with self._http.post(url, data=orjson.dumps(body), headers=headers) as answer:
                reply.events = answer.content_type == "text/event-stream"
                async for piece in answer.content.iter_any():
                    reply.feed(piece)
                reply.end()
        except (aiohttp.ClientError, OSError) as error:
            raise Away(str(error) or type(error).__name__) from error
        self._check(answer.status, reply)
        return Said(reply.text(), reply.finish == "length", reply.tokens, time.perf_counter() - began)

    def _check(self, status: int, reply: Reply) -> None:
        """Raises what is wrong with a response that came."""
        problem = reply.problem() or f"HTTP {status}"
        if status in _KEY_WANTED:
            raise self._key()
        if status in _BUSY:
            raise Busy(problem)
        if status != 200 or reply.error:
            lower = f"{reply.error.get('code') or ''} {problem}".lower()
            if any(words in lower for words in TOO_LONG):
                raise self._long(problem)
            raise self._failed(problem)
        if not reply.finish and not reply.done:
            if reply.garbage:
                raise self._failed("It is not what the OpenAI API sends.")
            raise Away("the connection ended before the answer was complete")

    def _late(self) -> PanelError:
        return ServerError(
            "question_late",
            N_("'{model}' had not answered after {seconds:g} s."),
            N_("A longer time-out or fewer questions at once may help; then ask its subject again."),
            model=self.served.model,
            seconds=self._timeout_s,
        )

    def _long(self, problem: str) -> PanelError:
        return ServerError(
            "question_too_long",
            N_("The question is too long for the context of '{model}': {problem}"),
            N_("Show fewer solved examples, allow shorter answers, or serve the model with a longer context."),
            model=self.served.model,
            problem=problem,
        )

    def _failed(self, problem: str) -> PanelError:
        return ServerError(
            "question_failed",
            N_("The server of '{model}' did not answer this question: {problem}"),
            N_("Its log on the Jobs page says more. Ask the subject again when it is mended."),
            model=self.served.model,
            problem=problem,
        )

    def _broken(self, problem: str) -> PanelError:
        return ServerError(
            "question_broke_off",
            N_("The server of '{model}' broke off {count} times at this question: {problem}"),
            N_("Its log on the Jobs page shows why. Ask the subject again when it is mended."),
            model=self.served.model,
            count=TRIES,
            problem=problem,
        )

    def _key(self) -> PanelError:
        return ServerError(
            "bench_key_refused",
            N_("The server at {address} wants a key, or does not accept the one that it was given."),
            N_("Keep its key with: python -m backend bench key NAME, and name it in the settings."),
            address=self.served.base_url,
        )


OF_ONE = ("question_late", "question_too_long", "question_failed", "question_broke_off")
"""Codes of what is wrong with one question alone."""


class Reply:
    """Reads the body of one response, a stream of events or one object."""

    def __init__(self) -> None:
        self.events = self.done = self.garbage = False
        self.finish = ""
        self.tokens: int | None = None
        self.error: dict[str, Any] = {}
        self._said: list[str] = []
        self._thought: list[str] = []
        self._rest = b""
        self._size = 0

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MOST_BYTES:
            raise aiohttp.ClientPayloadError("the answer has no end")
        lines = (self._rest + piece).split(b"\n") if self.events else [self._rest + piece]
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())

    def end(self) -> None:
        """The body is complete."""
        if not self.events:
            self._read(self._rest)
        elif self._rest.startswith(b"data:"):
            self._event(self._rest[5:].strip())

    def text(self) -> str:
        said, thought = "".join(self._said), "".join(self._thought)
        # Some servers send the two apart. Without an end it never came to an answer.
        return f"<think>{thought}</think>{said}" if thought and said else f"<think>{thought}" if thought else said

    def problem(self) -> str:
        """What the server said was wrong, in one line."""
        text = str(self.error.get("message") or self.error or "")
        return " ".join(text.split())[:500]

    def _event(self, text: bytes) -> None:
        if text == b"[DONE]":
            self.done = True
        else:
            self._read(text)

    def _read(self, text: bytes) -> None:
        try:
            data = orjson.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            self.garbage = True
            return
        error = data.get("error") or data.get("detail") or (data if data.get("object") == "error" else None)
        if error:
            self.error = error if isinstance(error, dict) else {"message": str(error)}
        usage = data.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self.tokens = usage["completion_tokens"]
        for choice in data.get("choices") or ():
            if not isinstance(choice, dict):
                self.garbage = True
                continue
            part = choice.get("delta") or choice.get("message") or {}
            self._said.append(_text(part.get("content")))
            self._thought.append(_text(part.get("reasoning_content")) or _text(part.get("reasoning")))
            self.finish = str(choice.get("finish_reason") or self.finish)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
