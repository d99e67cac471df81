"""Make a version of a dataset from another one, or from several: ``python -m jobs.change_data SPEC.json``.

It makes the version whole or not at all; stopped or killed it leaves nothing, and begins anew.
"""

from __future__ import annotations

from typing import Any

from backend.data import edit
from backend.data.store import Datasets
from backend.specs.change_data import ChangeDataSpec
from backend.workspace import open_workspace
from jobs import shares
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """The program."""
    spec = job.spec_as(ChangeDataSpec)
    sets = Datasets(open_workspace())
    version = sets.open(spec.dataset, spec.version or None) if spec.dataset else None
    job.phase("work")
    info = edit.apply(sets, version, spec.steps, name=spec.name, note=spec.note, progress=shares.teller(job, "work"))
    name = spec.name or spec.dataset
    job.artifact("dataset", sets.open(name, info.id).folder, f"{name}@{info.id}")
    return {"complete": True, "dataset": name, "version": info.id, "rows": info.rows, "counts": info.counts}


if __name__ == "__main__":
    raise SystemExit(main("change_data", run))
