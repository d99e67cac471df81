"""How long an evaluation will take, and what its server takes of the memory: from a trial of a few questions, or from an earlier run of the same kind.

A question's time is measured with as many under way as there will be, so ``count`` questions take ``count x time / at once``. The band is the 95 %
interval of the mean time, and never narrower than :data:`LEAST_BAND`, since neighbours on a shared machine come and go. Nothing is guessed: without a
measurement there is no number.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

from backend.agent.checks import fingerprint
from backend.errors import NotFoundError
from backend.evaluate import sets
from backend.evaluate.records import Evaluator, Run
from backend.evaluate.store import open_runs
from backend.finetune.intervals import Z
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace

LEAST_BAND = 0.15
BAND_OF_A_RUN = 0.25
LOOK_BACK = 200
START_S: Mapping[Evaluator, float] = {"tunedeck": 0.0, "opencompass": 60.0, "lm_eval": 6.0}
"""What the evaluator itself takes before its first question and after its last, about: a third of it on a fast machine, twice as much on a busy one."""
SAME = ("model", "base_url", "questions", "shots", "answer_tokens", "concurrency")
"""What a trial must have in common with what it forecasts."""


@dataclass(frozen=True)
class Estimate:
    """questions: how many would be asked. seconds, low, high: None where nothing was measured. source: where they come from; job: the job that was
    measured. memory: bytes that the server took then, ``memory_steady`` and ``memory_peak``; empty where nobody looked."""

    questions: int
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    source: Literal["trial", "earlier run"] | None = None
    job: int | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)


def seconds(workspace: Workspace, store: Store, spec: EvaluateSpec) -> Estimate:
    """The forecast for ``spec``; ``store`` is the queue's. The newest measurement counts.

    Raises:
        DataError: there is no such set of questions.
    """
    count = questions(workspace, spec)
    trial, earlier = _trial(workspace, store, spec), _earlier(workspace, store, spec)
    if earlier is not None and (trial is None or earlier[0].id > trial.id):
        return _from_run(store, count, *earlier)
    return _from_trial(store, count, trial, spec) if trial is not None else Estimate(count)


def questions(workspace: Workspace, spec: EvaluateSpec) -> int:
    """How many questions ``spec`` asks."""
    found = sets.get(workspace, spec.questions)
    wanted = [one for one in found.subjects if not one.problem and (not spec.subjects or one.name in spec.subjects)]
    return sum(min(one.questions, spec.limit or one.questions) for one in wanted)


def reckon(count: int, each_s: Sequence[float], measured_at: int, at_once: int) -> tuple[float, float, float]:
    """(seconds, low, high) for ``count`` questions, ``at_once`` under way, from the times of questions of which ``measured_at`` were."""
    mean = statistics.fmean(each_s)
    # Student's t for few values, by its usual approximation.
    half = (Z + 2.7 / (len(each_s) - 1)) * statistics.stdev(each_s) / sqrt(len(each_s)) if len(each_s) > 2 else mean / 2
    half = max(half, LEAST_BAND * mean)
    here, best = max(1, min(measured_at, count)), max(1, min(at_once, count))
    # With more at once than were measured it may go as fast as those were, or so much faster.
    return count * mean / here, count * max(mean / 10, mean - half) / max(here, best), count * (mean + half) / here


def _trial(workspace: Workspace, store: Store, spec: EvaluateSpec) -> JobRow | None:
    now = fingerprint(workspace, spec.model) if spec.model and not spec.base_url else ""
    for row in store.list(states=("succeeded",), verb="evaluate", limit=LOOK_BACK):
        known, result = store.spec(row.id), store.result(row.id) or {}
        same = all(known.get(name, _default(name)) == getattr(spec, name) for name in SAME)
        if same and known.get("trial") and result.get("each_s") and result.get("fingerprint", now) == now:
            return row
    return None


def _default(name: str) -> Any:
    return EvaluateSpec.model_fields[name].default


def _from_trial(store: Store, count: int, row: JobRow, spec: EvaluateSpec) -> Estimate:
    result = store.result(row.id) or {}
    took, low, high = reckon(count, result["each_s"], int(result["concurrency"]), spec.concurrency)
    start = START_S[spec.evaluator]
    return Estimate(count, took + start, low + start / 3, high + 2 * start, "trial", row.id, _memory(result))


def _earlier(workspace: Workspace, store: Store, spec: EvaluateSpec) -> tuple[JobRow, Run, int] | None:
    """The newest run of the same kind that was made in one go: its job, it, and how many questions it asked."""
    if not workspace.evaluate_db.exists():
        return None
    runs = open_runs(workspace)
    try:
        for run in runs.runs(model=spec.model, set_name=spec.questions, limit=LOOK_BACK):
            row = _job(store, run)
            if row is None or run.evaluator != spec.evaluator or run.settings.get("base_url") != spec.base_url:
                continue
            alike = all(run.settings.get(name) == getattr(spec, name) for name in SAME[3:])
            asked = sum(tally.asked for tally in runs.tallies(run.id))
            if alike and asked and row.attempt == 1 and run.state in ("done", "partial"):
                return row, run, asked
    finally:
        runs.close()
    return None


def _job(store: Store, run: Run) -> JobRow | None:
    try:
        return store.get(run.job) if run.job else None
    except NotFoundError:
        return None


def _from_run(store: Store, count: int, row: JobRow, run: Run, asked: int) -> Estimate:
    result = store.result(row.id) or {}
    took = float(result.get("seconds") or max(0.0, (run.ended or run.began) - run.began)) * count / asked
    band = 0.0 if count == asked else BAND_OF_A_RUN - LEAST_BAND
    low, high = took * (1 - LEAST_BAND - band), took * (1 + LEAST_BAND + band)
    return Estimate(count, took, low, high, "earlier run", row.id, _memory(result))


def _memory(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name.startswith("memory_")}
