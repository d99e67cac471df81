"""The sidebar's foot: this machine in one line, what runs now, language and theme."""

from __future__ import annotations

import streamlit as st

from backend.i18n import LANGUAGES, _, current
from backend.queue.rows import LIVE, JobRow
from backend.workspace import ROOT
from ui import context, errors, focus_back, language, machine_view, pace, theme, words
from ui.memory import alerts as memory_alerts
from ui.notices import bell, visitor

JOBS_PAGE, MEMORY_PAGE = ROOT / "pages" / "jobs.py", ROOT / "pages" / "memory.py"
LINKS = """<style>
.st-key-sidebar_status a { background: transparent; padding-left: 0; }
.st-key-sidebar_status a:hover { background: color-mix(in srgb, currentColor 7%, transparent); }
.st-key-sidebar_status a p { white-space: normal; font-weight: 400; font-size: 0.875rem; line-height: 1.4; }
</style>"""
"""Lines about the machine that are links: not cut off where they are long, and not marked on the page that they lead to."""


def draw(paths: list[str]) -> None:
    """Draw the foot below the navigation; once per run, after ``st.navigation``. ``paths``: addresses of all pages."""
    with st.sidebar:
        # A timer costs once per open tab, so it runs only while something moves.
        every = _every()
        st.fragment(errors.guarded(lambda: _status(every), "sidebar"), run_every=every)()
        _language()
        theme.switch(paths)
        language.remember()
        visitor.remember()
        focus_back.watch()


def most_urgent(rows: list[JobRow]) -> JobRow | None:
    """The live job that ends first; else the newest that is no server, else the newest."""
    timed = [row for row in rows if not row.service and isinstance(row.progress.get("eta_s"), int | float)]
    if timed:
        return min(timed, key=lambda row: float(row.progress.get("t") or 0) + float(row.progress["eta_s"]))
    return next((row for row in rows if not row.service), rows[0] if rows else None)


def _every() -> int | None:
    return pace.now() or bell.every()


def _status(every: int | None) -> None:
    if _every() != every:
        st.rerun()  # something began or ended: the page may have more to say, and the timer another pace
    found, store = machine_view.read(), context.store()
    with st.container(gap="xsmall", key="sidebar_status"):
        st.html(LINKS)
        bell.draw()
        st.caption(f":material/computer: {errors.plain(found.host)}")
        for line in machine_view.lines(found):
            st.page_link(MEMORY_PAGE, label=line, icon=":material/memory:", query_params={"view": "live"})
        memory_alerts.line()
        rows, waiting = store.list(states=LIVE, limit=100), store.counts().get("queued", 0)
        if rows or waiting:
            _running(rows, waiting)


def _running(rows: list[JobRow], waiting: int) -> None:
    parts = [_("Running: {n}").format(n=len(rows))] if rows else []
    parts += [_("Waiting: {n}").format(n=waiting)] if waiting else []
    label = " · ".join(parts)
    if JOBS_PAGE.is_file():
        st.page_link(JOBS_PAGE, label=label, icon=":material/sync:")
    else:
        st.caption(f":material/sync: {label}")
    row = most_urgent(rows)
    if row is None:
        return
    share, eta = words.progress_of(row), words.eta_line(row)
    phase = words.phase_word(str(row.progress.get("phase") or "")) or words.look(row).word
    text = f"{errors.plain(row.title)} · {eta or phase}"
    if share is None:
        st.caption(text)
    else:
        st.progress(share, text=text)


def _language() -> None:
    st.session_state["language_select"] = current()
    st.segmented_control(
        _("Language"),
        list(LANGUAGES),
        key="language_select",
        required=True,
        format_func=LANGUAGES.__getitem__,
        on_change=lambda: language.choose(st.session_state["language_select"]),
        label_visibility="collapsed",
        width="stretch",
    )
