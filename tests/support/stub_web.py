"""A web server on loopback whose pages a test writes: what they say, and how they misbehave.

with site({"/": html("<p>Hello")}) as web:
    web.url("/")  # http://127.0.0.1:PORT/
    web.seen  # every request: Asked(time, path, host, headers)
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Page = Callable[["Handler"], None]


@dataclass(frozen=True)
class Asked:
    """One request. at: when it came, by a clock that never jumps."""

    at: float
    path: str
    host: str
    headers: Mapping[str, str]


class Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.1, and closed after its answer."""

    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self.web.seen.append(Asked(time.monotonic(), self.path, self.headers.get("Host", ""), dict(self.headers)))
        self.close_connection = True
        page = self.web.pages.get(self.path.partition("?")[0], answer(404, "text/plain", b"no such page"))
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            page(self)
            self.wfile.flush()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def wait(self) -> bool:
        """Stand still until the test is over; whether it is."""
        return self.web.over.wait(60)


@dataclass
class Web:
    """A running server. over: set at its end; who waits for it is let go."""

    port: int
    pages: dict[str, Page]
    scheme: str = "http"
    seen: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """As an entry of a list of hosts."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def handle_error(self, *_: object) -> None:
        """A client that leaves is what many tests are about."""


@contextmanager
def site(pages: Mapping[str, Page], *, certificate: Path | None = None) -> Iterator[Web]:
    """Serve ``pages`` while this block runs. certificate: a PEM with its key, for https."""
    server = _Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web = Web(server.server_address[1], dict(pages), "https" if certificate else "http")
    server.RequestHandlerClass = type("Handler", (Handler,), {"web": web})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        web.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answer(status: int, kind: str, body: bytes, **headers: str) -> Page:
    """An answer that is in order. headers: ``location="…"`` and such."""

    def page(handler: Handler) -> None:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(status, {**({"Content-Type": kind} if kind else {}), "Content-Length": str(len(body)), **told})
        handler.wfile.write(body)

    return page


def html(body: str | bytes, kind: str = "text/html; charset=utf-8") -> Page:
    """A page that is in order."""
    return answer(200, kind, body.encode() if isinstance(body, str) else body)


def redirect(to: str, status: int = 302) -> Page:
    """A page that is elsewhere."""
    return answer(status, "text/html", b"moved", location=to)


def endless(kind: str = "text/html") -> Page:
    """A page without an end and without a length, as fast as it is read."""

    def page(handler: Handler) -> None:
        handler.head(200, {"Content-Type": kind})
        while not handler.web.over.is_set():
            handler.wfile.write(b"<p>more and more" * 4096)

    return page


def dripping(kind: str = "text/html") -> Page:
    """A page that never stands still and never comes to its end."""

    def page(handler: Handler) -> None:
        handler.head(200, {"Content-Type": kind})
        while not handler.web.over.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return page


def silent(handler: Handler) -> None:
    """Takes the request and says nothing."""
    handler.wait()


def cut_off(kind: str = "text/html", body: bytes = b"<p>half of it") -> Page:
    """Says that more comes, and closes."""

    def page(handler: Handler) -> None:
        handler.head(200, {"Content-Type": kind, "Content-Length": str(len(body) + 1000)})
        handler.wfile.write(body)

    return page
