"""An MCP server that is reached over HTTP. The status of its answers is kept, for the SDK's client does not tell it.

A redirect is followed within the server's own origin alone (the SDK sees to that), so no header goes to another
machine. A proxy of the environment is used for other machines, never for this one.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from backend.agent.mcp_servers import Secrets, Server

MOST_BYTES = 32 << 20
"""Of one answer or one event: a server that sends more is cut off."""
MOST_SSE_BYTES = 1 << 20
"""Of one event of the older form: the SDK's own limit, which cannot be given there."""
CONNECT_SECONDS, SILENT_SECONDS = 10.0, 300.0


class TooMuch(httpx2.TransportError):
    """An answer was longer than :data:`MOST_BYTES`."""


@dataclass
class Replied:
    """The last refusal. status: 0 where the last answer was none. target: of a redirect, without its query."""

    status: int = 0
    target: str = ""
    too_much: bool = False


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, replied: Replied) -> None:
        self._stream, self._replied = stream, replied

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for chunk in self._stream:
            taken += len(chunk)
            if taken > MOST_BYTES:
                self._replied.too_much = True
                raise TooMuch("answer too long")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def is_here(url: str) -> bool:
    """Whether the address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def shown(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@asynccontextmanager
async def talking(server: Server, secrets: Secrets, replied: Replied) -> AsyncIterator[TransportStreams]:
    """Streams to the server at ``server.url``, with the kept headers."""
    quiet()

    def client(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: Any = None
    ) -> httpx2.AsyncClient:
        async def look(response: httpx2.Response) -> None:
            if server.kind == "http" and response.request.method != "POST":
                return  # A server need not have a stream of its own, and may refuse that its session is ended.
            if response.status_code >= 300:
                replied.status = response.status_code
                replied.target = shown(urljoin(server.url, response.headers.get("location", "")))
                return
            replied.status = 0
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                assert isinstance(response.stream, httpx2.AsyncByteStream)
                response.stream = _Counted(response.stream, replied)

        return httpx2.AsyncClient(
            headers={**secrets.headers, "accept-encoding": "identity"},
            timeout=httpx2.Timeout(CONNECT_SECONDS, read=SILENT_SECONDS),
            trust_env=not is_here(server.url),
            event_hooks={"response": [look]},
        )

    if server.kind == "sse":
        async with sse_client(server.url, httpx_client_factory=client) as streams:
            yield streams
    else:
        async with (
            client() as http,
            streamable_http_client(server.url, http_client=http, max_sse_event_size=MOST_BYTES) as streams,
        ):
            yield streams


def quiet() -> None:
    """Addresses, arguments and results stay out of logs."""
    for name in ("httpx2", "mcp", "client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
