"""Taking an environment away, and what that frees."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backend.envs import places, running
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_
from backend.queue import locks
from backend.workspace import Workspace, explain_os_error


def size(workspace: Workspace, engine_name: str) -> int:
    """Bytes that :func:`remove` would free: all builds and downloads of this engine. Walks the folder: seconds, not more."""
    places.with_environment(engine_name)
    return folder_bytes(places.home(workspace, engine_name))


def remove(workspace: Workspace, engine_name: str) -> int:
    """Delete the engine's environment with its downloads; the bytes that this freed. What is shared stays.

    Raises:
        NotFoundError: ``env_unknown``; ``env_none`` where there is nothing of ours.
        ConflictError: ``env_in_use`` by running programs, ``env_busy`` while one is installed.
        WorkspaceError: it cannot be deleted.
    """
    engine = places.with_environment(engine_name)
    base = places.home(workspace, engine_name)
    if not builds(base) and not (base / places.WHEELS).is_dir():
        raise NotFoundError(
            "env_none",
            N_("There is no environment of {engine} to remove in {folder}."),
            N_("One that you made yourself, or that others share with you, is not touched."),
            engine=engine.title,
            folder=str(base),
        )
    try:
        lock = locks.acquire(base / places.INSTALL_LOCK)
        if lock is None:
            raise ConflictError(
                "env_busy",
                N_("The environment of {engine} is being installed now."),
                N_("Cancel that job first, or wait for its end."),
                engine=engine.title,
            )
        try:
            refuse_in_use(engine.title, builds(base))
            freed = folder_bytes(base)
            # The link first: nobody starts in what is half gone.
            (base / places.CURRENT).unlink(missing_ok=True)
            for build in builds(base):
                _delete(build)
            _delete(base / places.WHEELS)
            return freed
        finally:
            os.close(lock)
    except OSError as error:
        raise explain_os_error(error, base) from error


def builds(base: Path) -> list[Path]:
    """All builds below an engine's folder, whole or not."""
    try:
        return sorted(path for path in (base / places.BUILDS).iterdir() if path.is_dir())
    except OSError:
        return []


def clean(base: Path, keep: Path | None = None) -> list[Path]:
    """Delete builds that nobody uses, except the current one and ``keep``; those that went. The install lock is held."""
    in_use = places.current(base)
    gone = [build for build in builds(base) if build not in (in_use, keep) and not running.users(build)]
    for build in gone:
        _delete(build)
    return gone


def refuse_in_use(title: str, found: list[Path]) -> None:
    """Raise :class:`ConflictError` ``env_in_use`` where a program runs in one of these builds."""
    users = [process for build in found for process in running.users(build)]
    if not users:
        return
    jobs = running.jobs_of(users)
    if jobs:
        raise ConflictError(
            "env_in_use",
            N_("The environment of {engine} is in use by these jobs: {jobs}."),
            N_("Cancel them, or wait for their end, then try again."),
            engine=title,
            jobs=", ".join(f"#{job}" for job in jobs),
            job_ids=jobs,
        )
    raise ConflictError(
        "env_in_use",
        N_("The environment of {engine} is in use by other programs (process numbers {pids})."),
        N_("Close them, then try again."),
        engine=title,
        pids=", ".join(str(process.pid) for process in users[:5]),
        job_ids=[],
    )


def folder_bytes(folder: Path) -> int:
    """What the files below ``folder`` take on the disk; a file with several names counts once."""
    total, seen = 0, set()
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - tens of thousands of files
            except OSError:
                continue
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total += found.st_blocks * 512
    return total


def _delete(folder: Path) -> None:
    """Under another name first, so that what is half deleted is never taken for whole."""
    if not folder.exists():
        return
    doomed = folder.with_name(f".{folder.name}.doomed")
    if doomed.exists():
        shutil.rmtree(doomed)
    folder.rename(doomed)
    shutil.rmtree(doomed)
