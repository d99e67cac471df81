"""Which browser this is: a random name in a cookie, so that what one person has read stays news to the others."""

from __future__ import annotations

import secrets

import streamlit as st

from backend.notices import visits

COOKIE = "tunedeck_visitor"
_NAME, _NEW = "visitor", "visitor_new"
_YEAR_S = 365 * 24 * 3600


def name() -> str:
    """The name of this person's browser, the same on their next visit."""
    known = st.session_state.get(_NAME)
    if not known:
        cookie = st.context.cookies.to_dict().get(COOKIE, "")
        known = cookie if visits.known(cookie) else secrets.token_hex(16)
        st.session_state[_NAME], st.session_state[_NEW] = known, known != cookie
    return str(known)


def remember() -> None:
    """Keep the name for the next visit; draw it where an empty element takes no room."""
    if not st.session_state.get(_NEW):
        return
    # As for the language: a script cannot set a cookie in a response. Another tab that came first keeps its name.
    cookie = f"{COOKIE}={name()};path=/;max-age={_YEAR_S};samesite=strict"
    script = f"if(!document.cookie.includes('{COOKIE}='))document.cookie='{cookie}'"
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True, width="content")
