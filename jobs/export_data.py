"""Write a dataset for other programs: ``python -m jobs.export_data SPEC.json``.

The file appears when it is whole; stopped or killed the job leaves what was there before, and begins anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.data.export import default_path, export, note_text, resolve, summary
from backend.data.store import Datasets, image_path
from backend.specs.export_data import ExportDataSpec
from backend.workspace import open_workspace
from jobs import shares
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """The program."""
    spec = job.spec_as(ExportDataSpec)
    workspace = open_workspace()
    version = Datasets(workspace).open(spec.dataset, spec.version or None)
    to, container = resolve(spec.to, spec.container)
    path = Path(spec.path) if spec.path else default_path(workspace, version, to, container, spec.split)
    total = version.info.counts.get(spec.split, 0) if spec.split else version.info.rows
    job.phase("write")
    tell = shares.teller(job, "write")
    done = export(
        version,
        path,
        to,
        container=container,
        split=spec.split or None,
        pictures=lambda reference: image_path(workspace, reference),
        progress=lambda rows: tell(rows / total if total else 1.0, rows),
    )
    for code, count in sorted(done.warnings.items()):
        job.log(note_text(code, count))
    job.artifact("file", done.path, done.path.name)
    return {
        "complete": True,
        "dataset": spec.dataset,
        "version": version.info.id,
        "format": to,
        "container": container,
    } | summary(done)


if __name__ == "__main__":
    raise SystemExit(main("export_data", run))
