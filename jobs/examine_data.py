"""Let the doctor look at a version of a dataset: ``python -m jobs.examine_data SPEC.json``.

The report is written beside the version, whole or not at all; stopped or killed it leaves what was there before.
"""

from __future__ import annotations

from typing import Any

from backend.data import doctor
from backend.data.store import Datasets
from backend.specs.examine_data import ExamineDataSpec
from backend.workspace import open_workspace
from jobs import shares
from jobs.harness import Job, Stopped, main


def run(job: Job) -> dict[str, Any]:
    """The program."""
    spec = job.spec_as(ExamineDataSpec)
    sets = Datasets(open_workspace())
    version = sets.open(spec.dataset, spec.version or None)
    against = sets.resolve(spec.against) if spec.against else None
    job.phase("examine")
    try:
        report = doctor.examine_version(
            version,
            against=against,
            progress=shares.teller(job, "examine", stops=False),
            stop=lambda: job.stop_requested,
        )
    except doctor.Stopped:
        raise Stopped from None
    for check, count in report.checks():
        job.log(f"{check.severity}: {check.title}: {count:,}")
    job.artifact("report", version.folder / doctor.FILE, f"{version.dataset}@{version.info.id}")
    return {
        "complete": True,
        "dataset": version.dataset,
        "version": version.info.id,
        "rows": report.rows,
        "counts": report.counts,
        **{f"{severity}s": report.having(severity) for severity in doctor.SEVERITIES},
    }


if __name__ == "__main__":
    raise SystemExit(main("examine_data", run))
