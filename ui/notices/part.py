"""The part of Home that tells what ended: what each of it means, what helps where it failed, until the person has read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from backend.i18n import N_, _, ngettext
from backend.notices import news
from backend.notices.visits import Visit
from backend.queue.rows import JobRow
from ui import errors, words
from ui.jobs import card as job_card
from ui.notices import state, ways

SHOWN = 4
WRAPPED = "<style>.st-key-notices a p { white-space: normal; }</style>"
"""Beside a meaning there is little room for a label; Streamlit would cut it off."""
ICONS = {
    "good": ":green[:material/check_circle:]",
    "attention": ":orange[:material/info:]",
    "bad": ":red[:material/error:]",
}
DAYS = (
    N_("Monday {time}"),
    N_("Tuesday {time}"),
    N_("Wednesday {time}"),
    N_("Thursday {time}"),
    N_("Friday {time}"),
    N_("Saturday {time}"),
    N_("Sunday {time}"),
)


def draw(found: state.News) -> None:
    """Draw it; nothing where there is no news."""
    stored = st.session_state.get(state.PROBLEM)
    if stored:
        errors.show(stored, key="notices")
    rows = found.rows
    if not rows:
        return
    with st.container(border=True, key="notices", gap="small"):
        st.html(WRAPPED)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(_heading(rows, found.visit), anchor=False, width="content")
            st.button(
                _("I have seen this"),
                key="notices_seen",
                icon=":material/done_all:",
                type="tertiary",
                on_click=state.seen,
                args=(news.until(rows), found.top),
            )
        for row in rows[:SHOWN]:
            _item(row)
        if len(rows) > SHOWN:
            _rest(rows[SHOWN:])


def when(moment: float) -> str:
    """``18:40``, within a week with its day, ``Tuesday 18:40``, else the date."""
    zone = words.timezone()
    at, today = datetime.fromtimestamp(moment, zone), datetime.now(zone).date()
    clock = at.strftime("%H:%M")
    if at.date() == today:
        return clock
    if today - timedelta(days=7) < at.date() < today:
        return _(DAYS[at.weekday()]).format(time=clock)
    return at.strftime("%Y-%m-%d %H:%M")


def _heading(rows: Sequence[JobRow], visit: Visit) -> str:
    """Since when; whether the person was away all the time."""
    now = datetime.now().timestamp()
    if visit.turned(now):
        return _("What ended")  # the clock went back: no time would be true
    if all(news.while_away(visit, row) for row in rows):
        return _("While you were away (since {time})").format(time=when(visit.left))
    return _("Ended since {time}").format(time=when(visit.read))


def _item(row: JobRow) -> None:
    found = state.meaning(row)
    key = f"notice_{row.id}"
    with st.container(key=key, gap="xsmall"):
        said, way = st.columns([11, 4], gap="small")
        with said:
            head = f"{ICONS[found.level]} **{errors.plain(row.title)}** :gray[:small[{_facts(row)}]]"
            st.markdown(f"{head}  \n{errors.plain(found.text)}")
            job_card.problem(key)
            for fix in job_card.fixes(row, key)[:1] if row.state in news.FAILED else []:
                fix.draw(f"{key}_fix", primary=False)
        with way:
            ways.way(row).draw()


def _facts(row: JobRow) -> str:
    """State, how long, and when."""
    parts = [words.look(row).word]
    if row.elapsed >= 1:
        parts.append(_("took {duration}").format(duration=words.duration(row.elapsed)))
    return " · ".join([*parts, words.ago(row.ended)])


def _rest(rows: Sequence[JobRow]) -> None:
    failed = sum(row.state in news.FAILED for row in rows)
    label = ngettext("And {n} more", "And {n} more", len(rows)).format(n=f"{len(rows):,}")
    if failed:
        label += " · " + ngettext("{n} of them failed", "{n} of them failed", failed).format(n=failed)
    st.page_link(ways.JOBS_PAGE, label=label, icon=":material/list_alt:")
