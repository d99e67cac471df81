"""Read a file, a folder or an archive into a dataset: ``python -m jobs.import_data SPEC.json``.

It makes the version whole or not at all; stopped or killed it leaves nothing, and begins anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.data import importing, schemas
from backend.data.store import Datasets
from backend.specs.import_data import ImportDataSpec
from backend.workspace import open_workspace
from jobs import shares
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """The program."""
    spec = job.spec_as(ImportDataSpec)
    workspace = open_workspace()
    job.phase("read")
    mapping = schemas.Mapping.from_dict(spec.mapping) if spec.mapping else None
    info = importing.run(
        workspace,
        spec.path,
        spec.name,
        mapping,
        **importing.options_of(spec.model_dump()),
        note=spec.note,
        origin=spec.origin,
        progress=shares.teller(job, "read"),
    )
    upload = Path(spec.path).resolve()  # ".." and links must not make another file look like an upload
    if spec.remove and upload.is_relative_to(workspace.uploads.resolve()):
        upload.unlink(missing_ok=True)
    version = Datasets(workspace).open(spec.name, info.id)
    job.artifact("dataset", version.folder, f"{spec.name}@{info.id}")
    return {
        "complete": True,
        "dataset": spec.name,
        "version": info.id,
        "rows": info.rows,
        "rejected": info.rejected,
        "bytes": info.bytes,
    }


if __name__ == "__main__":
    raise SystemExit(main("import_data", run))
