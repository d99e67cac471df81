"""Fetch all package files of an engine into a folder, for a machine without a network: ``python -m jobs.bundle_env SPEC.json``.

``install_env`` with ``wheels`` set to that folder, or to a copy of it, asks no network.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from backend import settings
from backend.envs import bundles, locks, places, planning, wheels
from backend.errors import ConflictError
from backend.i18n import N_
from backend.specs.bundle_env import BundleEnvSpec
from backend.workspace import explain_os_error, open_workspace
from jobs import install_env
from jobs.envs import beyond, building
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any] | None:
    """The program; a stop keeps what was fetched."""
    spec = job.spec_as(BundleEnvSpec)
    workspace = open_workspace()
    job.phase("check")
    engine = places.with_environment(spec.engine)
    flavour, why = planning.choose(engine, spec.flavour)
    lock = locks.find(engine, flavour)
    if lock is None:
        raise planning.no_lock(engine, flavour)
    job.log(f"{engine.title}, {flavour}: {why} {len(lock.packages)} packages")
    folder = Path(spec.folder)
    if (problem := planning.bundle_problem(workspace, engine, lock, folder)) is not None:
        raise problem
    refuse_foreign(folder)
    build = job.dir / "environment"  # pip fetches for a Python; nothing of it is kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / bundles.MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(build, ignore_errors=True)
    except OSError as error:
        raise explain_os_error(error, folder) from error
    try:
        building.create(job, lock, build)
        digests = install_env.fetch(job, workspace, settings.load(workspace), lock, build, folder)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    bundles.write(folder, lock, digests)
    size = sum((folder / name).stat().st_size for name in digests)
    job.artifact("bundle", folder, label=engine.title)
    job.log(f"{folder}: {len(digests)} files, {planning.size_text(size)}")
    return {
        "complete": True,
        "engine": engine.name,
        "flavour": flavour,
        "folder": str(folder),
        "files": len(digests),
        "bytes": size,
    }


def refuse_foreign(folder: Path) -> None:
    """Nothing is fetched into a folder with other things in it: what does not belong to a bundle is deleted there.

    Raises:
        ConflictError: ``env_bundle_folder``.
    """
    if not folder.exists():
        return
    others = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    others = [
        name for name in others if name not in (bundles.MANIFEST, ".pip", beyond.FOLDER) and not wheels.named(name)
    ]
    if others:
        raise ConflictError(
            "env_bundle_folder",
            N_("{folder} holds other things, such as {name}."),
            N_("Name a new folder, or an empty one."),
            folder=str(folder),
            name=others[0],
        )


if __name__ == "__main__":
    raise SystemExit(main("bundle_env", run))
