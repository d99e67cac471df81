"""What the views of results share: the store of runs, what the address asks for, and the ways between runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.evaluate import groups, run_groups
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore
from ui import context
from ui.evaluate import links as evaluate_links
from ui.evaluate import state as evaluate_state

RUN, RUNS, JOB, PART, SHOW = "run", "runs", "job", "part", "show"
"""The address's parameters: the run that is open; those that are compared, commas between; the job whose run is asked for; what of a run is shown, and
what of a comparison."""
_LONGEST = 15


def store() -> EvaluateStore:
    """The runs of this workspace; shared by all sessions and threads."""
    return evaluate_state.runs()


def number(text: str) -> int:
    """A number of the address; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else 0


def asked(name: str) -> str:
    """A parameter of the address; empty where it is not there."""
    return str(st.query_params.get(name, ""))


def run_asked() -> int:
    """The run that the address opens; 0: none."""
    return number(asked(RUN))


def job_asked() -> int:
    """The job whose run the address opens; 0: none."""
    return number(asked(JOB))


def runs_asked() -> list[int]:
    """The runs that the address compares, each once."""
    return list(dict.fromkeys(filter(None, map(number, asked(RUNS).split(",")))))


def open_run(run: int) -> None:
    """Callback: show that run."""
    st.query_params.from_dict(evaluate_links.address(run))


def close_run() -> None:
    """Callback: back to the list."""
    st.query_params.from_dict({"view": "results"})


def compare(runs: Sequence[int]) -> None:
    """Callback: lay those runs side by side."""
    st.query_params.from_dict(evaluate_links.side_by_side(runs))


def set_asked(name: str, value: str) -> None:
    """Put a parameter into the address, or take it out where it is empty."""
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def group_names(run: Run) -> dict[str, str]:
    """Subject -> group, where the run's set is here and its subjects are in groups."""
    return run_groups.of(context.workspace(), run)


def with_averages(run: Run, scores: Sequence[Score]) -> list[Score]:
    """``scores`` and behind them the averages of their groups."""
    return groups.with_averages(run.set_name, scores, group_names(run))


def comparable(run: Run, others: Sequence[Run]) -> list[Run]:
    """Those of ``others`` whose scores can be held against those of ``run``: same evaluator, same set in the same version, not itself."""
    return [
        other
        for other in others
        if other.id != run.id
        and (other.evaluator, other.set_name, other.set_version) == (run.evaluator, run.set_name, run.set_version)
    ]
