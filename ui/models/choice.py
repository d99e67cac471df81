"""Which model is talked to: the choice above a conversation, with its state beside it. Chat and Agent share it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from backend import catalog
from backend.engines import refusal_of_each, serving
from backend.i18n import _
from backend.servers import asleep, running_servers
from ui import context, words


def models(chosen: str | None) -> dict[str, bool]:
    """Models that can talk, by name, and whether each answers now: those that answer first. ``chosen`` stays named, also when it is gone."""
    names = {name: True for server in running_servers(context.store()) if server.ready for name in server.names()}
    cards = catalog.models(context.workspace(), catalog.TRUST_S)
    # A model without a template cannot take a conversation; the Models page says why one cannot be served.
    talking = [card for card in cards if card.served.chat_template]
    for card, refused in zip(talking, refusal_of_each(talking), strict=True):
        if refused is None:
            names.setdefault(card.name, False)
    if chosen:
        names.setdefault(chosen, False)
    return names


def pick(key: str, offered: dict[str, bool], changed: Callable[[], None]) -> bool:
    """Draw the choice under ``key``, and the state of what is chosen; returns whether it answers now."""
    if st.session_state.get(key) not in offered:
        st.session_state[key] = next(iter(offered), None)
    # The state stands beside the name, not in it: Streamlit knows an option by its words.
    chosen = st.selectbox(
        _("Model"),
        list(offered),
        key=key,
        placeholder=_("No model can talk yet"),
        on_change=changed,
        label_visibility="collapsed",
        filter_mode=None,
        width=200,
    )
    up = bool(chosen and offered[chosen])
    if up and asleep(context.store(), chosen):
        help_text = _("It wakes by itself when you send a message.")
        st.markdown(f":gray-badge[:material/bedtime: {_('asleep')}]", width="content", help=help_text)
    elif up:
        st.markdown(f":green-badge[:material/check_circle: {_('running')}]", width="content")
    elif chosen and serving.find(context.store(), chosen):
        st.markdown(words.STATES["starting"].chip, width="content")
    elif chosen:
        help_text = _("It starts by itself when you send a message.")
        st.markdown(f":gray-badge[:material/stop_circle: {_('not running')}]", width="content", help=help_text)
    return up
