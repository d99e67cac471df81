"""Try a training for three real steps: ``python -m jobs.rehearse SPEC.json``. Nothing of the model is kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jobs.finetune import engine_of, planned
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any] | None:
    """The program. Returns what was measured."""
    plan = planned(job)
    found = engine_of(plan).rehearse(job, plan)
    return {"complete": True, "rehearsal": asdict(found)}


if __name__ == "__main__":
    raise SystemExit(main("rehearse", run))
