"""Models. Its user wants to know: which models are here, which of them answer now, how a program of mine uses one."""

from __future__ import annotations

import hashlib

import streamlit as st

from backend import catalog
from backend.errors import PanelError
from backend.i18n import _
from ui import context, errors, model_card, serving

SEARCH_FROM = 8
SHOWN = 30


def add() -> None:
    """Callback of the form: put the folder on the list, and empty the form when that went well."""
    path, name = st.session_state["add_path"].strip(), st.session_state["add_name"].strip()
    st.session_state.pop("models_problem", None)
    if not path:
        return
    try:
        added = catalog.add(context.workspace(), path, name or None)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["add_path"] = st.session_state["add_name"] = ""
    st.session_state["add_done"] = added.name


st.title(_("Models"), anchor=False)
st.caption(
    _(
        "Models on this machine. Start one, and it answers on the Chat page and to programs that speak the OpenAI protocol."
    )
)
serving.problem()
stored = st.session_state.get("models_problem")
if stored:
    errors.show(stored, key="models")
done = st.session_state.pop("add_done", None)
if done:
    st.toast(_("{model} is on the list now.").format(model=errors.plain(done)), icon=":material/check_circle:")

cards = catalog.models(context.workspace())
folded = st.expander(_("Add a model"), icon=":material/add:", expanded=bool(stored), key="add_model")
with folded, st.form("add", border=False):
    st.text_input(
        _("Folder on this server"),
        key="add_path",
        placeholder="/data/models/Qwen3-0.6B",
        help=_("The folder that holds config.json and the safetensors files. Nothing is copied."),
    )
    st.text_input(
        _("Name"),
        key="add_name",
        placeholder=_("the folder's name"),
        help=_("What people and programs will call it. Leave it empty to take the folder's name."),
    )
    st.form_submit_button(_("Add to the list"), icon=":material/add:", on_click=add)

if len(cards) > SEARCH_FROM:
    wanted = st.text_input(_("Search"), type="search", key="models_search", label_visibility="collapsed").casefold()
    cards = [card for card in cards if wanted in f"{card.name} {card.architecture}".casefold()]


def listing() -> None:
    """The cards, redrawn by themselves while a server comes up or goes down."""
    jobs, servers = serving.jobs(), serving.answering()
    # One primary button a screen: talk to what runs, else start the first that can be started.
    first = next((c.name for c in cards if c.name in servers), "" if jobs else _startable())
    for card in cards[:SHOWN]:
        # Any text can be a name; a widget's key becomes a CSS class.
        key = hashlib.sha256(card.name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        model_card.draw(card, jobs.get(card.name), servers.get(card.name), key=key, primary=card.name == first)
    if len(cards) > SHOWN:
        st.caption(_("{n} more: narrow the search to see them.").format(n=len(cards) - SHOWN))
    if not cards:
        st.caption(_("No model has that in its name."))
    if changing != serving.changing():
        st.rerun()  # the timer of this list starts when a server comes up or goes down, and ends with it


def _startable() -> str:
    return next((card.name for card in cards if card.problem is None), "")


changing = serving.changing()
st.fragment(errors.guarded(listing, "listing"), run_every=2 if changing else None)()
