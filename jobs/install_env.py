"""Make the environment of an engine, prove it, and take it into use: ``python -m jobs.install_env SPEC.json``.

check     whether it can be made here: Python, room, permission, an offline bundle that is whole
create    an empty environment, beside the one in use
download  the package files; what an earlier attempt fetched stays
install   from those files only
patch     what is wrong upstream and mended by us, each tried
selftest  the real thing on the starter model; passed, the new environment takes the place of the old one

Where exactly this is installed and proven already, by whatever panel, nothing is done. However an attempt ends, the
environment in use stays as it was until the new one has passed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from backend import settings
from backend.engines.base import Engine
from backend.envs import bundles, locks, places, planning, removing, wheels
from backend.envs.locks import Lock
from backend.envs.status import Report, Status
from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.install_env import InstallEnvSpec
from backend.workspace import Workspace, open_workspace
from jobs.downloads.transfer import Progress
from jobs.envs import beyond, building, proving
from jobs.envs.fetching import Fetching
from jobs.envs.turn import turn
from jobs.harness import Job, main

FAILED_HINT = N_("What was in use before stays in use. Look at the log, mend the cause, and install it again.")


def run(job: Job) -> dict[str, Any] | None:
    """The program; a stop keeps what was fetched, and the next attempt goes on from there."""
    spec = job.spec_as(InstallEnvSpec)
    workspace = open_workspace()
    job.phase("check")
    engine, lock = wanted(job, spec)
    if not spec.reinstall and planning.reusable(workspace, engine.name, lock.flavour):
        return reused(job, places.status(workspace, engine.name))
    base = places.home(workspace, engine.name)
    refuse_impossible(job, spec, workspace)
    with turn(job, base):
        if not spec.reinstall and planning.reusable(workspace, engine.name, lock.flavour):
            return reused(job, places.status(workspace, engine.name))
        job.phase("check")
        return make(job, spec, workspace, engine, lock, base)


def wanted(job: Job, spec: InstallEnvSpec) -> tuple[Engine, Lock]:
    """The engine and the lock of the flavour that this machine gets.

    Raises:
        NotFoundError: ``env_unknown``.
        PanelError: ``env_no_lock``, ``env_lock_bad``.
    """
    engine = places.with_environment(spec.engine)
    flavour, why = planning.choose(engine, spec.flavour)
    lock = locks.find(engine, flavour)
    if lock is None:
        raise planning.no_lock(engine, flavour)
    job.log(f"{engine.title}, {flavour}: {why} {len(lock.packages)} packages, Python {lock.python}")
    return engine, lock


def refuse_impossible(job: Job, spec: InstallEnvSpec, workspace: Workspace) -> None:
    """Raise the first of the plan's problems, before anything is fetched or made."""
    plan = planning.plan(workspace, spec.engine, spec.flavour, Path(spec.wheels) if spec.wheels else None)
    job.log(
        f"to fetch {planning.size_text(plan.download_bytes)}, needed while it is made "
        f"{planning.size_text(plan.needed_bytes)}, free {planning.size_text(plan.free_bytes)}"
    )
    for problem in plan.problems[1:]:
        job.log(str(problem))
    if plan.problems:
        raise plan.problems[0]


def make(
    job: Job, spec: InstallEnvSpec, workspace: Workspace, engine: Engine, lock: Lock, base: Path
) -> dict[str, Any]:
    """Build, prove, take into use. The install lock is held.

    Raises:
        PanelError: why it could not be made, or ``env_selftest_failed``.
        Stopped: the person asked to stop.
    """
    current = settings.load(workspace)
    if spec.wheels:
        check_bundle(job, lock, Path(spec.wheels))
    build = None if spec.reinstall else untested(base, lock)
    for gone in removing.clean(base, keep=build):
        job.log(f"{gone}: left by an earlier install, deleted")
    done = False
    try:
        if build is None:
            job.phase("create")
            build = base / places.BUILDS / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
            building.create(job, lock, build)
            files = Path(spec.wheels) if spec.wheels else base / places.WHEELS
            if not spec.wheels:
                fetch(job, workspace, current, lock, build, files)
            job.phase("install")
            building.install(job, workspace, current, lock, build, files, list(lock.packages))
            beyond.install(job, workspace, current, lock, build, files)
            building.complete(job, engine, lock, build)
        else:
            job.log(f"{build}: installed by an earlier attempt, which did not come to its self-test")
        report = prove(job, engine, lock, build)
        building.take_into_use(base, build)
        done = True
    finally:
        if build is not None and not done:
            shutil.rmtree(build, ignore_errors=True)
    shutil.rmtree(base / places.WHEELS, ignore_errors=True)
    for gone in removing.clean(base):
        job.log(f"{gone}: the environment that was in use before, deleted")
    return outcome(job, engine, build, lock.flavour, report, reused=False)


