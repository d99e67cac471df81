"""The hubs on the Settings page: an access token each, entered once and never shown again, and a mirror."""

from __future__ import annotations

import os

import streamlit as st

from backend import hubs
from backend import settings as store
from backend.errors import PanelError
from backend.hubs import HUBS, Hub
from backend.i18n import _
from backend.settings import Settings
from backend.workspace import ROOT, Workspace
from ui import errors, words

MODELS_PAGE = ROOT / "pages" / "models.py"
_PROBLEM = "hubs_problem"


def draw(workspace: Workspace, now: Settings) -> None:
    """One box a hub; that of the address (``?hub=``) is open, and leads back to the download that needed it."""
    st.caption(
        _(
            "Public models need no token. One is needed for models that are private or whose licence must be accepted; "
            "make it on the hub's own pages, with read access only."
        )
    )
    asked = st.query_params.get("hub", "")
    if asked in HUBS and st.query_params.get("job", "").isdecimal():
        st.page_link(
            MODELS_PAGE,
            label=_("Back to the downloads"),
            icon=":material/arrow_back:",
            query_params={"view": "download"},
        )
    for key, hub in HUBS.items():
        since, address = hubs.token_since(workspace, key), hubs.endpoint(now, key)
        state = [_("token kept") if since is not None else _("no token")]
        if address != hub.home:
            state.append(_("mirror"))
        box = st.expander(
            f"{hub.title} · {' · '.join(state)}",
            icon=":material/key:" if since is not None else ":material/cloud:",
            expanded=key == asked or st.session_state.get(_PROBLEM, {}).get("hub") == key,
        )
        with box:
            _token(workspace, key, hub, since)
            _mirror(workspace, key, hub, now)


def _token(workspace: Workspace, key: str, hub: Hub, since: float | None) -> None:
    problem = st.session_state.get(_PROBLEM, {})
    if problem.get("hub") == key:
        errors.show(problem["error"], key=f"hub_{key}")
    page = f"{hub.home}/{hub.tokens}"
    if since is not None:
        st.markdown(
            ":green[:material/check_circle:] "
            + _("An access token is kept here since {time}. It cannot be shown.").format(time=words.stamp(since))
        )
    with st.form(f"hub_token_{key}", border=False):
        st.text_input(
            _("New access token for {hub}").format(hub=hub.title)
            if since is not None
            else _("Access token for {hub}").format(hub=hub.title),
            key=f"hub_token_text_{key}",
            type="password",
            autocomplete="off",
            help=_("Made on {page}, with read access.").format(page=page),
        )
        with st.container(horizontal=True):
            st.form_submit_button(
                _("Replace token") if since is not None else _("Keep token"),
                key=f"hub_token_keep_{key}",
                icon=":material/save:",
                on_click=_keep,
                args=(workspace, key),
            )
            st.link_button(_("Make a token"), page, icon=":material/open_in_new:", type="tertiary")
    st.caption(
        _(
            "Kept in {file}, which only the account that TuneDeck runs under can read. It is sent to {address} alone."
        ).format(file=f"`{hubs.token_file(workspace, key)}`", address=f"`{hubs.endpoint(store.load(workspace), key)}`")
    )
    if since is not None:
        with st.popover(_("Forget the token"), icon=":material/key_off:", type="tertiary"):
            st.markdown(
                _("The file is deleted. On the hub the token stays valid until you delete it there: {page}").format(
                    page=page
                )
            )
            st.button(
                _("Forget the token for {hub}").format(hub=hub.title),
                key=f"hub_token_forget_{key}",
                on_click=_forget,
                args=(workspace, key),
            )


def _mirror(workspace: Workspace, key: str, hub: Hub, now: Settings) -> None:
    fixed = bool(os.environ.get(f"TUNEDECK_{hub.mirror.upper()}"))
    with st.form(f"hub_mirror_{key}", border=False):
        st.text_input(
            _("Mirror of {hub}").format(hub=hub.title),
            value=getattr(now, hub.mirror),
            key=f"hub_mirror_text_{key}",
            placeholder=hub.home,
            disabled=fixed,
            help=_("An address that answers like the hub, where the hub itself cannot be reached. Empty: the hub."),
        )
        st.form_submit_button(
            _("Save mirror"),
            key=f"hub_mirror_save_{key}",
            icon=":material/save:",
            disabled=fixed,
            on_click=_save_mirror,
            args=(workspace, key),
        )
    if fixed:
        st.caption(_("Set by the variable TUNEDECK_{name}; change it there.").format(name=hub.mirror.upper()))


def _keep(workspace: Workspace, key: str) -> None:
    """Callback: keep what was typed; it leaves the session at once, whether it could be kept or not."""
    typed = str(st.session_state[f"hub_token_text_{key}"])
    st.session_state[f"hub_token_text_{key}"] = ""
    st.session_state.pop(_PROBLEM, None)
    if not typed.strip():
        return
    try:
        hubs.save_token(workspace, key, typed)
    except PanelError as error:
        _failed(key, error)
        return
    st.session_state["settings_saved"] = True


def _forget(workspace: Workspace, key: str) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        hubs.save_token(workspace, key, "")
    except PanelError as error:
        _failed(key, error)


def _save_mirror(workspace: Workspace, key: str) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        store.save(workspace, **{HUBS[key].mirror: st.session_state[f"hub_mirror_text_{key}"].strip()})
    except PanelError as error:
        _failed(key, error)
        return
    st.session_state["settings_saved"] = True


def _failed(key: str, error: PanelError) -> None:
    st.session_state[_PROBLEM] = {"hub": key, "error": error.to_dict()}
