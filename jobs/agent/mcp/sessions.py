"""The MCP servers of a conversation: opened when their tools are first wanted, kept open, ended with it.

    with Sessions(workspace) as sessions:
        tools = sessions.tools()            # each a Runs; what did not work is in sessions.problems

A server that ended is opened once more when it is next called; a call in whose middle it ended is not repeated,
for it may have acted.

"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import mcp_types as types

from backend.agent.mcp_servers import Secrets, Server, listed, secrets_of
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from backend.workspace import Workspace, explain_os_error
from jobs.agent.mcp import failures
from jobs.agent.mcp.background import Background, Ended
from jobs.agent.mcp.connection import MOST_TOOLS, Connection, Gone
from jobs.agent.mcp.contents import taken_in
from jobs.agent.mcp.naming import Offered, offered, schema_problem
from jobs.agent.results import shaped

CONNECT_SECONDS, CALL_SECONDS = 30.0, 60.0


class _Place:
    """A server and its connection, if there is one. fruitless: it was opened anew and has not answered since."""

    def __init__(self, server: Server, secrets: Secrets) -> None:
        self.server, self.secrets = server, secrets
        self.connection: Connection | None = None
        self.listing: list[types.Tool] = []
        self.problems: list[PanelError] = []
        self.failed = False
        self.fruitless = False
        self.lock = asyncio.Lock()


class Sessions:
    """Connections to ``servers``, by default to all that are switched on in ``workspace``."""

    def __init__(
        self,
        workspace: Workspace,
        servers: Iterable[Server] | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        chosen = listed(workspace) if servers is None else servers
        self._places = {s.name: _Place(s, secrets_of(workspace, s.name)) for s in chosen if s.enabled}
        self._connect_seconds, self.call_seconds = connect_seconds, call_seconds
        self._background = Background()
        self._closed = False

    def __enter__(self) -> Sessions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every connection; programs that were started are gone afterwards."""
        if not self._closed:
            self._closed = True
            self._background.run(self._close_all())
            self._background.close()

    @property
    def problems(self) -> list[PanelError]:
        """Servers that could not be opened, and tools that were left out."""
        return [problem for place in self._places.values() for problem in place.problems]

    def offered(self, stopped: Callable[[], bool] = lambda: False) -> list[Offered]:
        """All tools of all servers, also those switched off; what is not open is opened, what changed read anew.

        Raises:
            Ended: ``stopped()`` said so.
        """
        self._background.run(self._look_all(), stopped=stopped)
        return offered((place.server, tool) for place in self._places.values() for tool in place.listing)

    def tools(self, stopped: Callable[[], bool] = lambda: False) -> list[McpTool]:
        """Those that a model may be given. Raises as :meth:`offered`."""
        return [McpTool(self, each) for each in self.offered(stopped) if each.used]

    def stderr(self, server: str) -> list[str]:
        """The last lines that the server's program wrote to stderr, without the secrets that it was given."""
        place = self._places[server]
        lines = place.connection.heard.stderr if place.connection else ()
        return [place.secrets.hidden(line) for line in lines]

    def ask(self, server: str, tool: str, arguments: dict[str, Any], context: Context) -> types.CallToolResult:
        """The answer of a server's tool.

        Raises:
            Ended: stopped, or too slow.
            PanelError: why there is none.
        """
        work = self._ask(self._places[server], tool, arguments)
        return self._background.run(work, seconds=self.call_seconds, stopped=context.stopped)

    def questions(self, server: str) -> list[str]:
        """What the server asked a person during the last call."""
        connection = self._places[server].connection
        return list(connection.asked) if connection else []

    async def _look_all(self) -> None:
        await asyncio.gather(*(self._look(place) for place in self._places.values()))

    async def _look(self, place: _Place) -> None:
        async with place.lock:
            if place.failed or (place.connection and place.listing and not place.connection.changed):
                return
            try:
                connection = await self._open(place)
                async with asyncio.timeout(self._connect_seconds):
                    found = await connection.tools()
            except PanelError as error:
                await self._give_up(place, error)
            except (Gone, TimeoutError) as error:
                assert place.connection
                seconds = self._connect_seconds if isinstance(error, TimeoutError) else None
                await place.connection.close()
                await self._give_up(place, place.connection.failure(seconds=seconds))
            else:
                self._keep(place, found, connection)

    def _keep(self, place: _Place, found: list[types.Tool], connection: Connection) -> None:
        wrong = {tool.name: schema_problem(tool.input_schema) for tool in found}
        place.listing = list({tool.name: tool for tool in found if not wrong[tool.name]}.values())
        place.problems = [failures.left_out(place.server, name, why) for name, why in wrong.items() if why]
        if connection.too_many:
            place.problems.append(failures.too_many(place.server, MOST_TOOLS))

    async def _give_up(self, place: _Place, error: PanelError) -> None:
        place.failed, place.listing, place.problems = True, [], [error]
        if place.connection:
            await place.connection.close()

    async def _open(self, place: _Place) -> Connection:
        if place.connection and place.connection.alive:
            return place.connection
        before = place.connection
        if before:
            await before.close()
            if place.fruitless:
                raise failures.gave_up(place.server)
            place.fruitless = True
        place.connection = Connection(place.server, place.secrets)
        await place.connection.open(self._connect_seconds)
        place.connection.changed = before is not None
        return place.connection

    async def _ask(self, place: _Place, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        for again in (False, True):
            async with place.lock:
                connection = await self._open(place)
            try:
                result = await connection.call(tool, arguments)
            except Gone as gone:
                await connection.close()
                if not gone.early or again:
                    raise connection.failure() from None
            else:
                place.fruitless = False
                return result
        raise AssertionError

    async def _close_all(self) -> None:
        await asyncio.gather(*(place.connection.close() for place in self._places.values() if place.connection))


class McpTool:
    """A server's tool as one of ours."""

    def __init__(self, sessions: Sessions, offer: Offered) -> None:
        self._sessions, self._offer = sessions, offer
        self.tool: Tool = offer.tool

    def call(self, arguments: Mapping[str, Any], context: Context) -> Result:
        """Ask the server. Pictures, sounds and resources come as files."""
        began, name = time.monotonic(), self.tool.name
        error: PanelError | None = None
        text = ""
        files: tuple[Path, ...] = ()
        try:
            answer = self._sessions.ask(self._offer.server, self._offer.name, dict(arguments), context)
            text, files = taken_in(answer, context.folder, name)
            error = self._error(answer)
        except Ended as ended:
            error = (
                failures.stopped(name) if ended.by_person else failures.call_too_slow(name, self._sessions.call_seconds)
            )
        except PanelError as failure:
            error = failure
        except OSError as failure:
            error = explain_os_error(failure, context.folder)
        if error and text:
            text = f"{error}\n{text}"
        return shaped(text or str(error or "(empty result)"), context, name, began=began, files=files, error=error)

    def _error(self, answer: types.CallToolResult) -> PanelError | None:
        if questions := self._sessions.questions(self._offer.server):
            return failures.asked(self.tool.name, questions[0])
        return failures.failed(self.tool.name) if answer.is_error else None
