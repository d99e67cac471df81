"""Evaluate a model: ``python -m jobs.evaluate SPEC.json``.

server  the model's server is found, or started and waited for; not where the evaluator loads the model itself
ask     the evaluator asks the questions of the set: our own (:mod:`jobs.evaluating.own`), or a program in an environment of its own

Answers and scores go to ``evaluate.db`` as they come (:mod:`backend.evaluate.store`), so that a second attempt goes on with what is missing. Where some
subjects have no number in the end, each says why, and the job has succeeded; where none has one, it has failed.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from backend.errors import DataError, PanelError
from backend.evaluate import patterns, sets
from backend.evaluate.records import Evaluator
from backend.evaluate.store import EvaluateStore, open_runs
from backend.i18n import N_
from backend.queue.store import Store, open_store
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace, open_workspace
from jobs.evaluating import own, runs, serving, trial
from jobs.evaluating.work import Ended, Work
from jobs.harness import Job, Stopped, main, unexpected

MODULES: dict[Evaluator, str] = {
    "tunedeck": "jobs.evaluating.own",
    "opencompass": "jobs.evaluating.opencompass",
    "lm_eval": "jobs.evaluating.lm_eval",
}


def run(job: Job) -> dict[str, Any]:
    """The program.

    Raises:
        PanelError: the model cannot be asked, its server went away, or no subject has a score; what was answered is kept.
    """
    spec = job.spec_as(EvaluateSpec)
    workspace = open_workspace()
    queue, store = open_store(workspace), open_runs(workspace)
    try:
        work = _prepare(job, spec, workspace, queue, store)
        if spec.trial:
            job.phase("ask")
            result = {**trial.run(work, queue), "fingerprint": _asked(work).fingerprint}
        else:
            result = _evaluate(work)
        return {**result, **serving.memory(workspace, work.served, queue)}
    finally:
        patterns.close()
        store.close()
        queue.close()


def _prepare(job: Job, spec: EvaluateSpec, workspace: Workspace, queue: Store, store: EvaluateStore) -> Work:
    """What the evaluator is given; the server is there by then."""
    questions = sets.questions(workspace, spec.questions, spec.subjects, spec.limit, spec.seed)
    if not questions:
        raise DataError(
            "evaluate_no_questions",
            N_("There is nothing to ask: '{questions}' has no questions here."),
            N_("Choose other subjects, or another set of questions."),
            questions=spec.questions,
        )
    own.check_judge(spec, questions)
    found = None
    if spec.by == "server":
        job.phase("server")
        found = serving.until_stopped(serving.reach(job, queue, workspace, spec).find(), lambda: job.stop_requested)
        job.log(f"{found.model} at {found.base_url}")
    card = serving.card_of(workspace, spec, found)
    work = Work(job, spec, workspace, store, 0, found, questions, job.dir, card)
    if not spec.trial:
        work.run_id = runs.begin(job, spec, store, _asked(work))
    return work


def _asked(work: Work) -> runs.Asked:
    model = work.spec.model or (work.served.model if work.served else "")
    return runs.Asked.of(work.workspace, model, work.card, sets.get(work.workspace, work.spec.questions))


def _evaluate(work: Work) -> dict[str, Any]:
    """The evaluator at work, and its run brought to an end however it ends."""
    job, store, began = work.job, work.store, time.monotonic()
    job.phase("ask")
    evaluator = import_module(MODULES[work.spec.evaluator])
    try:
        ended: Ended = evaluator.evaluate(work)
    except Stopped:
        _close(work, Ended("stopped"))
        raise
    except PanelError as error:
        _close(work, Ended("failed"), error)
        raise
    except Exception as error:
        _close(work, Ended("failed"), unexpected(error))
        raise
    state = _close(work, ended)
    if state == "stopped":
        raise Stopped
    cause = runs.first_cause(store, work.run_id)
    if cause is not None:
        _close(work, Ended("failed", ended.notices, ended.version), cause)
        raise cause
    told = runs.counts(store, work.run_id)
    job.log(_in_words(told))
    seconds = round(time.monotonic() - began, 2)
    return {
        "complete": True,
        "state": state,
        **told,
        "seconds": seconds,
        "notices": list(store.run(work.run_id).notices),
    }


def _close(work: Work, ended: Ended, error: PanelError | None = None) -> str:
    """The state of the run from now on."""
    notices = list(ended.notices)
    if work.served is not None and work.served.job is None:
        notices.append("model_not_ours")
    if work.spec.into:
        told = ended.state == "done" and work.spec.evaluator == "tunedeck"
        earlier = [one for one in work.store.run(work.run_id).notices if not told or one not in own.FROM_ANSWERS]
        notices = [*earlier, *notices, "asked_again"]
    state = runs.close(work.store, work.run_id, ended.state, error)
    work.store.end(work.run_id, state, tuple(dict.fromkeys(notices)), ended.version or None)
    return state


def _in_words(told: dict[str, Any]) -> str:
    missing = f", {told['missing']} of them without a score" if told["missing"] else ""
    accuracy = (
        f"; {told['accuracy']} % right, 95 % interval {told['low']} to {told['high']} %" if "accuracy" in told else ""
    )
    return f"evaluation {told['run']}: {told['questions']} questions in {told['subjects']} subjects{missing}{accuracy}"


if __name__ == "__main__":
    raise SystemExit(main("evaluate", run))
