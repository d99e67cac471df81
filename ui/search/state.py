"""What the Search page works on. Its whole state stands in the address, so that a link can be shared and the way back works."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from backend.search import KINDS, Sources
from backend.search.words import MOST_CHARS
from backend.workspace import ROOT
from ui import context
from ui.agent import state as agent_state
from ui.chat import state as chat_state
from ui.evaluate import state as evaluate_state

PAGE = ROOT / "pages" / "search.py"
QUERY, KIND, MOST, DOC, SECTION = "q", "kind", "n", "doc", "section"
"""The address's parameters: what is looked for, in which kinds, how many of one kind; or the part of the documentation that is read."""
STEP, LIMIT = 50, 1000
"""Hits of one kind that are shown at first, and at most."""


def asked() -> str:
    """What is looked for, as it was typed."""
    return str(st.query_params.get(QUERY, ""))


def kinds() -> list[str]:
    """The kinds that are asked for; none: all."""
    named = str(st.query_params.get(KIND, "")).split(",")
    return [kind for kind in KINDS if kind in named]


def most() -> int:
    """How many hits of one kind are shown."""
    told = str(st.query_params.get(MOST, ""))
    return min(max(int(told), STEP), LIMIT) if told.isascii() and told.isdigit() and len(told) < 6 else STEP


def address(text: str, of: Iterable[str] = (), shown: int = 0) -> dict[str, str]:
    """The address's parameters of a search."""
    found = {QUERY: text, KIND: ",".join(of), MOST: str(shown) if shown else ""}
    return {name: value for name, value in found.items() if value}


def sources() -> Sources:
    """What is searched: the stores that this panel has open."""
    return Sources(context.workspace(), context.store, chat_state.conversations, agent_state.store, evaluate_state.runs)


def search(key: str) -> None:
    """Callback: look for what stands in the input ``key``, in the same kinds as before."""
    text = str(st.session_state.get(key) or "")[:MOST_CHARS].strip()
    st.query_params.from_dict(address(text, kinds()))


def choose(key: str) -> None:
    """Callback: look in the kinds that are chosen in ``key``."""
    st.query_params.from_dict(address(asked(), st.session_state.get(key) or ()))
