"""Which tools an agent may call: our own, with what can be set for them, and the MCP servers that were added."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.agent import mcp_servers, tool_settings
from backend.agent.mcp_servers import Server
from backend.agent.own_tools import ARXIV, BY_NAME, OWN, PYTHON, WEB_PAGE, OwnTool
from backend.errors import PanelError
from backend.i18n import _
from ui import context, errors
from ui.agent import servers as agent_servers
from ui.agent import state as agent_state
from ui.agent import words as agent_words

MCP = "mcp:"
"""``mcp:NAME`` among the tools: all tools of that server."""
_PROBLEM = "agent_tools_problem"


def popover() -> None:
    """The button that says how many are on, and what is behind it."""
    try:
        servers = [server for server in mcp_servers.listed(context.workspace()) if server.enabled]
        damaged = None
    except PanelError as error:
        servers, damaged = [], error
    on = chosen(servers)
    with st.popover(_("Tools ({n})").format(n=len(on)), icon=":material/construction:", key="agent_tools"):
        for tool in OWN:
            _own(tool, tool.name in on)
        if servers:
            st.divider()
            st.caption(_("Tools of MCP servers. They ask you before each call, unless the server says they only read."))
        for server in servers:
            _switch(f"{MCP}{server.name}", errors.plain(server.name), f"{MCP}{server.name}" in on)
        _unasked()
        st.divider()
        if damaged is not None:
            errors.show(damaged, key="agent_mcp_damaged")
        agent_servers.draw()


def chosen(servers: list[Server]) -> list[str]:
    """Those that are on and still there."""
    known = {*BY_NAME, *(f"{MCP}{server.name}" for server in servers)}
    return [name for name in agent_state.options().tools if name in known]


def _own(tool: OwnTool, on: bool) -> None:
    _switch(tool.name, f"{tool.icon} {_(tool.title)}", on)
    mark = f":orange-badge[:material/public: {_('reaches other machines')}] " if tool.network else ""
    st.caption(mark + _(tool.purpose))
    if on and tool in (WEB_PAGE, ARXIV, PYTHON):
        with st.expander(
            _("Settings of this tool"), icon=":material/settings:", key=f"agent_set_{tool.name}", type="compact"
        ):
            _SETTINGS[tool.name](tool_settings.load(context.workspace()).get(tool.name, {}))
            problem = st.session_state.get(_PROBLEM)
            if problem and problem[0] == tool.name:
                del st.session_state[_PROBLEM]
                errors.show(problem[1], key=f"agent_set_{tool.name}")


def _switch(name: str, label: str, on: bool) -> None:
    key = agent_state.field_key(f"tool_{name}")
    st.toggle(label, on, key=key, on_change=_switched, args=(name, key))


def _switched(name: str, key: str) -> None:
    kept = [tool for tool in agent_state.options().tools if tool != name]
    if st.session_state[key]:
        kept.append(name)
    order = list(BY_NAME)
    wanted = sorted(kept, key=lambda each: order.index(each) if each in order else len(order))
    agent_state.change(tools=wanted)


def _unasked() -> None:
    """Tools that may act without asking, and the way back."""
    free = agent_state.options().unasked
    if not free:
        return
    listing = ", ".join(agent_words.tool(name) for name in free)
    st.caption(":material/front_hand: " + _("Run here without asking: {tools}.").format(tools=errors.plain(listing)))
    st.button(
        _("Ask again before each call"),
        key="agent_ask_again",
        icon=":material/undo:",
        on_click=agent_state.change,
        kwargs={"unasked": ()},
    )


def _web_page(now: dict[str, Any]) -> None:
    hosts = st.text_area(
        _("Hosts that may be read"),
        "\n".join(now.get("hosts", ())),
        key="agent_web_hosts",
        placeholder="example.org\n*.example.org",
        help=_("One a line; *.example.org stands for all hosts below example.org. No other host is read."),
    )
    private = st.toggle(
        _("Also hosts of your own network"),
        bool(now.get("private", False)),
        key="agent_web_private",
        help=_("Otherwise addresses of this machine and its network are refused, even where they are listed."),
    )
    _save(WEB_PAGE.name, {"hosts": (hosts or "").splitlines(), "private": private})


def _arxiv(now: dict[str, Any]) -> None:
    url = st.text_input(
        _("Address of the service"),
        str(now.get("base_url", "")),
        key="agent_arxiv_url",
        placeholder=_("arXiv's own"),
        help=_("Only where another machine stands between you and arXiv."),
    )
    _save(ARXIV.name, {"base_url": url or None})


def _python(now: dict[str, Any]) -> None:
    least, most = tool_settings.SECONDS
    seconds = st.number_input(
        _("Longest run (seconds)"), least, most, now.get("seconds"), key="agent_python_seconds", placeholder="30"
    )
    little, much = map(int, tool_settings.MEMORY_MIB)
    memory = st.number_input(
        _("Most memory (MiB)"),
        little,
        much,
        int(now["memory_mib"]) if "memory_mib" in now else None,
        step=128,
        key="agent_python_memory",
        placeholder="1024",
    )
    _save(PYTHON.name, {"seconds": seconds, "memory_mib": memory})


_SETTINGS = {WEB_PAGE.name: _web_page, ARXIV.name: _arxiv, PYTHON.name: _python}


def _save(tool: str, values: dict[str, Any]) -> None:
    label = _("Keep these settings")
    st.button(label, key=f"agent_keep_{tool}", icon=":material/save:", on_click=_keep, args=(tool, values))


def _keep(tool: str, values: dict[str, Any]) -> None:
    try:
        tool_settings.keep(context.workspace(), tool, values)
    except PanelError as error:
        st.session_state[_PROBLEM] = (tool, error.to_dict())
