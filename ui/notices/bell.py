"""The bell in the sidebar: a word at once when a long job ends or one fails, how much is unread, and the same in the tab's title.

It is drawn by the sidebar's own timer, so nothing on a page moves but this line. What one tab has read, the others know at their next look.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.i18n import _, ngettext
from backend.notices import news
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import errors, words
from ui.notices import state, ways

HOME_PAGE = ROOT / "pages" / "home.py"
PANEL = "TuneDeck"
EVERY_S = 15
"""Seconds between looks while something is unread and nothing moves: another tab may have read it."""
AT_ONCE = 3
"""So many are told one by one."""
ICONS = {"good": ":material/check_circle:", "attention": ":material/info:", "bad": ":material/error:"}
_TOLD, _UNREAD, _TITLE = "notices_told", "notices_unread", "notices_title"


def title() -> str:
    """The tab's title as the last look left it."""
    n = st.session_state.get(_UNREAD, 0)
    st.session_state[_TITLE] = f"({n}) {PANEL}" if n else PANEL
    return str(st.session_state[_TITLE])


def every() -> int | None:
    """Seconds for ``run_every`` where nothing else needs a timer; None for none."""
    return EVERY_S if state.look().rows else None


def draw() -> None:
    """Look, tell what is new, and draw the line; nothing where all was read."""
    rows = state.look().rows
    _tell(rows)
    st.session_state[_UNREAD] = len(rows)
    before = st.session_state.get(_TITLE)
    if title() != before:
        st.set_page_config(page_title=title())
    if rows:
        n = f"{len(rows)}+" if len(rows) == news.MOST else f"{len(rows)}"
        label = ngettext("{n} job ended", "{n} jobs ended", len(rows)).format(n=n)
        st.page_link(
            HOME_PAGE, label=label, icon=":material/notifications_unread:", help=_("What it means is on Home.")
        )


def _tell(rows: Sequence[JobRow]) -> None:
    """What has ended since the last look of this browser session, each once. What was there before it began is on Home."""
    keys = {f"{row.id}.{row.attempt}" for row in rows}
    told: set[str] | None = st.session_state.get(_TOLD)
    st.session_state[_TOLD] = keys | (told or set())
    if told is None:
        return
    long_s = state.long_s()
    fresh = [row for row in rows if f"{row.id}.{row.attempt}" not in told and news.notable(row, long_s)]
    for row in fresh[:AT_ONCE]:
        found = state.meaning(row)
        link = f"[{_('Show it')}]({ways.way(row).address})"
        # The way comes first: a long toast is folded after three lines.
        body = f"**{errors.plain(row.title)}** · {words.look(row).word} · {link}  \n{errors.plain(found.text)}"
        st.toast(body, icon=ICONS[found.level], duration="long")
    more = len(fresh) - AT_ONCE
    if more > 0:
        told_all = ngettext("{n} more job has ended. See Home.", "{n} more jobs have ended. See Home.", more)
        st.toast(told_all.format(n=more), icon=":material/notifications_unread:")
