"""Evidence of the last step: base and tuned model evaluated on the same questions, and what the difference comes to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from backend.course.progress import Done
from backend.evaluate.comparing import compare
from backend.evaluate.records import Run
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace

NEWEST = 40
ENDED = ("done", "partial")


def evaluated(workspace: Workspace, since: float, base: str, tuned: Collection[str]) -> Done | None:
    """The newest two runs since then that belong together and can be compared; None where there are none."""
    store = open_runs(workspace)
    try:
        runs = [run for run in store.runs(limit=NEWEST) if run.began >= since and run.state in ENDED]
        for one in runs:
            before = _before(one, runs, base, tuned)
            found = _compared(store, before, one) if before is not None else None
            if found is not None:
                return found
    finally:
        store.close()
    return None


def _before(run: Run, runs: Sequence[Run], base: str, tuned: Collection[str]) -> Run | None:
    """The run that ``run``, of a tuned model, is held against."""
    if tuned and run.model not in tuned:
        return None
    others = [one for one in runs if one.model != run.model and one.model not in tuned and _same_questions(one, run)]
    if not tuned:  # whoever was first, is what the other is held against
        others = [one for one in others if one.id < run.id]
    return next((one for one in others if one.model == base), next(iter(others), None))


def _same_questions(one: Run, other: Run) -> bool:
    return (one.set_name, one.set_version, one.evaluator) == (other.set_name, other.set_version, other.evaluator)


def _compared(store: EvaluateStore, before: Run, after: Run) -> Done | None:
    (pair,) = compare(store, [before.id, after.id]).pairs
    if pair.refused or pair.all.a is None or pair.all.b is None:
        return None
    facts = {
        "runs": [before.id, after.id],
        "models": [before.model, after.model],
        "percent": [pair.all.a, pair.all.b],
        "n": pair.all.n,
        "verdict": pair.verdict,
        "low": pair.all.low,
        "high": pair.all.high,
    }
    return Done(after.ended or after.began, facts)
