"""All jobs, newest first, a page at a time; and the queue in its order. The part that changes is redrawn every second."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, empty, errors, once, wait_words, words
from ui.jobs import card as job_card
from ui.jobs import table as jobs_table

PAGE = 25
QUEUE_SHOWN = 50
DRILL = {"steps": 60, "step_s": 0.5}
"""The practice job: about half a minute, long enough to watch, cancel and resume."""

GROUPS = {
    "active": ("queued", "starting", "running", "stopping"),
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "lost": ("lost",),
}


def draw() -> None:
    """Draw the list, or the empty state where there is no job yet."""
    counts = job_counts()
    if not counts:
        _empty()
        return
    view = _view(counts.get("queued", 0))
    if view == "all":
        _filters()
    moving = _moving(counts)
    st.fragment(errors.guarded(partial(_body, view, moving), "jobs_list"), run_every=1 if moving else None)()


def job_counts() -> dict[str, int]:
    """How many jobs are in each state; counted anew only when a job has changed."""
    store = context.store()
    return _counted(str(store.workspace.root), store.version())


@st.cache_data(show_spinner=False, max_entries=4)
def _counted(root: str, version: int) -> dict[str, int]:
    return context.store().counts()


def practice() -> None:
    """Callback: submit the practice job and open it."""
    try:
        row = context.store().submit(
            "drill", dict(DRILL), title=_("Practice job"), submit_key=once.submit_key("practice")
        )
    except PanelError as error:
        st.session_state["jobs_problem"] = error.to_dict()
        return
    open_job(row.id)


def open_job(job_id: int) -> None:
    """Callback: show job ``job_id``; the URL says so, for a reload and for another tab."""
    st.query_params.from_dict({"job": str(job_id)})


def _moving(counts: dict[str, int]) -> bool:
    return any(counts.get(state) for state in GROUPS["active"])


def _empty() -> None:
    text = _(
        "Everything that takes longer than a second runs as a job: fine-tuning, serving a model, evaluating. "
        "It goes on when you close this page, and is listed here with its progress, log and result."
    )
    with empty.state("list_alt", _("No jobs yet"), text, key="jobs_empty"):
        st.button(
            _("Try a practice job"),
            key="jobs_practice",
            type="primary",
            icon=words.verb_icon("drill"),
            help=_("Counts for half a minute and changes nothing: to see how a job runs, is cancelled and resumed."),
            on_click=practice,
        )


def _view(waiting: int) -> str:
    chosen = st.segmented_control(
        _("Show"),
        ["all", "queue"],
        key="jobs_view",
        default="all",
        required=True,
        format_func=lambda v: _("All jobs") if v == "all" else _("Queue"),
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen or "all"


def _filters() -> None:
    names = {
        "active": _("running or waiting"),
        **{state: words.STATES[state].word for state in ("succeeded", "failed", "cancelled", "lost")},
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            _("Search jobs"),
            key="jobs_search",
            placeholder=_("Name or number"),
            icon=":material/search:",
            width=260,
            label_visibility="collapsed",
            on_change=_first_page,
            persist_state="session",
        )
        st.pills(
            _("State"),
            list(GROUPS),
            selection_mode="multi",
            key="jobs_states",
            format_func=names.__getitem__,
            label_visibility="collapsed",
            on_change=_first_page,
            persist_state="session",
            wrap=True,
        )


def _first_page() -> None:
    st.session_state["jobs_pages"] = []


def _body(view: str, was_moving: bool) -> None:
    if st.query_params.get("job"):
        st.rerun()  # a row was opened: the page shows that job now
    counts = job_counts()
    if not counts or _moving(counts) != was_moving:
        st.rerun()
    st.caption(_summary(counts))
    if view == "queue":
        _queue()
    else:
        _table()


def _summary(counts: dict[str, int]) -> str:
    return " · ".join(f"{counts[state]:,} {look.word}" for state, look in words.STATES.items() if counts.get(state))


def _table() -> None:
    groups = st.session_state.get("jobs_states") or []
    search = str(st.session_state.get("jobs_search") or "")
    pages: list[int] = st.session_state.setdefault("jobs_pages", [])
    rows = context.store().list(
        states=[state for group in groups for state in GROUPS[group]] or None,
        search=search,
        limit=PAGE + 1,
        before=pages[-1] if pages else None,
    )
    if not rows:
        st.markdown(_("No job matches."))
        st.button(_("Show all jobs"), key="jobs_clear", on_click=_clear)
        return
    jobs_table.draw(rows[:PAGE], key="jobs_table", on_open=open_job)
    if pages or len(rows) > PAGE:
        with st.container(horizontal=True):
            st.button(
                _("Newer"), key="jobs_newer", icon=":material/arrow_back:", disabled=not pages, on_click=pages_back
            )
            st.button(
                _("Older"),
                key="jobs_older",
                icon=":material/arrow_forward:",
                disabled=len(rows) <= PAGE,
                on_click=pages_on,
                args=(rows[:PAGE][-1].id,),
            )


def pages_on(last: int) -> None:
    """Callback: the page after the job ``last``."""
    st.session_state["jobs_pages"] = [*st.session_state.get("jobs_pages", []), last]


def pages_back() -> None:
    """Callback: the page before this one."""
    st.session_state["jobs_pages"] = st.session_state.get("jobs_pages", [])[:-1]


def _clear() -> None:
    st.session_state["jobs_search"] = ""
    st.session_state["jobs_states"] = []
    _first_page()


def _queue() -> None:
    queue = context.store().queue()
    if not queue:
        st.markdown(_("Nothing waits."))
        return
    st.caption(_("From top to bottom. A job that needs what is free may pass one that waits for something else."))
    for place, row in enumerate(queue[:QUEUE_SHOWN]):
        _queued(queue, place, row)
    if len(queue) > QUEUE_SHOWN:
        st.caption(_("And {n} more.").format(n=f"{len(queue) - QUEUE_SHOWN:,}"))
    stored = st.session_state.get("queue_problem")
    if stored:
        errors.show(stored, key="queue")


def _queued(queue: list[JobRow], place: int, row: JobRow) -> None:
    last = place == len(queue) - 1
    after_next = queue[place + 2].id if place + 2 < len(queue) else None
    with st.container(border=True, key=f"queued_{row.id}", gap="xsmall"):
        st.markdown(f"{place + 1}\\. **{errors.plain(row.title)}** · {job_card.facts(row)}")
        st.caption(errors.plain(wait_words.sentence(row)))
        with st.container(horizontal=True):
            moves = (
                ("top", _("To the top"), ":material/vertical_align_top:", queue[0].id, place == 0),
                ("up", _("Up"), ":material/arrow_upward:", queue[max(0, place - 1)].id, place == 0),
                ("down", _("Down"), ":material/arrow_downward:", after_next, last),
            )
            for name, label, icon, before, off in moves:
                st.button(label, key=f"{name}_{row.id}", icon=icon, disabled=off, on_click=_move, args=(row.id, before))
            st.button(
                _("Open"), key=f"open_{row.id}", icon=":material/chevron_right:", on_click=open_job, args=(row.id,)
            )


def _move(job_id: int, before: int | None) -> None:
    st.session_state.pop("queue_problem", None)
    try:
        context.store().move(job_id, before)
    except PanelError as error:
        st.session_state["queue_problem"] = error.to_dict()
