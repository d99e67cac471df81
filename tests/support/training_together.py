"""A training by several processes on a machine without GPUs: ``python -m tests.support.training_together SPEC.json``.

The plan refuses that on the CPU, for good reasons; all else is as on several GPUs, but for the way in which gradients travel.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from backend.finetune import plan as planning
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace
from jobs.finetuning import keeping, training
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """Learn, and keep a capsule; what came of it."""
    spec = job.spec_as(FinetuneSpec)
    plan = planning.checked(open_workspace(), spec.model_copy(update={"gpus": 1}))
    together = plan.spec.model_copy(update={"gpus": spec.gpus})
    plan = replace(plan, spec=together)
    trained = training.train(job, plan)
    keeping.capsule(job, plan, trained)
    return {
        "complete": True,
        **{name: str(value) if isinstance(value, Path) else value for name, value in asdict(trained).items()},
    }


if __name__ == "__main__":
    raise SystemExit(main("finetune", run))
