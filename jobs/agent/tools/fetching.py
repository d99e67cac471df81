"""One thing fetched over HTTP, within bounds: of time, of size also after unpacking, and of where it may come from.

The name of a machine is looked up once, what was found is checked, and the connection goes to just that address; the
certificate is still checked against the name. A second look-up in between could lead elsewhere (DNS rebinding).
A proxy of the environment is used for other machines, never for this one.

Covered: answers without end, slow ones, ones that are cut off, gzip that unpacks to gigabytes, Stop in the middle.
Not covered: behind a proxy it is the proxy that looks the name up once more, and its rules that hold then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from jobs.agent.mcp.background import Background, Ended
from jobs.agent.tools import addresses, fetch_failures

Resolve = Callable[[str, int], list[str]]
"""(host, port) -> its addresses. Raises OSError where there is none."""

AGENT = "TuneDeck/0.1 (panel of a single person)"
CONNECT_SECONDS = 10.0
MOST_TRIED = 4
"""Addresses of one name that are tried one after another: where IPv6 leads nowhere, IPv4 does."""
MOST_ERROR_BYTES = 64 << 10
"""What is read of an answer that says no."""


@dataclass(frozen=True)
class Wanted:
    """accept: media types. most_bytes: of the unpacked body. seconds: for all of it. public: refuse addresses that are not
    of the open internet."""

    url: httpx.URL
    accept: str
    most_bytes: int
    seconds: float
    public: bool


@dataclass(frozen=True)
class Reply:
    """An answer, whatever its status. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def look_up(host: str, port: int) -> list[str]:
    """The addresses of ``host``, in the order in which the system would try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def fetch(wanted: Wanted, stopped: Callable[[], bool], resolve: Resolve = look_up) -> Reply:
    """Ask once; a redirect is an answer like any other.

    Raises:
        PanelError: those of :mod:`jobs.agent.tools.fetch_failures`.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # what people ask for stays out of logs
    host = addresses.host_of(wanted.url)
    loop = Background()
    try:
        return loop.run(_fetch(wanted, host, resolve), seconds=wanted.seconds, stopped=stopped)
    except Ended as error:
        problem = fetch_failures.stopped(host) if error.by_person else fetch_failures.too_slow(host, wanted.seconds)
        raise problem from error
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError) as error:
        raise fetch_failures.of(host, error) from error
    finally:
        loop.close()


async def _fetch(wanted: Wanted, host: str, resolve: Resolve) -> Reply:
    proxy = _proxy(wanted.url.scheme, host)
    try:
        found = await _resolved(resolve, host, addresses.port_of(wanted.url))
    except (OSError, UnicodeError) as error:
        if proxy is None:
            raise fetch_failures.no_address(host) from error
        found = []  # on some networks only the proxy knows names
    inner = next(filter(addresses.is_inner, found), None)
    if wanted.public and inner is not None:
        raise fetch_failures.inner(host, inner)
    if proxy is not None and not any(map(addresses.is_here, found)):
        return await _asked(wanted, proxy=proxy)
    problem: Exception = OSError("no address")
    for address in found[:MOST_TRIED]:
        try:
            return await _asked(wanted, address=address)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            problem = error
    raise problem


async def _asked(wanted: Wanted, *, address: str = "", proxy: str | None = None) -> Reply:
    tls: ssl.SSLContext | bool = httpx.create_ssl_context() if wanted.url.scheme == "https" else False
    # Without gzip's newer rivals: these unpack to any size in one step.
    headers = {"Accept": wanted.accept, "Accept-Encoding": "gzip", "User-Agent": AGENT}
    url, extensions = wanted.url, {}
    if address:
        url = url.copy_with(host=address)
        headers["Host"] = wanted.url.netloc.decode("ascii")
        extensions = {"sni_hostname": addresses.host_of(wanted.url)}
    timeout = httpx.Timeout(wanted.seconds, connect=CONNECT_SECONDS)
    async with (
        httpx.AsyncClient(verify=tls, proxy=proxy, trust_env=False, timeout=timeout) as client,
        client.stream("GET", url, headers=headers, extensions=extensions) as response,
    ):
        told = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, told, await _body(wanted, response))


async def _body(wanted: Wanted, response: httpx.Response) -> bytes:
    host, fine = addresses.host_of(wanted.url), response.status_code == 200
    most = wanted.most_bytes if fine else MOST_ERROR_BYTES
    declared = response.headers.get("content-length", "")
    if fine and declared.isdigit() and int(declared) > most:
        raise fetch_failures.too_large(host, most)
    unpacked = _Unpacked(host, response.headers.get("content-encoding", ""), most)
    async for piece in response.aiter_raw():
        if not unpacked.add(piece):
            if fine:
                raise fetch_failures.too_large(host, most)
            return bytes(unpacked.data)
    if fine:
        unpacked.end()
    return bytes(unpacked.data)


class _Unpacked:
    """A body as it comes in, never more than ``most`` bytes of it."""

    def __init__(self, host: str, encoding: str, most: int) -> None:
        self.data = bytearray()
        self._host, self._most = host, most
        self._packed = encoding.strip().lower() in ("gzip", "x-gzip")
        self._gzip = zlib.decompressobj(wbits=31)
        if not self._packed and encoding.strip().lower() not in ("", "identity"):
            raise fetch_failures.encoding(host, encoding)

    def add(self, piece: bytes) -> bool:
        """Take in ``piece``; False where it is too much."""
        if not self._packed:
            self.data += piece[: self._most - len(self.data) + 1]
        else:
            try:
                while piece and len(self.data) <= self._most:
                    self.data += self._gzip.decompress(piece, self._most - len(self.data) + 1)
                    piece = self._gzip.unconsumed_tail or self._next_member()
            except zlib.error as error:
                raise fetch_failures.encoding(self._host, "gzip") from error
        return len(self.data) <= self._most

    def end(self) -> None:
        """Nothing more comes."""
        if self._packed and self.data and not self._gzip.eof:
            raise fetch_failures.cut_off(self._host)

    def _next_member(self) -> bytes:
        rest = self._gzip.unused_data
        if rest:
            self._gzip = zlib.decompressobj(wbits=31)
        return rest


async def _resolved(resolve: Resolve, host: str, port: int) -> list[str]:
    """In a thread of its own, for a look-up cannot be ended and nobody waits for one that was given up."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def look() -> None:
        found: list[str] = []
        problem: Exception | None = None
        try:
            found = resolve(host, port)
        except (OSError, UnicodeError) as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, problem)

    threading.Thread(target=look, name="look-up", daemon=True).start()
    return await answer


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for ``host``."""
    if addresses.is_here(host) or urllib.request.proxy_bypass(host):
        return None
    known = urllib.request.getproxies()
    found = known.get(scheme) or known.get("all")
    return found if not found or "://" in found else f"http://{found}"
