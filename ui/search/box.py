"""The search at the head of the sidebar, on every page: Enter leads to what was found, Ctrl+K leads to the input."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT

PAGE = ROOT / "pages" / "search.py"
KEY = "search_side"
_ASKED = "search_asked"
MOST_CHARS = 200
# Streamlit draws the navigation before everything else in a sidebar: the input is put above it, and the navigation makes room.
STYLE = """<style>
[data-testid="stSidebarContent"] { position: relative; }
[data-testid="stSidebarNav"] { margin-top: 3.9rem; }
.st-key-search_box { position: absolute; top: 3.4rem; left: 0; right: 0; width: auto; padding: 0 1.25rem; z-index: 1; }
</style>"""
_LISTEN = """<script>
if (!window.tunedeckSearch) {
  window.tunedeckSearch = true;
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    const inputs = document.querySelectorAll('.st-key-search_page input, .st-key-search_side input');
    const seen = [...inputs].find((input) => input.getBoundingClientRect().right > 0 && input.offsetParent !== null);
    if (seen) { event.preventDefault(); seen.focus(); seen.select(); }
  });
}
</script>"""


def draw(here: str) -> None:
    """Draw it. here: the page that is shown, as in its address.

    What was typed leads to the page Search; there the address is changed, so that the way back works.
    """
    if not PAGE.is_file():
        return
    if here == PAGE.stem:
        st.session_state[KEY] = str(st.query_params.get("q", ""))[:MOST_CHARS]
    elif st.session_state.get(KEY) and _ASKED not in st.session_state:
        st.session_state[KEY] = ""  # the search is over: the next one begins with an empty input
    with st.sidebar, st.container(key="search_box"):
        st.html(STYLE)
        st.html(_LISTEN, unsafe_allow_javascript=True, width="content")
        st.text_input(
            _("Search"),
            key=KEY,
            type="search",
            placeholder=_("Models, jobs, chats, help…"),
            icon=":material/search:",
            label_visibility="collapsed",
            on_change=_asked,
            args=(here,),
        )
    asked = st.session_state.pop(_ASKED, "")
    if asked:
        st.switch_page(PAGE, query_params={"q": asked})


def _asked(here: str) -> None:
    text = str(st.session_state.get(KEY) or "")[:MOST_CHARS].strip()
    if here == PAGE.stem:
        st.query_params.from_dict({"q": text} if text else {})
    elif text:
        st.session_state[_ASKED] = text
