"""The run that a job fills: begun, found again by a second attempt, or an earlier one into which subjects are asked again. And how it ended.

A run holds the answers of one model to one version of a set. Where either has changed meanwhile, going on is refused: half of one and half of another
is no score.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.agent import checks
from backend.catalog import ModelCard
from backend.errors import ConflictError, PanelError
from backend.evaluate.questions import QuestionSet
from backend.evaluate.records import Run, Score, State, Tally
from backend.evaluate.store import EvaluateStore
from backend.i18n import N_
from backend.queue.store import open_store
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace, read_json, write_json
from jobs.evaluating.work import figures
from jobs.harness import Job
from jobs.made import job_number

FILE = "run.json"
SETTINGS = ("limit", "seed", "shots", "answer_tokens", "judge", "by", "config")
"""Of the spec, what decides about scores."""
KEPT = (*SETTINGS, "subjects", "concurrency", "timeout_s", "base_url", "key_name")


@dataclass(frozen=True)
class Asked:
    """What is evaluated. model: as people know it. fingerprint: empty where nobody can tell."""

    model: str
    fingerprint: str
    questions: QuestionSet

    @classmethod
    def of(cls, workspace: Workspace, model: str, card: ModelCard | None, questions: QuestionSet) -> Asked:
        if card is None:
            return cls(model, "", questions)
        found = checks.fingerprint(workspace, card.name) or checks.fingerprint(workspace, str(card.path))
        return cls(model, found, questions)


def begin(job: Job, spec: EvaluateSpec, store: EvaluateStore, asked: Asked) -> int:
    """The number of the run that this job fills.

    Raises:
        ConflictError: the model, the set or something else that decides about scores is not what it was when the run began.
        NotFoundError: ``evaluation_unknown``.
    """
    mine = read_json(job.dir / FILE)
    known = int(mine["run"]) if isinstance(mine, dict) and "run" in mine else None
    number = _fill(spec, store, asked, known) if spec.into else _own(spec, store, asked, known)
    write_json(job.dir / FILE, {"run": number})
    return number


def _fill(spec: EvaluateSpec, store: EvaluateStore, asked: Asked, known: int | None) -> int:
    run = store.run(spec.into)
    _fits(run, spec, asked)
    if known is None:
        _free(store, run)
        store.reopen(run.id, _cells(store, run, spec), job=job_number() or None)
    else:
        _go_on(store, run)
    return run.id


def _cells(store: EvaluateStore, run: Run, spec: EvaluateSpec) -> tuple[str, ...]:
    """The cells of the subjects that ``spec`` names: OpenCompass has names of its own for them."""
    if run.evaluator != "opencompass" or not spec.subjects:
        return spec.subjects
    from backend.engines import opencompass_config

    names = {score.subject for score in store.scores(run.id)}
    found = tuple(name for name in sorted(names) if opencompass_config.subject_of(name) in spec.subjects)
    return found or spec.subjects


def _own(spec: EvaluateSpec, store: EvaluateStore, asked: Asked, known: int | None) -> int:
    run = _earlier(store, known)
    if run is None:
        return store.begin(_new(spec, asked))
    _same(run, asked)
    _go_on(store, run)
    return run.id


def _go_on(store: EvaluateStore, run: Run) -> None:
    if job_number():
        store.reopen(run.id, job=job_number())  # nothing is forgotten: this job has filled it before
    else:
        store.end(run.id, "running", run.notices)


def _earlier(store: EvaluateStore, known: int | None) -> Run | None:
    """The run of an earlier attempt of this job, None where there is none any more."""
    if job_number():
        return store.run_of_job(job_number())
    if known is None:
        return None
    try:
        return store.run(known)
    except PanelError:
        return None


def _new(spec: EvaluateSpec, asked: Asked) -> Run:
    found = spec.model_dump(mode="json")
    return Run(
        id=0,
        name=spec.default_title(),
        evaluator=spec.evaluator,
        version="",
        model=asked.model,
        set_name=asked.questions.name,
        set_version=asked.questions.version,
        set_title=asked.questions.title,
        fingerprint=asked.fingerprint,
        job=job_number() or None,
        began=time.time(),
        settings={name: found[name] for name in KEPT},
    )


def _same(run: Run, asked: Asked) -> None:
    if run.set_version != asked.questions.version:
        raise ConflictError(
            "evaluate_set_changed",
            N_("The questions '{questions}' have changed since this evaluation began: its answers belong to others."),
            N_("Start a new evaluation. What was answered stays to be read."),
            questions=run.set_title or run.set_name,
        )
    if run.fingerprint != asked.fingerprint or (not run.fingerprint and run.model != asked.model):
        raise ConflictError(
            "evaluate_model_changed",
            N_("'{model}' is another model than the one that this evaluation began with."),
            N_("Start a new evaluation. What was answered stays to be read."),
            model=asked.model,
        )


def _fits(run: Run, spec: EvaluateSpec, asked: Asked) -> None:
    """Raises where scores of ``spec`` would not belong into ``run``."""
    if run.source != "job":
        raise ConflictError(
            "evaluate_into_import",
            N_("Evaluation {run} was imported: nothing can be asked again in it."),
            N_("Start an evaluation of your own with the same questions."),
            run=run.id,
        )
    if run.evaluator != spec.evaluator or run.set_name != asked.questions.name:
        raise ConflictError(
            "evaluate_into_other",
            N_("Evaluation {run} was made by {evaluator} with the questions '{questions}': other scores do not belong into it."),
            N_("Ask again with the same evaluator and the same questions, or start a new evaluation."),
            run=run.id,
            evaluator=run.evaluator,
            questions=run.set_title or run.set_name,
        )  # fmt: skip
    _same(run, asked)
    now = spec.model_dump(mode="json")
    other = [name for name in SETTINGS if name in run.settings and run.settings[name] != now[name]]
    if other:
        raise ConflictError(
            "evaluate_into_settings",
            N_(
                "Evaluation {run} was made with other settings: {names}. Its scores and new ones cannot stand together."
            ),
            N_("Ask again with the settings that it has, or start a new evaluation."),
            run=run.id,
            names=", ".join(f"{name} {run.settings[name]!r}" for name in other),
        )


def _free(store: EvaluateStore, run: Run) -> None:
    """Raises while the job of ``run`` itself still fills it."""
    if run.state != "running" or not run.job or run.job == job_number():
        return
    jobs = open_store(store.workspace)
    try:
        busy = not jobs.get(run.job).done
    except PanelError:
        busy = False
    finally:
        jobs.close()
    if busy:
        raise ConflictError(
            "evaluate_into_busy",
            N_("Evaluation {run} is still running."),
            N_("Wait until it has ended, or stop it, then ask its subjects again."),
            run=run.id,
        )


# --- its end


def close(store: EvaluateStore, run_id: int, state: State, error: PanelError | None = None) -> State:
    """Give each cell without a number a cause, ``error`` where it has none of its own; ``state``, or ``partial`` where a number is missing."""
    reason = error or _stopped() if state in ("stopped", "failed") else error or _unexplained()
    scores = [score for score in store.scores(run_id) if not score.group]
    empty = [score for score in scores if score.value is None]
    bare = [replace(score, cause=reason.to_dict()) for score in empty if not score.cause]
    if bare:
        store.put_scores(run_id, bare)
    return "partial" if state == "done" and (empty or not scores) else state


def first_cause(store: EvaluateStore, run_id: int) -> PanelError | None:
    """Why no cell has a number; None where one has."""
    scores: list[Score] = [score for score in store.scores(run_id) if not score.group]
    if any(score.value is not None for score in scores):
        return None
    found = next((score for score in scores if score.cause), None)
    if found is None:
        return _unexplained()
    error = PanelError.from_dict(found.cause)
    error.params.setdefault("line", found.evidence.splitlines()[0] if found.evidence else "")
    return error


def counts(store: EvaluateStore, run_id: int) -> dict[str, Any]:
    """The figures of a run, for the job's result."""
    scores = [score for score in store.scores(run_id) if not score.group]
    tallies = store.tallies(run_id)
    total = Tally(
        "", sum(one.planned for one in tallies), *(sum(getattr(one, name) for one in tallies) for name in _OUTCOMES)
    )
    told: Mapping[str, float] = figures(total)
    return {
        "run": run_id,
        "questions": total.planned,
        "subjects": len({score.subject for score in scores}),
        "missing": sum(score.value is None for score in scores),
        **{name: int(value) if name in _OUTCOMES else round(value, 2) for name, value in told.items()},
    }


_OUTCOMES = ("right", "wrong", "unread", "failed")


def _stopped() -> PanelError:
    return PanelError(
        "evaluate_stopped",
        N_("It was stopped before this subject was finished."),
        N_("Resume the job: it asks only what is missing."),
    )


def _unexplained() -> PanelError:
    return PanelError(
        "evaluate_no_score",
        N_("The evaluator ended and gave no score for this subject, and did not say why."),
        N_("Its log on the Jobs page may say more; ask only this subject again."),
    )
