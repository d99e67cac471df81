"""Test the environment of an engine that is in use: ``python -m jobs.test_env SPEC.json``. The report is kept."""

from __future__ import annotations

from typing import Any

from backend.engines.registry import engines
from backend.envs import places
from backend.errors import NotFoundError
from backend.i18n import N_
from backend.memory import machine
from backend.specs.test_env import TestEnvSpec
from backend.workspace import open_workspace
from jobs.envs import proving
from jobs.harness import Job, main

MISSING_HINT = N_("Install it on the Environments page.")
FAILED_HINT = N_(
    "Look at the log for the cause. To make the environment anew, install it again on the Environments page."
)


def run(job: Job) -> dict[str, Any] | None:
    """The program."""
    spec = job.spec_as(TestEnvSpec)
    workspace = open_workspace()
    job.phase("check")
    status = places.status(workspace, spec.engine)
    engine = engines()[spec.engine]
    if not status.usable or status.python is None:
        raise status.problem or NotFoundError(
            "env_missing", N_("{engine} is not installed here."), MISSING_HINT, engine=engine.title
        )
    flavour = status.flavour or ("cuda" if machine.gpus()[0] else "cpu")
    known = places.record(status.folder)
    if engine.recipe is not None:
        job.phase("patch")
        proving.patch(job, engine, status.python, flavour)
    job.phase("selftest")
    report = proving.selftest(job, engine, status.python, flavour, known.lock if known else "")
    places.save_report(workspace, engine.name, report, status.folder)
    proving.refuse_failed(engine, report, FAILED_HINT)
    return {
        "complete": True,
        "engine": engine.name,
        "flavour": flavour,
        "folder": str(status.folder),
        "python": str(status.python),
        "bytes": status.size_bytes,
        "report": report.to_dict(),
    }


if __name__ == "__main__":
    raise SystemExit(main("test_env", run))
