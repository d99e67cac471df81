"""``/v1`` on the panel's own port: every running model behind one OpenAI address and one kind of key.

    openai.OpenAI(base_url="http://127.0.0.1:8501/v1", api_key="td-...")

A request names its model; the gateway passes it to that model's server with the server's own key, and streams the
answer through as it comes. A client that goes away ends the work upstream. An adapter that a server offers beside its
model is a model of its own; a server that sleeps is woken by the first request for it. A pure ASGI app.

Covered
- Only these five: ``GET /v1/models`` (and one by name), ``POST`` of chat/completions, completions, embeddings, and of
  simple, the endpoint of older course notes (see :mod:`backend.web.simple`); every other path below ``/v1`` is answered
  here with 404, so none can reach a page.
- Keys are asked for before anything else is looked at. The login cookie does not count, no CORS header is sent:
  a page of another site can do nothing here.
- Cookies, the client's key and all other request headers stay here; the server's key never leaves towards the client.
- Errors in OpenAI's shape (and in English: programs read them), also when a server is dead, silent, cut off in mid-stream, or answers nonsense.

Not covered
- Quotas and rate limits: who has a key may use all that runs.
- Guessing of keys is not slowed down: a key has 256 random bits.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from urllib.parse import unquote

from backend.deploy.connect import SIMPLE_PATH
from backend.errors import PanelError, ServerError
from backend.servers import Server
from backend.web.asgi import Message, Receive, Scope, Send
from backend.web.keys import Keys
from backend.web.openai_errors import send_error, send_json
from backend.web.running import Running
from backend.web.simple import PlainSend, chat_request
from backend.web.upstream import Upstream

CHAT = "/v1/chat/completions"
ENDPOINTS = {CHAT: "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings"}
"""Path -> what a server must be capable of."""
MAX_BODY = 32 * 1024 * 1024
"""Bytes: a long conversation with a few pictures in it, and far below what the panel can hold."""
DRAIN = 16
"""A body of more than so many times that much is not even read to its end."""

log = logging.getLogger("tunedeck.gateway")


class ClientGoneError(Exception):
    """The client closed its connection before its request was whole."""


class Gateway:
    """The ASGI app; ``keys`` open it, ``running`` says what is behind it."""

    def __init__(
        self,
        keys: Keys,
        running: Running,
        *,
        upstream: Upstream | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self._keys = keys
        self._running = running
        self._upstream = upstream or Upstream()
        self._max_body = max_body
        self._saving: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == SIMPLE_PATH:
            send = PlainSend(send)
        try:
            await self._answer(scope, receive, send)
        except ClientGoneError:
            return
        except PanelError as error:
            log.warning("%s %s", error.code, error)
            await send_error(send, 503, str(error), kind="server_error", code=error.code)

    def end(self) -> None:
        """End all answers that are under way: the web server waits for them before it ends itself."""
        self._upstream.end()

    async def close(self) -> None:
        """Write down what is known of the keys' use and close the connections to the servers."""
        if self._saving is not None:
            await self._saving
        try:
            await asyncio.to_thread(self._keys.save_used)
        except PanelError as error:
            log.warning("when the API keys were last used is not saved: %s", error)
        await self._upstream.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = _bearer(scope)
        if given is None or self._keys.check(given) is None:
            text = "An API key is needed." if given is None else "This API key is not known; it may have been revoked."
            await send_error(
                send,
                401,
                f"{text} Make one with: python -m backend keys create NAME",
                code="invalid_api_key",
                headers=[(b"www-authenticate", b"Bearer")],
            )
            return
        self._save_uses()
        path, method = scope["path"], scope["method"]
        if path == "/v1/models" or path.startswith("/v1/models/"):
            wanted = "GET"
        elif path in ENDPOINTS or path == SIMPLE_PATH:
            wanted = "POST"
        else:
            known = ", ".join(["/v1/models", *ENDPOINTS, SIMPLE_PATH])
            await send_error(send, 404, f"There is nothing at this path. Known are: {known}.", code="unknown_url")
            return
        if method != wanted:
            allow = [(b"allow", wanted.encode("ascii"))]
            text = f"This path takes {wanted} requests only."
            await send_error(send, 405, text, code="method_not_allowed", headers=allow)
        elif wanted == "GET":
            await self._models(path, scope, send)
        else:
            await self._pass_on(path, scope, receive, send)

    async def _models(self, path: str, scope: Scope, send: Send) -> None:
        ready = await self._running.ready()
        newest = {name: s.asked_for(name) for s in sorted(ready, key=lambda s: s.since) for name in s.names()}
        if path == "/v1/models":
            await send_json(send, 200, {"object": "list", "data": [_model(newest[name]) for name in sorted(newest)]})
            return
        # A name may hold an escaped slash.
        raw = scope.get("raw_path") or path.encode("utf-8")
        name = unquote(raw.decode("latin-1").partition("/v1/models/")[2])
        # One that sleeps is still there.
        found = max((s for s in ready if s.answers_to(name)), key=lambda s: s.since, default=None)
        if found is None:
            await _no_such_model(send, name, ready)
            return
        await send_json(send, 200, _model(found.asked_for(name)))

    async def _pass_on(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._body(receive)
        if body is None:
            text = f"The request is larger than {self._max_body // (1024 * 1024)} MiB."
            await send_error(send, 413, text, code="request_too_large", headers=[(b"connection", b"close")])
            return
        # A body of many MiB takes long enough to parse that others would wait for it.
        parse = _parse(body) if len(body) < 1 << 20 else await asyncio.to_thread(_parse, body)
        if isinstance(parse, str):
            await send_error(send, 400, parse, code="invalid_json")
            return
        if isinstance(send, PlainSend):
            send.asked = parse
            parse = chat_request(parse, parse.get("model") or await self._only())
            if isinstance(parse, str):
                await send_error(send, 400, parse, code="invalid_value")
                return
            path, body = CHAT, json.dumps(parse).encode("ascii")
        name = parse.get("model")
        if not isinstance(name, str) or not name:
            text = f"Name the model in 'model'. Running now: {_names(await self._running.ready())}."
            await send_error(send, 400, text, param="model", code="missing_required_parameter")
            return
        try:
            server = await self._server(name)
        except ServerError as error:
            if error.code != "model_not_running":
                told = "It was told to wake; ask again in a moment, or" if error.code == "model_asleep" else "Please"
                text = f"{error} {told} look at it on the Deploy page."
                again = [(b"retry-after", b"5")]
                await send_error(send, 503, text, kind="server_error", code=error.code, headers=again)
                return
            await _no_such_model(send, name, await self._running.ready())
            return
        needed = ENDPOINTS[path]
        if needed not in server.capabilities:
            offers = ", ".join(server.capabilities)
            text = f"The model '{name}' does not offer {needed}. It offers: {offers}."
            await send_error(send, 400, text, param="model", code="unsupported_endpoint")
            return
        statuses: list[int] = []

        async def passed(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await self._upstream.relay(server, path.removeprefix("/v1"), body, receive, passed)
        if statuses == [200]:
            self._note_answer(scope, name)

    async def _server(self, name: str) -> Server:
        """The server for the model ``name``, woken where it sleeps.

        Raises:
            ServerError: ``model_not_running``; else why it does not wake.
        """
        try:
            return await self._running.server(name)
        except ServerError as error:
            if error.code != "model_asleep":
                raise
        return await self._running.woken(name)

    async def _only(self) -> str:
        """The model that runs, where there is exactly one; else nothing."""
        names = {server.model for server in await self._running.ready()}
        return names.pop() if len(names) == 1 else ""

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, or None where it is larger than allowed."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            size += len(part)
            if size <= self._max_body:
                parts.append(part)
            else:
                parts.clear()
            # What is too large is read to its end, and dropped: a client that still sends would never see the answer.
            if not message.get("more_body") or size > DRAIN * self._max_body:
                return b"".join(parts) if size <= self._max_body else None

    def _note_answer(self, scope: Scope, model: str) -> None:
        """Somebody who made a key may wait to see that its program got through: that is written soon."""
        key = self._keys.check(_bearer(scope) or "")
        if key is not None and self._keys.note_answer(key, model):
            self._saving = asyncio.create_task(self._save_in_thread(after=self._saving))

    def _save_uses(self) -> None:
        if self._keys.save_due() and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save_in_thread())

    async def _save_in_thread(self, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await after
        try:
            await asyncio.to_thread(self._keys.save_used)
        except PanelError as error:
            log.warning("when the API keys were last used is not saved: %s", error)


def _bearer(scope: Scope) -> str | None:
    """The key of ``Authorization: Bearer KEY``, or None."""
    for key, value in scope["headers"]:
        if key == b"authorization":
            kind, _space, text = value.decode("latin-1").partition(" ")
            return text.strip() if kind.lower() == "bearer" and text.strip() else None
    return None


def _parse(body: bytes) -> dict[str, Any] | str:
    """The JSON object in ``body``, or what is wrong with it."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        return f"The request is not JSON: {error}."
    return data if isinstance(data, dict) else "The request must be a JSON object."


def _model(server: Server) -> dict[str, Any]:
    return {
        "id": server.model,
        "object": "model",
        "created": int(server.since),
        "owned_by": "tunedeck",
        "context_length": server.context_length or None,
        "capabilities": list(server.capabilities),
        # As vLLM and LMDeploy say it of an adapter.
        **({"parent": server.offered_by} if server.offered_by else {}),
    }


def _names(servers: list[Server]) -> str:
    return ", ".join(sorted({name for server in servers for name in server.names()})) or "none"


async def _no_such_model(send: Send, name: str, servers: list[Server]) -> None:
    text = f"The model '{name}' is not running. Running now: {_names(servers)}. Start it on the Chat page."
    await send_error(send, 404, text, param="model", code="model_not_found")
