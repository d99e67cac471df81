"""The parts of one page: a row of links, of which one is current; the choice stands in the address, and nowhere else.

A small component of ours, because Streamlit has none of this kind: its tabs want to hold what they show, its links
to a page mark all that lead to the same page. These can be opened in a new tab, and are told as links, one of them current.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from backend.i18n import _
from ui import component

_MENU = component.beside(__file__, "tunedeck_sub_views", "<nav></nav>")


def sub_views(options: Sequence[tuple[str, str, str]], current: str, key: str) -> str:
    """Draw the menu; returns the key of the chosen entry.

    Args:
        options: (key, label, icon) of each entry; ``icon`` as Streamlit takes it, such as ``:material/download:``.
        current: the entry where the address names none, or one that is not there.
        key: name of the address's query parameter, unique on the page. Setting it, here or in a link, chooses an entry.
    """
    keys = [option for option, _label, _icon in options]
    asked = st.query_params.get(key, current)
    chosen = asked if asked in keys else current
    widget = f"{key}_menu"

    def choose() -> None:
        wanted = st.session_state[widget].get("choose")
        if wanted in keys:  # the browser's word is only a key to look up
            st.query_params[key] = wanted

    data = {"label": _("Parts of this page"), "current": chosen, "parts": [_part(key, *one) for one in options]}
    pressed = _MENU(key=widget, data=data, on_choose_change=choose).get("choose")
    if pressed in keys and pressed != chosen:
        # Pressed while the panel was gone, and now again: for a new session that is no change, of which it would call.
        st.query_params[key] = pressed
        st.rerun()
    return chosen


def _part(key: str, option: str, label: str, icon: str) -> dict[str, str]:
    """What is sent to the browser of one entry; its address keeps all that the page's own one says beside it."""
    kept = [(name, value) for name in st.query_params for value in st.query_params.get_all(name) if name != key]
    return {
        "key": option,
        "label": label,
        "icon": icon.removeprefix(":material/").removesuffix(":"),
        "href": "?" + urlencode([*kept, (key, option)]),
    }
