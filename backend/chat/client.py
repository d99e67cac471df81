"""One answer from a running model server, streamed: text as it comes, then the figures.

Asynchronous, so that a stop takes effect at once, also while the server still reads a long prompt: cancelling the task
closes the connection, and the server ends its work. Nothing is retried here: whoever asked decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.chat.history import estimate_tokens, tokens_of
from backend.chat.params import ChatParams
from backend.chat.sent import RENDERS, Sent
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.servers import Server

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

CONNECT_S = 5.0
FIRST_TOKEN_S = 600.0
"""A long prompt on a CPU takes minutes before the first token."""
RENDER_S = 5.0
STALL_S = 120.0
"""Silence in the middle of an answer after which the server is taken for stuck."""
_TOO_LONG = ("context_length_exceeded", "maximum context length", "context length", "longer than the maximum")


@dataclass(frozen=True)
class Finished:
    """The end of an answer. ``counted``: the server reported the tokens; else they are estimates.

    ttft_s: seconds from sending to the first text. tokens_s: tokens per second from then on; None below two tokens.
    """

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    counted: bool
    ttft_s: float | None
    tokens_s: float | None


async def stream_chat(
    server: Server,
    messages: Sequence[dict[str, Any]],
    params: ChatParams,
    *,
    max_tokens: int | None = None,
    sent: Sent | None = None,
    more: Mapping[str, Any] | None = None,
    first_token_s: float = FIRST_TOKEN_S,
    stall_s: float = STALL_S,
) -> AsyncGenerator[str | Finished, None]:
    """Yield pieces of text, then one :class:`Finished`. Close the iterator (or cancel the task) to stop the server.

    ``sent`` is filled with what goes out and comes back. ``more``: other parameters of the request, such as ``tools``.

    Raises:
        ServerError: ``server_gone`` (nobody listens), ``server_died`` (in the middle of the answer), ``server_silent``,
            ``server_failed``, ``server_busy``, ``server_key``, ``request_refused``, ``context_length_exceeded``.
    """
    from openai import OpenAIError

    meter, request = _Meter(messages), {**_request(server, messages, params, max_tokens), **(more or {})}
    sent = sent or Sent()
    sent.begin(server, request)
    try:
        async with _client(server) as client:
            async with asyncio.timeout(first_token_s):
                stream = await client.chat.completions.create(**request)
            # Only now: the server has read the prompt already, so the first token does not wait for this.
            rendering = asyncio.create_task(_render(client, server, request, sent))
            chunks = aiter(stream)
            try:
                while True:
                    # Around the wait only: a limit that spanned a ``yield`` would cancel whoever reads us.
                    async with asyncio.timeout(first_token_s if meter.first is None else stall_s):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    sent.read(chunk)
                    text = meter.read(chunk)
                    if text:
                        yield text
                await rendering
            finally:
                rendering.cancel()
                await stream.close()
    except TimeoutError as error:
        raise _silent(server, first_token_s if meter.first is None else stall_s) from error
    except (OpenAIError, ValueError) as error:  # ValueError: bytes that are no JSON or no UTF-8
        sent.failed(error)
        raise explain(error, server, begun=meter.first is not None) from error
    if not meter.finish_reason:
        sent.failed(EOFError("The stream ended before the server said that the answer was complete."))
        raise _died(server, begun=meter.first is not None)
    yield meter.finished()


async def _render(client: AsyncOpenAI, server: Server, request: dict[str, Any], sent: Sent) -> None:
    """Ask how the model's template makes one text of the request. Never in the way of the answer."""
    from openai import OpenAIError

    if server.engine not in RENDERS:
        return
    with contextlib.suppress(OpenAIError, TimeoutError, LookupError, TypeError, ValueError):
        async with asyncio.timeout(RENDER_S):
            sent.rendered(await client.post("/chat/render", body=request, cast_to=dict[str, Any]))


