"""The HTTP face of one model: routes, key, counters. Plain ASGI, so that nothing stands between a token and its client,
and a client that goes away ends the computation of its answer, streamed or not.

    GET  /health                 no key; 503 where the engine cannot compute any more
    GET  /status                 counters for the job that watches this process
    GET  /metrics                the same as Prometheus text
    GET  /v1/models[/NAME]
    POST /v1/chat/completions
    POST /v1/chat/render         the same request as the text and the tokens that the model would read; nothing is computed
    POST /v1/completions
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from jobs.serving import metrics
from jobs.serving.api_errors import ApiError, bad, bad_key, broken, unknown_model
from jobs.serving.generation import Answer, Generator
from jobs.serving.replies import DONE, Reply, event
from jobs.serving.requests import ChatRequest, CompletionRequest, parse_chat, parse_completion

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
MAX_BODY = 16 << 20


class App:
    """The ASGI application."""

    def __init__(self, generator: Generator, key: str) -> None:
        self._generator = generator
        self._plan = generator.plan
        self._key = key.encode()
        self._created = int(time.time())
        self._requests = self._errors = self._active = self._prompt_tokens = 0
        self._busy_s = 0.0
        self._changed = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await self._route(scope, receive, send)
        except ApiError as error:
            self._errors += error.status >= 500
            await _json(send, error.body(), error.status)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path == "/health":
            healthy = self._generator.healthy()
            await _json(send, {"status": "ok" if healthy else "failed"}, 200 if healthy else 503)
            return
        self._check_key(scope)
        if (method, path) == ("GET", "/status"):
            await _json(send, self.status())
        elif (method, path) == ("GET", "/metrics"):
            text = metrics.text(self.status(), together=self._plan.batching)
            await _whole(send, text.encode(), metrics.CONTENT_TYPE)
        elif (method, path) == ("GET", "/v1/models"):
            await _json(send, {"object": "list", "data": [self._model()]})
        elif method == "GET" and path.startswith("/v1/models/"):
            self._check_name(unquote(path.removeprefix("/v1/models/")))
            await _json(send, self._model())
        elif (method, path) == ("POST", "/v1/chat/completions"):
            await self._counted(self._chat, receive, send)
        elif (method, path) == ("POST", "/v1/chat/render"):
            await self._render(await _body(receive), send)
        elif (method, path) == ("POST", "/v1/completions"):
            await self._counted(self._complete, receive, send)
        else:
            raise ApiError(404, "unknown_url", f"Unknown request URL: {method} {path}.")

    def status(self) -> dict[str, float]:
        """Counters since the start. computing: answers not yet complete, those that nobody waits for any more included. busy_s: seconds with at least one answer in work; idle_s: since the last one."""
        now = time.monotonic()
        active = self._active > 0
        return {
            "requests": self._requests,
            "errors": self._errors,
            "active": self._active,
            "prompt_tokens": self._prompt_tokens,
            "computing": self._generator.computing,
            "tokens": self._generator.tokens,
            "busy_s": self._busy_s + (now - self._changed if active else 0.0),
            "idle_s": 0.0 if active else now - self._changed,
        }

    def _check_key(self, scope: Scope) -> None:
        given = next((v for k, v in scope["headers"] if k.lower() == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        if not hmac.compare_digest(key.strip(), self._key) or scheme.lower() != b"bearer":
            raise bad_key()

    def _check_name(self, name: str) -> None:
        # Clients of plain `transformers serve` add the revision.
        if name.removesuffix("@main") not in (self._plan.name, *self._plan.aliases):
            raise unknown_model(name, self._plan.name)

    def _model(self) -> dict[str, Any]:
        return {
            "id": self._plan.name,
            "object": "model",
            "created": self._created,
            "owned_by": "tunedeck",
            "max_model_len": self._plan.context_length,
        }

    async def _counted(self, answer: Callable[..., Awaitable[None]], receive: Receive, send: Send) -> None:
        self._requests += 1
        self._tick(+1)
        try:
            await answer(await _body(receive), receive, send)
        finally:
            self._tick(-1)

    def _tick(self, change: int) -> None:
        now = time.monotonic()
        if self._active:
            self._busy_s += now - self._changed
        self._changed = now
        self._active += change

    async def _render(self, body: Any, send: Send) -> None:
        await _json(send, await self._generator.prompts.rendered(self._chat_request(body)))

    def _chat_request(self, body: Any) -> ChatRequest:
        request = parse_chat(body)
        self._check_name(request.model)
        if not self._plan.chat:
            raise ApiError(400, "no_chat_template", f"'{self._plan.name}' has no chat template; use /v1/completions.")
        return request

    async def _chat(self, body: Any, receive: Receive, send: Send) -> None:
        request = self._chat_request(body)
        limit = request.limit()
        prompt = await self._generator.prompts.chat(request)
        tools = bool(request.offered_tools())
        answer = self._generator.start(prompt, request, limit, chat=True, tools=tools)
        await self._deliver(answer, request, receive, send)

    async def _complete(self, body: Any, receive: Receive, send: Send) -> None:
        request = parse_completion(body)
        self._check_name(request.model)
        limit = request.limit()
        prompt = await self._generator.prompts.text(request)
        echo = self._generator.prompts.decoded(prompt) if request.echo else ""
        if limit == 0:
            reply = self._reply(request, len(prompt.ids))
            await _json(send, reply.whole(0, True, echo))
            return
        answer = self._generator.start(prompt, request, limit, chat=False)
        await self._deliver(answer, request, receive, send, echo)

    def _reply(self, request: ChatRequest | CompletionRequest, prompt_tokens: int) -> Reply:
        chat = isinstance(request, ChatRequest)
        reply_id = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._prompt_tokens += prompt_tokens
        return Reply(reply_id, self._plan.name, chat, request.stops(), prompt_tokens)

    async def _deliver(
        self,
        answer: Answer,
        request: ChatRequest | CompletionRequest,
        receive: Receive,
        send: Send,
        echo: str = "",
    ) -> None:
        """Send the answer, and stop computing it when the client has gone or the answer needs no more tokens."""
        reply = self._reply(request, answer.prompt_tokens)
        sending = asyncio.ensure_future(
            self._stream(answer, reply, request, send, echo)
            if request.stream
            else self._send(answer, reply, send, echo)
        )
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        finally:
            leaving.cancel()
            sending.cancel()
            answer.cancel()

    async def _send(self, answer: Answer, reply: Reply, send: Send, echo: str) -> None:
        async for pieces in answer.frames.read():
            for _delta in reply.feed(pieces):
                pass
            if reply.stopped:
                break
        for _delta in reply.rest():
            pass
        await _json(send, reply.whole(answer.tokens, answer.hit_limit, echo))

    async def _stream(
        self, answer: Answer, reply: Reply, request: ChatRequest | CompletionRequest, send: Send, echo: str
    ) -> None:
        usage = request.wants_usage()
        await send({"type": "http.response.start", "status": 200, "headers": _EVENT_STREAM})

        async def out(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        try:
            first = {"role": "assistant", "content": ""} if reply.chat else {"content": echo}
            await out(reply.chunk(first, usage=usage))
            async for pieces in answer.frames.read():
                parts = [reply.chunk(delta, usage=usage) for delta in reply.feed(pieces)]
                if parts:
                    await out(b"".join(parts))
                if reply.stopped:
                    break
            parts = [reply.chunk(delta, usage=usage) for delta in reply.rest()]
            parts.append(reply.chunk({}, reply.finish_reason(answer.hit_limit), usage=usage))
            if usage:
                parts.append(reply.usage_chunk(answer.tokens))
            await out(b"".join([*parts, DONE]), more=False)
        except ApiError as error:
            # The status line has gone out already: the error is the last event.
            self._errors += 1
            await out(event(error.body()) + DONE, more=False)


_EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> Any:
    """The JSON of a request.

    Raises:
        ApiError: 400 where it is none, 413 where it is too large.
    """
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise broken("The client went away.")
        data += message.get("body", b"")
        if len(data) > MAX_BODY:
            raise ApiError(413, "request_too_large", f"The request is larger than {MAX_BODY >> 20} MiB.")
        if not message.get("more_body"):
            break
    try:
        parsed = json.loads(data)
        # A lone surrogate is legal JSON and illegal Unicode: it becomes a question mark before it meets the tokenizer.
        return (
            json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace")) if b"\\u" in data else parsed
        )
    except (ValueError, RecursionError) as error:
        raise bad(f"The body is not valid JSON: {error}.", code="invalid_json") from error


async def _json(send: Send, data: dict[str, Any], status: int = 200) -> None:
    await _whole(send, json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"), b"application/json", status)


async def _whole(send: Send, body: bytes, kind: bytes, status: int = 200) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
