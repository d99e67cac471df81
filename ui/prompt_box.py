"""The box one writes in, of a conversation, a comparison and an agent: when it takes something, and when the cursor comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

_ENDED = "prompt_box_ended"

# The box takes the cursor as soon as it is enabled, unless the person is elsewhere by then, or has a keyboard that would slide in.
_CURSOR = """<script>
(() => {
  const end = Date.now() + 3000;
  const look = () => {
    const box = document.querySelector('[data-testid=stChatInputTextArea]');
    if (document.activeElement !== document.body || matchMedia('(pointer: coarse)').matches || Date.now() > end) return;
    if (box && !box.disabled) box.focus({preventScroll: true});
    else setTimeout(look, 100);
  };
  setTimeout(look);
})();
</script>"""


def draw(label: str, *, key: str, send: Callable[[], None], disabled: bool, **how: Any) -> None:
    """The box. ``disabled``: nothing can be asked now. ``how``: what else :func:`streamlit.chat_input` takes.

    Not ``submit_mode="disable"``: it ends with the news that the page has been drawn, and where that of a timer comes in
    the same burst, as it does through a tunnel, it never ends. What is sent twice is refused where it is stored.
    """
    st.chat_input(label, key=key, on_submit=send, disabled=disabled, **how)


def answered() -> None:
    """The answer has its end: where the page is drawn next, the cursor goes back into the box."""
    st.session_state[_ENDED] = True


def cursor() -> None:
    """Give the box the cursor, once for each end of an answer; call where the box is enabled."""
    if st.session_state.pop(_ENDED, False):
        st.html(_CURSOR, unsafe_allow_javascript=True, width="content")
