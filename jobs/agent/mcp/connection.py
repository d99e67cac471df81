"""One open connection to one MCP server, inside the event loop of :mod:`jobs.agent.mcp.background`."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import mcp_types as types
from mcp.client import Client
from mcp.client._transport import Transport
from mcp.client.session import ClientRequestContext, IncomingMessage
from mcp.shared.exceptions import MCPError

from backend.agent.mcp_servers import Secrets, Server
from backend.errors import PanelError
from jobs.agent.mcp import failures, http, stdio

MOST_TOOLS, MOST_PAGES = 500, 50
US = types.Implementation(name="tunedeck", version="1")
_NEWER = (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND)
"""What a server says to the handshake that speaks only the protocol's later form, which has none."""


class Gone(Exception):
    """The connection is gone. early: the server did nothing of what was asked, so it may be asked again."""

    def __init__(self, *, early: bool) -> None:
        super().__init__()
        self.early = early


class Connection:
    """A server's. It is opened and closed by one task, as the SDK wants it; calls come from others.

    changed: the server has said that its list of tools is another. asked: questions to a person, all dismissed."""

    def __init__(self, server: Server, secrets: Secrets) -> None:
        self.server, self.secrets = server, secrets
        self.heard, self.replied = stdio.Heard(), http.Replied()
        self.changed = False
        self.asked: list[str] = []
        self.too_many = False
        self._client: Client | None = None
        self._scope = anyio.CancelScope()
        self._closing = asyncio.Event()
        self._ready = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._error: BaseException | None = None

    @property
    def alive(self) -> bool:
        """Whether a call can be tried."""
        return self._client is not None and not self._closing.is_set() and not self.heard.ended.is_set()

    async def open(self, seconds: float) -> None:
        """Start or reach the server and greet it.

        Raises:
            PanelError: why it did not work; nothing is left behind then.
        """
        self._owner = asyncio.create_task(self._stay())
        ready = asyncio.create_task(self._ready.wait())
        waits: set[asyncio.Task[Any]] = {self._owner, ready}
        try:
            done, _rest = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise
        finally:
            ready.cancel()
        if self._ready.is_set() and self.alive:
            return
        await self.close()
        raise self.failure(seconds=None if done else seconds)

    async def close(self) -> None:
        """End it; a program is gone afterwards."""
        self._closing.set()
        if not self._ready.is_set():
            self._scope.cancel()
        if self._owner:
            await asyncio.wait({self._owner})

    def failure(self, error: BaseException | None = None, *, seconds: float | None = None) -> PanelError:
        """Why it failed. seconds: how long it was silent."""
        error = error or self._error
        if self.server.kind != "stdio":
            if seconds is not None and not self.replied.status:
                return failures.silent(self.server, seconds)
            return failures.of_address(self.server, self.secrets, self.replied, error)
        if isinstance(error, OSError | MCPError) and not (self.heard.by_itself or self.heard.too_much):
            return failures.refused(self.server, self.secrets, error)
        return failures.of_program(self.server, self.secrets, self.heard, seconds=seconds)

    async def tools(self) -> list[types.Tool]:
        """All that it offers, page by page.

        Raises:
            Gone: the connection broke.
            PanelError: it cannot or will not say.
        """
        client = self._living()
        found: list[types.Tool] = []
        cursor: str | None = None
        self.changed, self.too_many, self.replied.status = False, False, 0
        try:
            for _page in range(MOST_PAGES):
                listing = await client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
                found += listing.tools
                cursor = listing.next_cursor
                if not cursor:
                    break
        except Exception as error:
            raise self._explained(error) from error
        self.too_many = len(found) > MOST_TOOLS or bool(cursor)
        return found[:MOST_TOOLS]

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """What the tool gave; cancelled, the server is told to stop.

        Raises:
            Gone: the connection broke.
            PanelError: the server refused, or its answer does not fit.
        """
        client = self._living()
        self.asked.clear()
        self.replied.status = 0
        try:
            return await client.call_tool(name, arguments)
        except Exception as error:
            raise self._explained(error) from error

    def _living(self) -> Client:
        if self._client is None or not self.alive:
            raise Gone(early=True)
        return self._client

    def _explained(self, error: Exception) -> Exception:
        code = error.code if isinstance(error, MCPError) else None
        if self.server.kind == "stdio":
            broken = code == types.CONNECTION_CLOSED or self.heard.ended.is_set()
            return Gone(early=False) if broken else failures.refused(self.server, self.secrets, error)
        if self.replied.status == 404:
            return Gone(early=True)  # The session is not known: the server was started anew and has done nothing yet.
        if self.replied.status or self.replied.too_much:
            return self.failure(error)
        return (
            Gone(early=False) if code == types.CONNECTION_CLOSED else failures.refused(self.server, self.secrets, error)
        )

    async def _stay(self) -> None:
        try:
            with self._scope:
                try:
                    await self._hold("legacy")
                except MCPError as error:
                    if error.code not in _NEWER or self.replied.status or self._ready.is_set():
                        raise
                    self.heard, self.replied = stdio.Heard(), http.Replied()
                    await self._hold("auto")
        except BaseException as error:  # noqa: BLE001  # whatever ends it is explained by whoever asked
            self._error = error
        finally:
            self._client = None
            self._closing.set()

    async def _hold(self, mode: str) -> None:
        client = Client(
            self._transport(),
            mode=mode,
            client_info=US,
            cache=None,
            message_handler=self._notice,
            elicitation_callback=self._dismiss,
        )
        try:
            async with client:
                self._client = client
                self._ready.set()
                closing = asyncio.create_task(self._closing.wait())
                ended = asyncio.create_task(self.heard.ended.wait())
                try:
                    await asyncio.wait({closing, ended}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    closing.cancel()
                    ended.cancel()
        except BaseExceptionGroup as group:
            known = next((each for each in failures.causes(group) if isinstance(each, MCPError)), None)
            raise (known or group) from group

    def _transport(self) -> Transport:
        if self.server.kind == "stdio":
            return stdio.talking(self.server, self.secrets, self.heard)
        return http.talking(self.server, self.secrets, self.replied)

    async def _notice(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.changed = True

    async def _dismiss(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        self.asked.append(self.secrets.hidden(" ".join(params.message.split())))
        return types.ElicitResult(action="cancel")