def fetch(
    job: Job, workspace: Workspace, current: settings.Settings, lock: Lock, build: Path, files: Path
) -> dict[str, str]:
    """All package files into ``files``, each compared with the lock; file name -> sha256.

    Raises:
        PanelError: why they cannot be had.
        Stopped: the person asked to stop.
    """
    job.phase("download")
    fetching = Fetching(job, workspace, current, lock, places.interpreter(build), files)
    fetching.prepare()
    fetching.fetch([package for package in lock.packages if not package.sdist])
    if sources := [package for package in lock.packages if package.sdist]:
        # pip looks into a source package when it fetches it, and for that needs what builds it.
        building.install(job, workspace, current, lock, build, files, building.tools(lock), quiet=True)
        fetching.fetch(sources)
    more = beyond.fetch(job, workspace, current, lock, places.interpreter(build), files)
    return {**fetching.check(), **more}


def check_bundle(job: Job, lock: Lock, folder: Path) -> None:
    """Every file of an offline bundle against the lock and the bundle's own manifest.

    Raises:
        PanelError: ``env_bundle_lacks``, ``env_bundle_changed``, ...
        Stopped: the person asked to stop.
    """
    if (problem := bundles.problem(folder, lock)) is not None:
        raise problem
    here = wheels.present(folder, lock)
    progress, done = Progress(job, "check", sum(path.stat().st_size for path in here.values()), len(here)), 0

    def tick(count: int) -> None:
        nonlocal done
        job.check_stop()
        done += count
        progress.at(done, 0)

    for package in lock.packages:
        path = here[package.pin]
        told = bundles.digest_of(folder, path)
        if not wheels.true_to(path, package, tick) or (told and not package.hashes and wheels.sha256(path) != told):
            raise bundles.changed(folder, path, package)
    for path, told in bundles.besides(folder).items():
        if not path.is_file() or wheels.sha256(path, lambda _bytes: job.check_stop()) != told:
            raise bundles.changed(folder, path)


def untested(base: Path, lock: Lock) -> Path | None:
    """A whole build of ``lock`` that was left before its self-test ended."""
    for build in removing.builds(base):
        known = places.record(build)
        if (
            known is not None
            and known.lock == lock.digest
            and build != places.current(base)
            and os.access(places.interpreter(build), os.X_OK)
        ):
            return build
    return None


def prove(job: Job, engine: Engine, lock: Lock, build: Path) -> Report:
    """Patches and self-test of a whole build; the report is kept in it.

    Raises:
        PanelError: ``env_patch``, ``env_selftest_failed``.
        Stopped: the person asked to stop.
    """
    job.phase("patch")
    proving.patch(job, engine, places.interpreter(build), lock.flavour)
    job.phase("selftest")
    report = proving.selftest(job, engine, places.interpreter(build), lock.flavour, lock.digest)
    proving.refuse_failed(engine, report, FAILED_HINT)
    places.write_report(build / places.REPORT, report)
    return report


def reused(job: Job, status: Status) -> dict[str, Any]:
    """What is there already."""
    if status.python is None or status.report is None:
        raise PanelError("env_damaged", N_("The environment {folder} is not complete."), folder=str(status.folder))
    job.log(f"{status.folder}: exactly this is installed and has passed its self-test; nothing to do")
    engine = places.with_environment(status.engine)
    return outcome(job, engine, status.folder, status.flavour, status.report, reused=True)


def outcome(job: Job, engine: Engine, build: Path, flavour: str, report: Report, *, reused: bool) -> dict[str, Any]:
    """The job's result."""
    known = places.record(build)
    job.artifact("environment", build, label=engine.title)
    return {
        "complete": True,
        "engine": engine.name,
        "flavour": flavour,
        "folder": str(build),
        "python": str(places.interpreter(build)),
        "bytes": known.bytes if known else 0,
        "reused": reused,
        "report": report.to_dict(),
    }


if __name__ == "__main__":
    raise SystemExit(main("install_env", run))
