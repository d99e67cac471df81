"""MCP servers: what was added, and the form that adds one. Values of variables and headers are written, never shown again."""

from __future__ import annotations

import shlex
from dataclasses import replace

import streamlit as st

from backend.agent import mcp_servers
from backend.agent.mcp_servers import Kind, Secrets, Server
from backend.errors import ConflictError, PanelError
from backend.i18n import N_, _
from ui import context, errors
from ui.agent import state as agent_state

KINDS: dict[Kind, str] = {
    "stdio": N_("A program on this machine"),
    "http": N_("An address (HTTP)"),
    "sse": N_("An address (older, SSE)"),
}
_PROBLEM, _DRAWN = "agent_mcp_problem", "agent_mcp_drawn"


def draw() -> None:
    """The servers, each with what can be done with it, and the form; both folded away."""
    try:
        servers = mcp_servers.listed(context.workspace())
    except PanelError:
        return  # the popover above shows it
    with st.expander(_("MCP servers ({n})").format(n=len(servers)), icon=":material/hub:", key="agent_mcp"):
        problem = st.session_state.pop(_PROBLEM, None)
        if problem:
            errors.show(problem, key="agent_mcp")
        for server in servers:
            _one(server)
        _form()


def _one(server: Server) -> None:
    name = errors.plain(server.name)
    where = shlex.join((server.command, *server.args)) if server.kind == "stdio" else server.url
    st.markdown(f"**{name}**" if server.enabled else f"**{name}** :gray-badge[{_('switched off')}]")
    st.code(where, language=None, wrap_lines=True)
    names = ", ".join((*server.env, *server.headers))
    if names:
        st.caption(":material/key: " + errors.plain(names))
    with st.container(horizontal=True, gap="small"):
        st.button(
            _("Switch off") if server.enabled else _("Switch on"),
            key=f"agent_mcp_enabled_{server.name}",
            icon=":material/power_settings_new:",
            on_click=_change,
            args=(replace(server, enabled=not server.enabled),),
        )
        st.button(
            _("Remove"),
            key=f"agent_mcp_remove_{server.name}",
            icon=":material/delete:",
            help=_("It is forgotten with the values of its variables and headers."),
            on_click=_remove,
            args=(server.name,),
        )


def _form() -> None:
    """Each time one was added, the fields are new ones: what was typed is gone with their keys."""
    mark = st.session_state.setdefault(_DRAWN, 0)
    st.markdown("**" + _("Add an MCP server") + "**")
    st.text_input(_("Name"), key=f"agent_mcp_name_{mark}", max_chars=100)
    kind = st.selectbox(
        _("What it is"),
        list(KINDS),
        key=f"agent_mcp_kind_{mark}",
        format_func=lambda name: _(KINDS[name]),
        filter_mode=None,
    )
    if kind == "stdio":
        st.text_input(
            _("Command with its arguments"),
            key=f"agent_mcp_command_{mark}",
            placeholder="python -m my_server --folder '/data/my files'",
        )
        label, example = _("Variables, one a line"), "API_KEY=…"
        note = _("NAME=value. A name alone takes the value from this panel's own environment.")
    else:
        st.text_input(_("Address"), key=f"agent_mcp_url_{mark}", placeholder="https://tools.example.org/mcp")
        label, example, note = _("Headers, one a line"), "Authorization: Bearer …", _("Name: value")
    st.text_area(label, key=f"agent_mcp_values_{mark}", placeholder=example, help=note, height=80)
    st.caption(
        ":material/warning: "
        + _("A server is a program of somebody else: what it is given and what it does is not checked by this panel.")
    )
    st.button(_("Add server"), key="agent_mcp_add", icon=":material/add:", on_click=_add, args=(mark, kind))


def _add(mark: int, kind: Kind) -> None:
    typed = {
        name: str(st.session_state.get(f"agent_mcp_{name}_{mark}") or "").strip()
        for name in ("name", "command", "url", "values")
    }
    try:
        server, secrets = made(kind, **typed)
        mcp_servers.add(context.workspace(), server, secrets)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    st.session_state[_DRAWN] = mark + 1
    agent_state.change(tools=(*agent_state.options().tools, f"mcp:{server.name}"))


def made(kind: Kind, name: str, command: str, url: str, values: str) -> tuple[Server, Secrets]:
    """The server that was typed, and its values.

    Raises:
        ConflictError: ``mcp_line_bad``, ``mcp_command_quotes``.
    """
    if kind == "stdio":
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ConflictError(
                "mcp_command_quotes",
                N_("A quote in the command is not closed."),
                N_("Put quotes around arguments with blanks, and close them."),
            ) from error
        names, given = _pairs(values, "=")
        server = Server(name, kind, command=words[0] if words else "", args=tuple(words[1:]), env=names)
        return server, Secrets(env=given)
    names, given = _pairs(values, ":")
    if bare := [each for each in names if each not in given]:
        raise _bad_line(names.index(bare[0]) + 1, "Name: value")
    return Server(name, kind, url=url, headers=names), Secrets(headers=given)


def _pairs(text: str, sign: str) -> tuple[tuple[str, ...], dict[str, str]]:
    names, values = [], {}
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), start=1):
        name, found, value = line.partition(sign)
        if not name.strip():
            raise _bad_line(number, "NAME=value" if sign == "=" else "Name: value")
        names.append(name.strip())
        if found:
            values[name.strip()] = value.strip()
    return tuple(names), values


def _bad_line(number: int, form: str) -> ConflictError:
    """The line is not shown: it may hold a secret."""
    return ConflictError(
        "mcp_line_bad",
        N_("Line {number} of the values is not of the form {form}."),
        N_("Write one a line, the name first."),
        number=number,
        form=form,
    )


def _change(server: Server) -> None:
    try:
        mcp_servers.change(context.workspace(), server)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def _remove(name: str) -> None:
    try:
        mcp_servers.remove(context.workspace(), name)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    agent_state.change(tools=[tool for tool in agent_state.options().tools if tool != f"mcp:{name}"])
