"""What the views of the Benchmark page share: the job that is shown, what a press said, how a job is submitted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from ui import context, errors, once, pace
from ui.benchmark import links as benchmark_links

MOST_LISTED = 100
_PROBLEM, _SAID = "benchmark_problem", "benchmark_said"
PRESSED = "benchmark_pressed"


def rows() -> list[JobRow]:
    """All benchmarks, the newest first."""
    store = context.store()
    found = [row for verb in benchmark_links.VERBS for row in store.list(verb=verb, limit=MOST_LISTED)]
    return sorted(found, key=lambda row: -row.id)


def finished() -> bool:
    """Whether one ended well on this panel."""
    store = context.store()
    return any(store.list(verb=verb, states=("succeeded",), limit=1) for verb in benchmark_links.VERBS)


def shown() -> int | None:
    """The job that the address asks for."""
    text = st.query_params.get("job", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def open_result(job: int) -> None:
    """Callback: show the result of ``job``."""
    st.query_params.from_dict(benchmark_links.address(job))


def submit(verb: str, spec: dict[str, Any], title: str = "") -> None:
    """Callback: make the job and show it; what goes wrong stands at the head of the page."""
    with problems():
        row = context.store().submit(verb, spec, title=title, submit_key=once.submit_key(f"benchmark-{verb}"))
        st.session_state[_SAID] = _("Job {job} is on its way.").format(job=row.id)
        open_result(row.id)


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside a callback becomes the card at the head of the page."""
    for name in (_PROBLEM, _SAID):
        st.session_state.pop(name, None)
    st.session_state[PRESSED] = True
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def busy() -> None:
    """Say that other jobs compute now; servers that stand by do not."""
    working = sum(not pace.standing(row) for row in context.store().live())
    if working:
        text = ngettext(
            "{n} other job works now. What it takes of this machine makes the figures worse.",
            "{n} other jobs work now. What they take of this machine makes the figures worse.",
            working,
        )
        st.caption(":material/warning: " + text.format(n=working))


def redraw_if_pressed() -> None:
    """At the end of a fragment: what its button began is drawn outside of it."""
    if st.session_state.pop(PRESSED, False):
        st.rerun()


def notices() -> None:
    """What went wrong, or well, at the last press."""
    stored = st.session_state.get(_PROBLEM)
    if stored:
        errors.show(stored, key="benchmark")
    said = st.session_state.pop(_SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")
