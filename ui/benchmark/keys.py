"""The key of a server that is not ours: one that is kept by a name, or a new one. The key itself is in no spec and no log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import streamlit as st

from backend.bench import keys
from backend.i18n import _
from ui import context
from ui.benchmark import state as benchmark_state

NAME, SECRET, CHOSEN = "benchmark_key_name", "benchmark_key_secret", "benchmark_key"


def draw(problems: Callable[[], AbstractContextManager[None]] = benchmark_state.problems) -> str:
    """The choice of a key; returns its name, empty for none. problems: how the page shows what goes wrong at a press."""
    names = ["", *keys.names(context.workspace())]
    if st.session_state.get(CHOSEN) not in names:
        st.session_state[CHOSEN] = ""
    chosen = st.selectbox(
        _("Key"),
        names,
        key=CHOSEN,
        format_func=lambda name: name or _("none"),
        filter_mode=None,
        help=_("For a server that wants one. It is kept on this machine, in a file that only you can read."),
    )
    with st.popover(_("Keep a key"), icon=":material/key:", type="tertiary"):
        st.text_input(_("Name for it"), key=NAME, placeholder="lab-server", max_chars=64)
        st.text_input(_("Key"), key=SECRET, type="password")
        st.button(_("Keep it"), key="benchmark_key_keep", icon=":material/save:", on_click=_keep, args=(problems,))
    return str(chosen)


def _keep(problems: Callable[[], AbstractContextManager[None]]) -> None:
    """Callback: keep what was typed, and choose it."""
    name = str(st.session_state.get(NAME) or "").strip()
    with problems():
        keys.save(context.workspace(), name, str(st.session_state.get(SECRET) or ""))
        st.session_state[CHOSEN] = name
        st.session_state[NAME] = ""
    st.session_state[SECRET] = ""  # wherever it went, it stays in no field
