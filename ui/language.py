"""Which language a person reads: their own choice (a cookie), else the workspace's setting, else their browser's."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from backend import i18n

COOKIE = "tunedeck_language"
_KEY, _CHOSEN = "language", "language_chosen"
_YEAR_S = 365 * 24 * 3600


def apply(setting: str) -> str:
    """Set the language of this run; ``setting`` is the workspace's ``language``. Returns its code."""
    i18n.follow(_of_session)
    code = st.session_state.get(_KEY) or _first_guess(setting)
    st.session_state[_KEY] = code
    i18n.use(code)
    return code


def choose(code: str) -> None:
    """The person chose ``code``: from the next run on, and on their next visit, the panel speaks it."""
    if code in i18n.LANGUAGES:
        st.session_state[_KEY] = code
        st.session_state[_CHOSEN] = True
        i18n.use(code)


def remember() -> None:
    """Keep the person's choice for their next visit; draw it where an empty element takes no room."""
    if not st.session_state.get(_CHOSEN):
        return
    # A script cannot set a cookie in a response; the page itself can. The value is one of our own two codes. In every
    # run from now on, not in one: the next run may come before the browser has run this.
    cookie = f"{COOKIE}={i18n.current()};path=/;max-age={_YEAR_S};samesite=strict"
    st.html(f"<script>document.cookie='{cookie}'</script>", unsafe_allow_javascript=True, width="content")


def _first_guess(setting: str) -> str:
    cookie = st.context.cookies.to_dict().get(COOKIE, "")
    if cookie in i18n.LANGUAGES:
        return cookie
    if setting in i18n.LANGUAGES:
        return setting
    return i18n.guess(st.context.locale)


def _of_session() -> str | None:
    """For callbacks and timed redraws, which run in a thread of their own before or without the frame."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    code = st.session_state.get(_KEY)
    return code if isinstance(code, str) else None
