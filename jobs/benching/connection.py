"""One connection to a server, one request at a time: each byte gets its time the moment it is read from the socket.

That moment is why this is an :class:`asyncio.Protocol`: a client that wakes a task for each piece adds its own waiting to
what it measures, more of it the more answers are under way (docs/decisions/0012-load-generator.md).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from backend.errors import ServerError
from backend.i18n import N_
from jobs.benching.answer import Answer
from jobs.benching.http1 import BadHttp, Response

CONNECT_S = 5.0
_TOLD = {
    "broken": "The connection ended before the answer was complete.",
    "timeout": "The answer was not complete in time.",
    "garbage": "It is no HTTP/1.1.",
}


@dataclass(frozen=True)
class Address:
    """Where requests go. path: of ``/v1``, no slash at its end."""

    host: str
    port: int
    path: str
    tls: bool

    @classmethod
    def of(cls, base_url: str) -> Address:
        """The parts of an address such as ``http://127.0.0.1:23333/v1``.

        Raises:
            ServerError: ``bench_address_bad``.
        """
        try:
            parts = urlsplit(base_url.strip())
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ServerError(
                "bench_address_bad",
                N_("'{address}' is no address of a server."),
                N_("Write it as http://HOST:PORT/v1, such as http://127.0.0.1:23333/v1."),
                address=base_url[:300],
            )
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)

    @property
    def name(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.name}{self.path}"

    def request(self, method: str, path: str, key: str, body: bytes = b"") -> bytes:
        """The bytes of a request."""
        lines = [f"{method} {self.path}{path} HTTP/1.1", f"Host: {self.name}", "User-Agent: tunedeck-bench"]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        if method == "POST":
            lines += ["Accept: text/event-stream", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """Open it with :meth:`open`; :meth:`ask` sends one request and returns once its response is complete."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.used = self.reused = False
        self.response, self.answer = Response(), Answer()
        self._done: asyncio.Future[None] | None = None
        self._events = False
        self.trouble = ""
        self.ended = 0.0

    @classmethod
    async def open(cls, address: Address) -> Connection:
        """A connection to ``address``.

        Raises:
            OSError, TimeoutError: nobody listens there.
        """
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context() if address.tls else None
        async with asyncio.timeout(CONNECT_S):
            _transport, made = await loop.create_connection(cls, address.host, address.port, ssl=context)
        return made

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self.transport is not None and not self.transport.is_closing()

    async def ask(self, request: bytes, timeout_s: float) -> Answer:
        """Send ``request``; its answer, once complete. ``trouble`` then says what went wrong on the way: ``broken``
        (the connection ended too early), ``timeout``, ``garbage`` (no HTTP); empty: nothing did. ``ended``: when that was,
        by ``time.perf_counter``."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        self.response, self.answer, self._done = Response(), Answer(), loop.create_future()
        self.trouble, self._events, self.reused = "", False, self.used
        timer = loop.call_later(timeout_s, self._fail, "timeout")
        self.transport.write(request)
        try:
            await self._done
        except asyncio.CancelledError:
            self.transport.abort()  # the server is told that nobody waits for its answer any more
            raise
        finally:
            timer.cancel()
            self.used = True
        return self.answer

    def verdict(self) -> tuple[str, str]:
        """(kind of error, what was said) of the last request; the kind is empty where it was answered in full."""
        status, answer = self.response.status, self.answer
        told = answer.message()
        if self.trouble:
            return self.trouble, told or _TOLD[self.trouble]
        if status in (401, 403):
            return "key", told
        if status != 200 or answer.said:
            told = told or f"HTTP {status}"
            if answer.too_long():
                return "context", told
            return ("busy" if status == 429 else "refused" if 400 <= status < 500 else "failed"), told
        if answer.garbage:
            return "garbage", "It is not what the OpenAI API sends."
        return ("", "") if answer.finished else ("broken", _TOLD["broken"])

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        response = self.response
        if self._done is None or self._done.done():
            self.close()  # bytes that nobody asked for
            return
        begun = response.begun
        try:
            body = response.feed(data)
        except BadHttp:
            self._fail("garbage")
            return
        if response.begun and not begun:
            self._events = response.headers.get(b"content-type", b"").startswith(b"text/event-stream")
        if body:
            if self._events:
                self.answer.feed(body, now)
            else:
                self.answer.keep(body)
        if response.done:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._done is None or self._done.done():
            return
        self.response.closed()
        if self.response.done:
            self._end()
        else:
            self._fail("broken")

    def _end(self) -> None:
        self.ended = time.perf_counter()
        if not self._events:
            self.answer.whole()
        if not self.response.keeps_alive:
            self.close()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, trouble: str) -> None:
        self.trouble, self.ended = trouble, time.perf_counter()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
        self.close()
