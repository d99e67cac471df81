"""One measurement: how it stands, its figures as they come in, and what to do next."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.bench import results
from backend.bench.matrix import Matrix
from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, errors, pace
from ui.benchmark import command as benchmark_command
from ui.benchmark import links as benchmark_links
from ui.benchmark import state as benchmark_state
from ui.benchmark import table as benchmark_table
from ui.jobs import card as job_card


def draw(job: int) -> None:
    """Draw the result of ``job``; it is redrawn while it waits or works.

    Raises:
        NotFoundError: there is no such job.
    """
    row = context.store().get(job)
    st.button(
        _("All results"),
        key="benchmark_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=st.query_params.from_dict,
        args=({"view": "results"},),
    )
    moving = not row.done
    every = pace.MOVING_S if moving else None
    st.fragment(errors.guarded(partial(_body, job, moving), "benchmark_one"), run_every=every)()
    if row.verb in benchmark_links.VERBS:
        benchmark_command.draw(row.verb, context.store().spec(job))


def _body(job: int, was_moving: bool) -> None:
    if benchmark_state.shown() != job:
        st.rerun()  # another one was opened, or the list
    row = context.store().get(job)
    if row.done == was_moving:
        st.rerun()  # it ended or was resumed: the page starts or stops to redraw itself
    job_card.draw(row, key=f"benchmark_{job}")
    if row.verb not in benchmark_links.VERBS:
        return
    found = results.of_job(context.store(), row)
    if row.done and row.state != "succeeded" and found.measured:
        st.markdown(":material/rule: " + _("What was measured until then is kept."))
    benchmark_table.draw([found], key=f"benchmark_table_{job}")
    if not row.done:
        return
    _next(row, found)


def _next(row: JobRow, found: Matrix) -> None:
    """Measure once more, with the same settings."""
    if row.state in ("succeeded", "failed") and found.rows:
        st.button(
            _("Measure again"),
            key="benchmark_again",
            icon=":material/replay:",
            help=_("A new job with the same settings; this one stays as it is."),
            on_click=benchmark_state.submit,
            args=(row.verb, context.store().spec(row.id)),
        )
