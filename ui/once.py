"""A double click is one wish: the key under which a submit is known, the same for clicks that follow at once."""

from __future__ import annotations

import time
import uuid

import streamlit as st

SAME_CLICK_S = 2.0


def submit_key(name: str) -> str:
    """The ``submit_key`` for the button ``name`` in this tab, for use in its callback.

    Clicks within two seconds share one key, so the queue makes one job of them. Streamlit gives a second click to the
    callback although the first one has replaced the page, so a key made when the button is drawn would not do.
    """
    now = time.monotonic()
    key, last = st.session_state.get(f"once_{name}", ("", 0.0))
    if not key or now - last > SAME_CLICK_S:
        key = f"{name}-{uuid.uuid4().hex}"
    st.session_state[f"once_{name}"] = (key, now)
    return str(key)
