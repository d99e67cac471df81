"""Teach a model with the rows of a dataset: ``python -m jobs.finetune SPEC.json``.

Stages: plan, rehearsal, training, merge, proof, and the list of models. One that is complete is not done again: a job that was
interrupted, by whatever, goes on where it was, within the training from its last complete checkpoint. SIGINT saves and ends.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from backend.finetune import files
from backend.finetune import plan as planning
from backend.finetune.plan import Plan
from backend.queue.events import FILE, read_events
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace, read_json, write_json
from jobs import threads
from jobs.finetuning import rows
from jobs.finetuning.types import Trained
from jobs.harness import Job, main
from jobs.libraries import loading

ENGINES = {"peft": "jobs.finetuning.training", "xtuner": "jobs.finetuning.xtuner_train"}
"""Modules with ``rehearse(job, plan)`` and ``train(job, plan)``, loaded when one is used."""
TRAINED = "trained.json"
"""Written when the training is complete: :class:`jobs.finetuning.types.Trained`."""


def run(job: Job) -> dict[str, Any] | None:
    """The program. Returns what was made; None where it was stopped."""
    plan = planned(job)
    trained = _trained(job) or _train(job, plan)
    merged = _merge(job, plan, trained)
    job.check_stop()
    proof = _prove(job, plan, trained, merged)
    job.check_stop()
    job.phase("register")
    keeping = import_module("jobs.finetuning.keeping")
    listed = keeping.register(job, plan, trained, merged, proof)
    keeping.capsule(job, plan, trained)
    return {
        "complete": True,
        "step": trained.step,
        "steps": trained.steps,
        "loss": trained.loss,
        "eval_loss": trained.eval_loss,
        "ended": trained.ended,
        "s_per_step": last_pace(job.dir),
        **listed,
    }


def planned(job: Job) -> Plan:
    """The plan of this job, checked on this machine as it is now, with what was settled when it first ran.

    Raises:
        SpecError: ``finetune_refused``.
    """
    threads.wait_briefly()
    spec, known = job.spec_as(FinetuneSpec), read_json(job.dir / files.PLAN)
    if isinstance(known, dict) and (job.dir / rows.FOLDER / rows.INFO).exists():
        plan = planning.again(open_workspace(), known)
    else:
        plan = planning.checked(open_workspace(), spec)
    write_json(job.dir / files.PLAN, plan.to_dict())
    return plan


def engine_of(plan: Plan) -> Any:
    """The module that trains ``plan``."""
    with loading():
        return import_module(ENGINES[plan.spec.engine])


def _train(job: Job, plan: Plan) -> Trained:
    engine = engine_of(plan)
    if plan.spec.rehearse and not (job.dir / files.REHEARSAL).exists() and not files.checkpoints(job.dir):
        engine.rehearse(job, plan)
        job.check_stop()
    trained: Trained = engine.train(job, plan)
    told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(trained).items()}
    write_json(job.dir / TRAINED, told)
    return trained


def _trained(job: Job) -> Trained | None:
    """What an earlier attempt has trained to the end."""
    told = read_json(job.dir / TRAINED)
    if not isinstance(told, dict):
        return None
    found = files.build(
        {name: Path(told[name]) if told.get(name) else None for name in ("adapter", "model")}
        | {name: value for name, value in told.items() if name not in ("adapter", "model")},
        Trained,
    )
    folder = (found.adapter or found.model) if found is not None else None
    return found if folder is not None and folder.is_dir() else None


def last_pace(job_dir: Path) -> float | None:
    """Seconds of a step, without what comes between, as the end of the run said."""
    file = job_dir / FILE
    try:
        events, _ = read_events(job_dir, max(0, file.stat().st_size - (1 << 16)))
    except OSError:
        return None
    told = [one["metrics"]["s_per_step"] for one in events if "s_per_step" in (one.get("metrics") or {})]
    return sum(told) / len(told) if told else None


def _merge(job: Job, plan: Plan, trained: Trained) -> Path | None:
    if not plan.spec.merge or trained.adapter is None:
        return None
    merged: Path | None = import_module("jobs.finetuning.merging").merge(job, plan, trained)
    return merged


def _prove(job: Job, plan: Plan, trained: Trained, merged: Path | None) -> Any:
    if not plan.spec.prove:
        return None
    return import_module("jobs.finetuning.proving").prove(job, plan, trained, merged)


if __name__ == "__main__":
    raise SystemExit(main("finetune", run))
