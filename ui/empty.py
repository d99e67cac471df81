"""The empty state, the same on every page: what will stand here, and the button that fills it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st


@contextmanager
def state(icon: str, title: str, text: str, *, key: str) -> Iterator[None]:
    """Draw it; what is drawn inside are the buttons, the first one being the primary one. icon: a Material icon's name."""
    with st.container(border=True, horizontal_alignment="center", key=key):
        st.markdown(f":material/{icon}: **{title}**", width="content")
        st.markdown(text, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            yield
