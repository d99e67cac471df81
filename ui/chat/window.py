"""Which part of a conversation is drawn: its tail, or what lies around a message that was looked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from backend.chat.records import Message
from backend.i18n import _
from ui.chat import state as chat_state

# Again until it stays in view: the page grows while it is drawn, and follows its end by itself. A person's own move ends it.
_THERE = """<script>
(() => {
  const end = Date.now() + 10000;
  let calm = 0, alone = true;
  for (const kind of ['wheel', 'touchstart', 'mousedown', 'keydown'])
    window.addEventListener(kind, () => { alone = false; }, {once: true, passive: true});
  const look = (first) => {
    const place = document.querySelector('.st-key-chat_found');
    if (!alone || calm > 5 || Date.now() > end) return;
    const box = place?.getBoundingClientRect();
    if (box && (first || box.bottom < 0 || box.top > window.innerHeight)) {
      calm = 0;
      place.scrollIntoView({block: 'center'});
    } else if (box) calm += 1;
    setTimeout(look, 200, !box);
  };
  setTimeout(look, 200, true);
})();
</script>"""


@dataclass(frozen=True)
class Window:
    """The messages to draw, oldest first. ``older``, ``newer``: there are more. ``running``: an answer is being written at
    the end of the conversation. ``found``: the message that was looked for."""

    messages: list[Message]
    older: bool = False
    newer: bool = False
    running: bool = False
    found: int | None = None


def window(here: str) -> Window:
    """What of the conversation ``here`` ("" for a new one) is drawn now."""
    if not here:
        return Window([])
    found, limit = chat_state.found(here), chat_state.shown()
    tail = _last(here, limit)
    running = bool(tail) and tail[-1].running
    if found is not None and tail and found < tail[-limit:][0].id:
        before = _last(here, limit, found + 1)
        after = chat_state.conversations().messages(here, after=found, limit=chat_state.TAIL)
        # Another tab may have left its branch since.
        if before and before[-1].id == found:
            newer = bool(after) and after[-1].id < tail[-1].id
            return Window([*before[-limit:], *after], len(before) > limit, newer, running, found)
    return Window(tail[-limit:], len(tail) > limit, False, running, found)


@contextmanager
def marked(found: bool) -> Iterator[None]:
    """Around the message that was looked for: a frame, and the page moves there, once."""
    if not found:
        yield
        return
    with st.container(key="chat_found", border=True):
        if chat_state.just_found():
            st.html(_THERE, unsafe_allow_javascript=True, width="content")
        yield


def older() -> None:
    """The button that draws more of the past."""
    st.button(_("Show earlier messages"), key="chat_older", icon=":material/expand_less:", on_click=chat_state.older)


def newer() -> None:
    """The button that leaves a place that was found."""
    label = _("Back to the newest messages")
    st.button(label, key="chat_newer", icon=":material/vertical_align_bottom:", on_click=chat_state.to_the_end)


def _last(here: str, limit: int, before: int | None = None) -> list[Message]:
    """One more than ``limit``, which tells whether there are older ones."""
    return chat_state.conversations().messages(here, limit=limit + 1, before=before)
