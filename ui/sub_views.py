"""The parts of one page: a horizontal menu whose choice stands in the address. The one place that uses option-menu.

streamlit-option-menu is an iframe of its own, so: its icons (Bootstrap's) are in its wheel and nothing is fetched; the
theme's colours reach it, the theme's web fonts do not, it falls back to the system's sans-serif. Its entries are links
that take the keyboard's focus. It knows neither addresses nor the way back: both are done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import streamlit as st
from streamlit_option_menu import option_menu

# Only the component's own variables know light from dark. vw is the frame's width: on a phone all of it gets smaller, and
# where that is not enough it scrolls. No weight changes with the choice, so that nothing moves.
STYLES = {
    "container": {
        "padding": "0",
        "margin": "0",
        "max-width": "100%",
        "background-color": "transparent",
        "border-radius": "0",
    },
    "nav": {
        "flex-wrap": "nowrap",
        "justify-content": "flex-start",
        "overflow-x": "auto",
        "scrollbar-width": "none",
        "padding": "4px 4px 0",  # room for the ring around what has the focus
        "border-bottom": "1px solid color-mix(in srgb, var(--text-color) 18%, transparent)",
    },
    "nav-item": {"flex": "0 0 auto"},
    "nav-link": {
        "font-family": "var(--font)",
        "font-size": "clamp(12px, 3.3vw, 13.5px)",
        "font-weight": "400",
        "color": "color-mix(in srgb, var(--text-color) 72%, transparent)",
        "margin": "0",
        "padding": "8px clamp(5px, 1.5vw, 14px)",
        "white-space": "nowrap",
        "border-radius": "0",
        "--hover-color": "var(--secondary-background-color)",
    },
    "nav-link-selected": {
        "font-weight": "400",
        "color": "var(--text-color)",
        "background-color": "transparent",
        "box-shadow": "inset 0 -2px 0 var(--primary-color)",
    },
    "icon": {"font-size": "1.05em", "margin-right": "0.2em"},
}


class _Memory(TypedDict):
    """mount: how often the component was made anew. start: the entry it was made with. chosen: the one shown last."""

    mount: int
    start: str
    chosen: str


def sub_views(options: Sequence[tuple[str, str, str]], current: str, key: str) -> str:
    """Draw the menu; returns the key of the chosen entry.

    Args:
        options: (key, label, icon) of each entry; ``icon`` is a name of Bootstrap's icons, such as ``download``.
        current: the entry where the address names none.
        key: name of the address's query parameter, unique on the page. Setting it, here or in a link, chooses an entry.
    """
    keys = [option for option, _label, _icon in options]
    labels = {label: option for option, label, _icon in options}
    asked = st.query_params.get(key, current)
    asked = asked if asked in keys else current
    memory: _Memory = st.session_state.get(f"{key}_menu") or _Memory(mount=0, start=asked, chosen=asked)
    # What the component said last; nothing where it was not drawn since, or said it in another language.
    said = labels.get(str(st.session_state.get(f"{key}_menu_{memory['mount']}") or ""))
    if said is not None and said != memory["chosen"]:
        memory = {**memory, "chosen": said}
        st.query_params[key] = said
    elif asked != memory["chosen"] or (said is None and asked != memory["start"]):
        # The address changed (a link, the way back): the component takes a choice only when it is made.
        memory = {"mount": memory["mount"] + 1, "start": asked, "chosen": asked}
    st.session_state[f"{key}_menu"] = memory
    option_menu(
        None,
        list(labels),
        icons=[icon for _option, _label, icon in options],
        default_index=keys.index(memory["start"]),
        orientation="horizontal",
        styles=STYLES,
        key=f"{key}_menu_{memory['mount']}",
    )
    return memory["chosen"]
