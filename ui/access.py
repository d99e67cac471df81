"""The ways in, on the Settings page: the panel's address and login link, and the API keys for programs."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.web.address import ssh_line
from backend.web.keys import Key, Keys
from backend.web.token import Token
from backend.workspace import Workspace
from ui import connect, errors, words

_PROBLEM, _MADE = "access_problem", "key_made"


def address(workspace: Workspace) -> None:
    """The address, the ssh line, the login link (on request) and the way to replace it."""
    st.caption(_("This panel answers at"))
    st.code(connect.origin(), language=None, wrap_lines=True)
    st.caption(_("From another computer, run this there first; then the address above opens the panel there too."))
    st.code(ssh_line(port()), language="bash", wrap_lines=True)
    with st.container(horizontal=True):
        shown = st.popover(_("Show the login link"), icon=":material/link:", key="login_link", on_change="rerun")
        if shown.open:  # the token is not sent to the browser before somebody asks for it
            with shown:
                st.caption(_("Whoever has this link can use the panel as you do. Give it to people you trust."))
                st.code(_login_link(workspace), language=None, wrap_lines=True)
        with st.popover(_("Make a new login link"), icon=":material/lock_reset:", key="new_link"):
            st.markdown(
                _(
                    "The old link stops working, and every browser is logged out, this one too. Jobs and servers go "
                    "on. Afterwards the new link is printed by `make token` in the panel's folder on the server."
                )
            )
            st.button(_("Log everyone out"), key="replace_token", on_click=_replace, args=(workspace,))


def keys(workspace: Workspace) -> None:
    """Create, list and revoke API keys; a new key is shown until it was copied, and never again."""
    book = Keys(workspace)
    st.markdown(
        _("A key lets a program use the models that run here, through {url}. It does not open this page.").format(
            url=f"`{connect.origin()}/v1`"
        )
    )
    new_key(book)
    known = book.list()
    for key in known:
        _row(book, key)
    if not known:
        st.caption(_("No keys yet. Programs need one; people who use this page do not."))


def fresh_key() -> str:
    """The key that was made in this tab and is still shown; nothing otherwise."""
    return str(st.session_state.get(_MADE, ("", ""))[1])


def new_key(book: Keys) -> None:
    """The form for one more key, and the key that was just made, until the person has copied it."""
    if _PROBLEM in st.session_state:
        errors.show(st.session_state[_PROBLEM], key="keys")
    with (
        st.form("new_key", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input(_("Name of the new key"), key="key_name", placeholder=_("notebook"), max_chars=64)
        st.form_submit_button(_("Create key"), icon=":material/add:", on_click=_create, args=(book,))
    made = st.session_state.get(_MADE)
    if made:  # until the person says so: a page that redraws itself must not take the key away
        with st.container(border=True, key="key_made_card"):
            st.markdown(
                ":green[:material/check_circle:] "
                + _("The key {name}. Copy it now: it cannot be shown again.").format(
                    name=f"**{errors.plain(made[0])}**"
                )
            )
            st.code(made[1], language=None, wrap_lines=True)
            st.button(_("I have copied it"), key="key_copied", on_click=lambda: st.session_state.pop(_MADE, None))


def _row(book: Keys, key: Key) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"key_{key.digest[:12]}"):
        st.markdown(f"**{errors.plain(key.name)}**  \n`{key.prefix}…`")
        used = _("used {ago}").format(ago=words.ago(key.last_used)) if key.last_used else _("never used")
        st.caption(
            _("made {ago} · {used}").format(ago=words.ago(key.created), used=used), help=words.stamp(key.last_used)
        )
        with st.popover(_("Revoke"), type="tertiary", icon=":material/key_off:"):
            st.markdown(_("Programs that use this key are refused from now on. This cannot be undone."))
            st.button(
                _("Revoke {name}").format(name=errors.plain(key.name)),
                key=f"revoke_{key.digest[:12]}",
                on_click=_revoke,
                args=(book, key.prefix),
            )


def _create(book: Keys) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        key, text = book.create(st.session_state["key_name"])
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    st.session_state[_MADE] = (key.name, text)
    st.session_state["key_name"] = ""


def _revoke(book: Keys, prefix: str) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        book.revoke(prefix)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def _replace(workspace: Workspace) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        Token(workspace).replace()
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def _login_link(workspace: Workspace) -> str:
    return f"{connect.origin()}/?token={quote(Token(workspace).current() or '')}"


def port() -> int:
    """The panel's own port on this machine."""
    return int(urlsplit(f"//127.0.0.1:{st.get_option('server.port')}").port or 8501)
