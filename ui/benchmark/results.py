"""*Results* of the Benchmark page: every measurement, the newest first; one opened; or several laid beside one another."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.bench import results
from backend.bench.matrix import Matrix
from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, empty, errors, pace, words
from ui.benchmark import one as benchmark_one
from ui.benchmark import state as benchmark_state
from ui.benchmark import table as benchmark_table
from ui.jobs import table as jobs_table

COMPARED = "jobs"
"""The address's parameter with the numbers of the results that are compared, commas between."""
MOST = 8
_CHOSEN = "benchmark_compared"


def draw() -> None:
    """Draw the view."""
    job = benchmark_state.shown()
    if job is not None:
        benchmark_one.draw(job)
        return
    rows = benchmark_state.rows()
    if not rows:
        _empty()
        return
    moving = any(not row.done for row in rows)
    st.fragment(errors.guarded(_history, "benchmark_history"), run_every=pace.MOVING_S if moving else None)()
    _compare(rows)


def _empty() -> None:
    text = _(
        "Each with the columns of the notes: time to the first token, time per token, tokens and requests a second, "
        "and a curve that shows how many people a server carries."
    )
    with empty.state("monitoring", _("No measurements yet"), text, key="benchmark_empty"):
        st.button(
            _("Measure a server"),
            key="benchmark_empty_measure",
            type="primary",
            icon=":material/speed:",
            on_click=st.query_params.from_dict,
            args=({"view": "measure"},),
        )
        st.button(
            _("Compare set-ups"),
            key="benchmark_empty_setups",
            icon=":material/table_chart:",
            on_click=st.query_params.from_dict,
            args=({"view": "matrix"},),
        )


def _history() -> None:
    if benchmark_state.shown() is not None:
        st.rerun()  # one was opened
    jobs_table.draw(benchmark_state.rows(), key="benchmark_jobs", on_open=benchmark_state.open_result)


def _compare(rows: Sequence[JobRow]) -> None:
    """The figures of several results under one another, and their curves over one another."""
    found = {row.id: (row, figures) for row in rows if (figures := _figures(row)).measured}
    if not found:
        return
    st.subheader(_("Side by side"), anchor=False)
    asked = [job for job in _asked() if job in found] or list(found)[:2]
    st.session_state[_CHOSEN] = asked[:MOST]
    st.multiselect(
        _("Results"),
        list(found),
        key=_CHOSEN,
        format_func=lambda job: f"#{job} {found[job][0].title} · {words.ago(found[job][0].created)}",
        max_selections=MOST,
        placeholder=_("Choose results"),
        on_change=_changed,
    )
    chosen = [results.numbered(found[job][1], job) for job in asked[:MOST]]
    benchmark_table.draw(chosen, key="benchmark_compared_table")


def _figures(row: JobRow) -> Matrix:
    return results.of_job(context.store(), row)


def _asked() -> list[int]:
    parts = st.query_params.get(COMPARED, "").split(",")
    return list(dict.fromkeys(int(p) for p in parts if p.isascii() and p.isdigit() and len(p) < 16))


def _changed() -> None:
    st.query_params[COMPARED] = ",".join(map(str, st.session_state.get(_CHOSEN) or []))
