"""What an environment must show before people's work goes there: our patches hold, and the self-test passes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from backend.engines.base import Engine
from backend.envs import places, running
from backend.envs.status import Report
from backend.errors import PanelError, fill
from backend.i18n import N_
from backend.workspace import write_json
from jobs.harness import Job
from jobs.selftests.testing import run_selftest

PROBE_S = 300


def patch(job: Job, engine: Engine, python: Path, flavour: str) -> None:
    """Say which patches this environment needs, and try each.

    Raises:
        PanelError: ``env_patch`` where one does not do what it is for.
    """
    found = running.patches(engine, python.parent.parent, flavour)
    if not found:
        job.log("No patch is needed with these versions.")
    environ = running.environ(engine, python, flavour)
    for number, each in enumerate(found):
        job.check_stop()
        job.progress("patch", number, len(found))
        job.log(f"patch {each.name}: {each.why}")
        done = subprocess.run(
            [str(python), "-c", each.probe],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_S,
            check=False,
        )
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["-"]
            job.log("\n".join(said))
            raise PanelError(
                "env_patch",
                N_("The patch {patch} of {engine} does not work here: {line}"),
                N_("Report it to the makers of TuneDeck, with the log of this job."),
                patch=each.name,
                engine=engine.title,
                line=said[-1][:500],
            )


def selftest(job: Job, engine: Engine, python: Path, flavour: str, lock: str = "") -> Report:
    """Run the engine's self-test; its report is also left in the job's folder.

    Raises:
        Stopped: the person asked to stop.
    """
    folder = job.dir / "selftest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        report = run_selftest(engine, python, flavour, folder, job.log, lock=lock, stopping=lambda: job.stop_requested)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(job.dir / places.REPORT, report.to_dict(), mode=0o644)
    return report


def refuse_failed(engine: Engine, report: Report, hint: str) -> None:
    """Raise :class:`PanelError` ``env_selftest_failed``, which names the first check that failed; ``hint``: what now."""
    if report.passed:
        return
    bad = next((check for check in report.checks if check.outcome == "failed"), None)
    problem = bad.problem if bad else None
    raise PanelError(
        "env_selftest_failed",
        N_("The self-test of {engine} failed at '{check}': {problem}"),
        hint,
        engine=engine.title,
        check=bad.name if bad else "-",
        problem=str(problem or "-"),
        line=str((problem.params.get("line") if problem else "") or ""),
        reason_hint=fill(problem.hint, problem.params) if problem else "",
        report=json.loads(json.dumps(report.to_dict())),
    )
