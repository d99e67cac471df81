"""The tools of a conversation: our own that are switched on, and those of MCP servers, which stay open as long as the box does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backend.agent.own_tools import OWN
from backend.agent.tools import Runs
from backend.errors import PanelError
from backend.workspace import Workspace
from jobs.agent.tools.arxiv import Arxiv
from jobs.agent.tools.calculator import Calculator
from jobs.agent.tools.own_texts import OwnTexts
from jobs.agent.tools.panel_status import PanelStatus
from jobs.agent.tools.python_code import PythonCode
from jobs.agent.tools.web_page import WebPage

if TYPE_CHECKING:
    from jobs.agent.mcp.sessions import Sessions

MCP = "mcp:"
"""``mcp:NAME`` among the names of tools: all tools of that server."""


class Toolbox:
    """Close it at the end: programs that serve tools end with it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._own: dict[str, Runs] = {
            each.tool.name: each for each in (Calculator(), PythonCode(), OwnTexts(), PanelStatus(), Arxiv(), WebPage())
        }
        self._sessions: Sessions | None = None
        self._servers: tuple[str, ...] = ()

    def chosen(self, names: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> list[Runs]:
        """The tools of those names; unknown ones are passed over."""
        found = [self._own[name] for name in names if name in self._own]
        servers = tuple(name.removeprefix(MCP) for name in names if name.startswith(MCP))
        if servers:
            found += self._of_servers(servers, stopped)
        return found

    def off(self, names: Sequence[str]) -> list[str]:
        """The names of our own tools that are not among ``names``."""
        return [tool.name for tool in OWN if tool.name not in names]

    @property
    def problems(self) -> list[PanelError]:
        """Servers that could not be opened, and tools of them that were left out."""
        return list(self._sessions.problems) if self._sessions else []

    def close(self) -> None:
        if self._sessions:
            self._sessions.close()
            self._sessions = None

    def _of_servers(self, servers: tuple[str, ...], stopped: Callable[[], bool]) -> list[Runs]:
        # The protocol's client takes seconds to load, and most conversations need none.
        from backend.agent.mcp_servers import listed
        from jobs.agent.mcp.sessions import Sessions

        if self._sessions is None or servers != self._servers:
            self.close()
            chosen = [server for server in listed(self._workspace) if server.name in servers]
            self._sessions, self._servers = Sessions(self._workspace, chosen), servers
        return list(self._sessions.tools(stopped))