def explain(error: Exception, server: Server, *, begun: bool) -> PanelError:
    """What the person is told about a failed request; ``begun``: some of the answer had come."""
    import openai

    model = server.model
    if isinstance(error, openai.APITimeoutError):
        return _silent(server, CONNECT_S)
    if isinstance(error, openai.APIConnectionError):
        return _died(server, begun=True) if begun else _gone(server)
    said = _said(error)
    code = str(getattr(error, "code", "") or "")
    status = getattr(error, "status_code", None)
    if code == "context_length_exceeded" or (status in (400, 413, 422) and any(w in said.lower() for w in _TOO_LONG)):
        return ServerError(
            "context_length_exceeded",
            N_("This conversation is too long for '{model}'."),
            N_("Start a new conversation, or send a shorter message."),
            model=model,
            problem=said,
        )
    if status in (401, 403):
        return ServerError(
            "server_key",
            N_("The server of '{model}' does not accept its key any more."),
            N_("Stop it on the Jobs page and start it again."),
            model=model,
        )
    if status == 429:
        return ServerError(
            "server_busy",
            N_("The server of '{model}' has too much to do right now."),
            N_("Wait a moment and ask again."),
            model=model,
        )
    if status is not None and 400 <= status < 500:
        return ServerError(
            "request_refused",
            N_("The server of '{model}' refused the request: {problem}"),
            N_("Put the chat settings back to Balanced and ask again; the server's log on the Jobs page says more."),
            model=model,
            problem=said,
        )
    return ServerError(
        "server_failed",
        N_("The server of '{model}' reported an error: {problem}"),
        N_("Ask again. If it stays, the server's log on the Jobs page shows the cause."),
        model=model,
        problem=said,
    )


def _request(
    server: Server, messages: Sequence[dict[str, Any]], params: ChatParams, max_tokens: int | None
) -> dict[str, Any]:
    return {
        "model": server.model,
        "messages": list(messages),
        **{name: value for name, value in params.sampling().items() if value is not None},
        # Not max_completion_tokens: transformers serve ignores that name.
        "max_tokens": params.max_tokens if max_tokens is None else max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@asynccontextmanager
async def _client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    # The server is on loopback: a proxy from the environment must not be asked for it, and there is no TLS, so the
    # certificates (20 ms of each first token) are not loaded.
    timeout, no_tls = httpx2.Timeout(None, connect=CONNECT_S), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with DefaultAsyncHttpxClient(trust_env=False, timeout=timeout, verify=no_tls) as http:
        yield AsyncOpenAI(
            base_url=server.base_url, api_key=server.key or "none", max_retries=0, timeout=timeout, http_client=http
        )


class _Meter:
    """Reads chunks: the text in them, and when it came."""

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        self._sent = time.monotonic()
        self._messages = messages
        self._text: list[str] = []
        self._usage: Any = None
        self.first: float | None = None
        self.last = self._sent
        self.finish_reason = ""

    def read(self, chunk: ChatCompletionChunk) -> str:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        text = (choice.delta.content if choice.delta else None) or ""
        if text:
            self.last = time.monotonic()
            self.first = self.last if self.first is None else self.first
            self._text.append(text)
        return text

    def finished(self) -> Finished:
        if self._usage is not None:
            prompt, completion = self._usage.prompt_tokens, self._usage.completion_tokens
        else:
            prompt = sum(tokens_of(m["content"]) for m in self._messages)
            completion = estimate_tokens("".join(self._text))
        spent = self.last - self.first if self.first is not None else 0.0
        return Finished(
            finish_reason=self.finish_reason,
            prompt_tokens=prompt,
            completion_tokens=completion,
            counted=self._usage is not None,
            ttft_s=None if self.first is None else self.first - self._sent,
            # The first token came at the start of that time, so it does not count.
            tokens_s=(completion - 1) / spent if completion > 1 and spent > 0 else None,
        )


def _said(error: Exception) -> str:
    """What the server itself said, without the client's ``Error code: 400 - {...}`` around it."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, dict) else inner
        if text:
            return str(text)[:500]
    return (str(getattr(error, "message", "")) or str(error))[:500]


def _gone(server: Server) -> ServerError:
    return ServerError(
        "server_gone",
        N_("The server of '{model}' does not answer: it has stopped."),
        N_("Start it again; your message is kept."),
        model=server.model,
    )


def _died(server: Server, *, begun: bool) -> ServerError:
    if not begun:
        return ServerError(
            "server_died",
            N_("The server of '{model}' broke off before it answered."),
            N_("Ask again. If it stays, the server's log on the Jobs page shows the cause."),
            model=server.model,
        )
    return ServerError(
        "server_died",
        N_("The server of '{model}' stopped in the middle of the answer."),
        N_("What it said is kept. Start it again and ask once more."),
        model=server.model,
    )


def _silent(server: Server, seconds: float) -> ServerError:
    return ServerError(
        "server_silent",
        N_("The server of '{model}' has said nothing for {seconds} seconds."),
        N_("It may be stuck. Look at its log on the Jobs page; stop it there and start it again."),
        model=server.model,
        seconds=round(seconds),
    )
