"""Passing one request to a model's server and its answer back, as it comes (aiohttp; see docs/decisions/0003)."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from typing import TYPE_CHECKING, Any

from backend.servers import Server
from backend.web.asgi import Receive, Send
from backend.web.openai_errors import error_body, send_error

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 5.0
"""Loopback answers at once or not at all."""
SILENCE_S = 600.0
"""A long prompt on a CPU may take minutes to the first token; nothing keeps quiet for longer than this and lives."""
MAX_ERROR = 64 * 1024
LAST_EVENT = b"data: [DONE]\n\n"

log = logging.getLogger("tunedeck.gateway")


class BrokenOffError(OSError):
    """The server ended its answer before the last event."""


class _Answer:
    """What goes to one client, and whether a stream to it has begun."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False

    async def fail(self, status: int, text: str, code: str) -> None:
        """Say what went wrong: as the answer, or inside the stream that has begun already."""
        if not self.started:
            await send_error(self.send, status, text, kind="server_error", code=code)
            return
        event = json.dumps(error_body(text, kind="server_error", code=code), ensure_ascii=False).encode("utf-8")
        # A blank line first ends the event that was cut.
        await self.send({"type": "http.response.body", "body": b"\n\ndata: " + event + b"\n\n"})


class Upstream:
    """How the gateway talks to the model servers.

    Every request has a connection of its own: to open one on loopback takes a fraction of a millisecond, and a kept
    one may be closed by the server in the very moment in which it is used again, when nobody can tell whether the
    request was heard.
    """

    def __init__(self, *, connect_s: float = CONNECT_S, silence_s: float = SILENCE_S) -> None:
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._session: aiohttp.ClientSession | None = None
        self._working: set[asyncio.Future[None]] = set()

    async def relay(self, server: Server, path: str, body: bytes, receive: Receive, send: Send) -> None:
        """Send ``body`` to ``server`` and its answer to ``send``; when the client goes away, so does the request."""
        if self._session is None:
            # Imported with the first request, so that starting the panel does not wait for it; nobody else waits either.
            await asyncio.to_thread(importlib.import_module, "aiohttp")
        answer = _Answer(send)
        work = asyncio.ensure_future(self._relay(server, path, body, answer))
        gone = asyncio.ensure_future(_disconnected(receive))
        self._working.add(work)
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.cancelled():
                text = f"The panel was closed. The server of the model '{server.model}' goes on; ask again later."
                await answer.fail(503, text, "panel_closed")
            elif work.done():
                work.result()
        finally:
            self._working.discard(work)
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    def end(self) -> None:
        """End all answers that are under way, each with an error that says why."""
        for work in self._working:
            work.cancel()

    async def close(self) -> None:
        """Close what is open towards the servers."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=None, sock_connect=self._connect_s, sock_read=self._silence_s
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _relay(self, server: Server, path: str, body: bytes, answer: _Answer) -> None:
        import aiohttp

        session = self._open()
        headers = {
            "authorization": f"Bearer {server.key}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        name = server.model
        try:
            request = session.post(server.base_url + path, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                kind = response.headers.get("content-type", "")
                if response.status != 200:
                    await _relay_error(response, name, answer.send)
                elif kind.startswith("text/event-stream"):
                    answer.started = True
                    await _relay_stream(response, kind, answer.send)
                else:
                    await _relay_whole(response, kind, answer.send)
        except TimeoutError:  # aiohttp's ServerTimeoutError and ConnectionTimeoutError are of this kind
            text = f"The server of the model '{name}' did not answer in time. Look at its log on the Jobs page."
            await answer.fail(504, text, "server_timeout")
        except aiohttp.ClientConnectorError:
            text = (
                f"The server of the model '{name}' cannot be reached. It may have stopped; start it on the Chat page."
            )
            await answer.fail(503, text, "server_unavailable")
        except (aiohttp.ClientError, OSError) as error:
            log.warning("server of job %s broke off: %s", server.job_id, type(error).__name__)
            text = f"The server of the model '{name}' broke off its answer. Look at its log on the Jobs page."
            await answer.fail(502, text, "server_broke_off")


async def _relay_stream(response: aiohttp.ClientResponse, kind: str, send: Send) -> None:
    """Every piece as it comes. x-accel-buffering: a proxy in front must not hold them back either."""
    headers = [
        (b"content-type", kind.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # An answer that ends with the connection looks the same cut or whole; only its last event tells.
    unframed = not ("content-length" in response.headers or "transfer-encoding" in response.headers)
    tail = b""
    async for piece in response.content.iter_any():
        if unframed:
            tail = (tail + piece)[-len(LAST_EVENT) :]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    if unframed and tail.strip() != LAST_EVENT.strip():
        raise BrokenOffError
    await send({"type": "http.response.body", "body": b""})


async def _relay_whole(response: aiohttp.ClientResponse, kind: str, send: Send) -> None:
    """The answer in one piece: only when it is whole do we promise that it is good."""
    body = await response.read()
    headers = [
        (b"content-type", (kind or "application/json").encode("latin-1")),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _relay_error(response: aiohttp.ClientResponse, name: str, send: Send) -> None:
    """The server's own refusal, in OpenAI's shape whatever shape it came in."""
    try:
        data = json.loads(await response.content.read(MAX_ERROR))
    except ValueError:
        data = None
    status = response.status
    if status in (401, 403) or status < 400:
        # Our key for the server is wrong, or it sends us elsewhere: nothing that the client could put right.
        text = f"The server of the model '{name}' refused the gateway (status {status}). Start it again."
        await send_error(send, 502, text, kind="server_error", code="server_refused")
        return
    error = data.get("error") if isinstance(data, dict) else None
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        text = error["message"]
        code, param = error.get("code"), error.get("param")
        kind = error.get("type") or kind
    else:
        text, code, param = _sentence(data) or f"The server of the model '{name}' answered {status}.", None, None
    code = code if isinstance(code, str) else None
    await send_error(send, status, text, kind=str(kind), code=code, param=param if isinstance(param, str) else None)


def _sentence(data: Any) -> str:
    """What a server that does not speak OpenAI's shape says: FastAPI puts it under ``detail``, vLLM under ``message``."""
    if not isinstance(data, dict):
        return ""
    found = next((data[key] for key in ("error", "message", "detail") if data.get(key)), "")
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)[:2000]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
