"""The *Connect* part of the Deploy page: address, key, and an example for every kind of program, filled in."""

from __future__ import annotations

import streamlit as st

from backend.deploy import connect as examples
from backend.deploy.connect import KEY_VARIABLE, SIMPLE_PATH, Snippet
from backend.i18n import N_, _
from backend.web.address import ssh_line
from backend.web.keys import Keys
from ui import access, connect, context, errors, serving

NOTES = {
    "JavaScript": N_("For Node.js 18 or newer, or Deno. A web page of another site is not let in."),
    "LMDeploy": N_(
        "For programs that use the client which LMDeploy had up to version 0.17; its address is the one without /v1. Newer "
        "versions have none of their own and go through openai."
    ),
    "prompt → response": N_(
        "For programs written after older course notes: send a prompt, get a response. Point them to {path} on this port "
        "instead of port 6006, and add the key. The history is a list of [question, answer] pairs; the model may be left "
        "out where only one runs."
    ),
}
"""What has to be said about an example, by its tab."""


def draw() -> None:
    """Choose a model that runs, make a key, copy an example."""
    running = sorted(serving.answering())
    if not running:
        with st.container(border=True, key="connect_empty"):
            st.markdown(
                _(
                    "No model answers now, so there is nothing to connect to. Start a server; its address and examples "
                    "for every kind of program stand here then."
                )
            )
            st.button(_("Go to the servers"), key="connect_back", icon=":material/dns:", on_click=_to_servers)
        return
    asked = st.query_params.get("model", "")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            _("Model"),
            running,
            index=running.index(asked) if asked in running else 0,
            key="connect_model",
            filter_mode=None,
            width=320,
        )
        here = _where()
    connect.names(here, model)
    _key()
    _examples(here, model)
    _tunnel()


def _to_servers() -> None:
    st.query_params["view"] = "servers"


def _where() -> str:
    """The address that a program has to use: as this browser sees the panel, or as the server itself does."""
    seen, own = connect.origin(), f"http://127.0.0.1:{access.port()}"
    if seen in (own, own.replace("127.0.0.1", "localhost")):
        return seen
    place = st.segmented_control(
        _("The program runs"),
        ["here", "server"],
        key="connect_where",
        default="here",
        required=True,
        format_func=lambda at: _("on this computer") if at == "here" else _("on the server"),
    )
    return own if place == "server" else seen


def _key() -> None:
    """The variable that all examples read, and a key for it."""
    st.markdown(
        _(
            "Every program needs an API key. The examples take it from the variable {variable}, set once a terminal:"
        ).format(variable=f"`{KEY_VARIABLE}`")
    )
    fresh = access.fresh_key()
    if fresh:
        st.code(examples.export(fresh), language="bash", wrap_lines=True)
    else:
        st.code(examples.export(), language="bash", wrap_lines=True)
    with st.expander(_("Make a key here"), icon=":material/key:", expanded=bool(fresh), type="compact"):
        access.new_key(Keys(context.workspace()))


def _examples(here: str, model: str) -> None:
    by_tab: dict[str, list[Snippet]] = {}
    for snippet in examples.snippets(here, model, _("Who are you?")):
        by_tab.setdefault(snippet.tab, []).append(snippet)
    for place, (tab, found) in zip(st.tabs(list(by_tab)), by_tab.items(), strict=True):
        with place:
            if tab in NOTES:
                st.caption(errors.plain(_(NOTES[tab]).format(path=SIMPLE_PATH)))
            for snippet in found:
                st.code(snippet.text, language=snippet.language, wrap_lines=True)
            needs = next((snippet.needs for snippet in found if snippet.needs), "")
            if needs:
                st.caption(_("Needs this, once:") + f" `pip install {needs}`")


def _tunnel() -> None:
    with st.expander(_("The program runs on another computer"), icon=":material/lan:", type="compact"):
        st.markdown(
            _(
                "Nothing here is open to the network. Run this on that computer and leave it open; then the address "
                "above works there, too."
            )
        )
        st.code(ssh_line(access.port()), language="bash", wrap_lines=True)
