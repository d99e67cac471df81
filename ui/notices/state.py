"""What is news to this person now, and what they have read."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from backend.errors import PanelError
from backend.i18n import current
from backend.notices import meaning as meanings
from backend.notices import news, visits
from backend.notices.meaning import Meaning
from backend.notices.visits import Visit
from backend.queue.rows import JobRow
from ui import context
from ui.jobs import why as job_why
from ui.notices import visitor

PROBLEM = "notices_problem"


@dataclass(frozen=True)
class News:
    """rows: what ended, the important ones first. visit: whose news it is. top: the highest number of a job then."""

    rows: tuple[JobRow, ...]
    visit: Visit
    top: int


def look() -> News:
    """The news of this person, who gives a sign with it."""
    store = context.store()
    top = news.top(store)
    visit = visits.arrive(context.workspace(), visitor.name(), top, lambda known: bool(_rows(known)))
    return News(_rows(visit), visit, top)


def meaning(row: JobRow) -> Meaning:
    """What the end of ``row`` means; of a failure the cause that its log tells, where its error cannot."""
    if row.state == "failed":
        found = job_why.finding(row)
        if found is not None:
            return Meaning(found.cause(), "bad")
    return _meaning(str(context.store().job_dir(row.id)), row.attempt, row.ended, current(), row)


def seen(until: float, top: int) -> None:
    """Callback: the person has read what ended up to ``until``."""
    st.session_state.pop(PROBLEM, None)
    try:
        visits.seen(context.workspace(), visitor.name(), until, top)
    except PanelError as error:
        st.session_state[PROBLEM] = error.to_dict()


def long_s() -> float:
    """Seconds from which a job ran long."""
    return context.settings().notice_after_s


def _rows(visit: Visit) -> tuple[JobRow, ...]:
    store = context.store()
    root, marks = str(context.workspace().root), (visit.read, visit.top, visit.left, visit.back)
    return _found(root, store.version(), marks, long_s(), visit)


# What is not hashed (a leading underscore) is told by the arguments before it.
@st.cache_resource(show_spinner=False, max_entries=64)
def _found(root: str, version: int, marks: tuple[float, ...], long: float, _visit: Visit) -> tuple[JobRow, ...]:
    """Looked for once for all tabs of a person while no job changes."""
    return tuple(news.news(context.store(), _visit, long))


@st.cache_data(show_spinner=False, max_entries=512)
def _meaning(folder: str, attempt: int, ended: float | None, language: str, _row: JobRow) -> Meaning:
    """Read once: what ended does not change any more."""
    return meanings.meaning(context.store(), _row)
