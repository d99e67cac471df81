"""What the views of the Datasets page share: the store of sets, what went wrong or well at the last press, and where one is."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import streamlit as st

from backend.data.store import Datasets
from backend.errors import PanelError
from backend.workspace import ROOT
from ui import context, errors

PAGE = ROOT / "pages" / "datasets.py"
SET, VERSION, PART, ROW = "set", "version", "part", "row"
"""The address's parameters: which set, which version of it, which of its views, and the row that it begins with."""
PROBLEM, SAID = "datasets_problem", "datasets_said"


def sets() -> Datasets:
    """The datasets of this panel's workspace."""
    return Datasets(context.workspace())


def key_of(name: str) -> str:
    """What widgets of the set ``name`` are called after: any text can be a name, and a key becomes a CSS class."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page."""
    for name in (PROBLEM, SAID):
        st.session_state.pop(name, None)
    try:
        yield
    except PanelError as error:
        st.session_state[PROBLEM] = error.to_dict()


def say(text: str) -> None:
    """Tell what went well, once, at the next drawing of the page."""
    st.session_state[SAID] = text


def notices() -> None:
    """Draw what went wrong, or well, at the last press."""
    stored: dict[str, Any] | None = st.session_state.get(PROBLEM)
    if stored:
        errors.show(stored, key="datasets")
    said = st.session_state.pop(SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")


def address(name: str, *, version: str = "", part: str = "", row: int | None = None) -> dict[str, str]:
    """The address's parameters of a view of the set ``name``. row: its number, from 1."""
    found = {SET: name, VERSION: version, PART: part, ROW: str(row) if row else ""}
    return {key: value for key, value in found.items() if value}
