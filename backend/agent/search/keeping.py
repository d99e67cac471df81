"""Where indexes lie: ``cache/search/`` of the workspace, one file each, used by one process at a time.

The files that were not used for longest are removed when all of them together take more than :data:`MOST_BYTES`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from backend.agent.search.index import Index
from backend.errors import ConflictError, explain_sql_error
from backend.i18n import N_
from backend.queue import locks
from backend.workspace import Workspace, explain_os_error

T = TypeVar("T")
MOST_BYTES = 2 << 30
WAIT_S, LOOK_S = 120.0, 0.02
OF_ROWS = "rows-"
_BESIDE = ("-wal", "-shm", "-journal")


def folder(workspace: Workspace) -> Path:
    """Where they lie; made by the first one."""
    return workspace.root / "cache" / "search"


def use(workspace: Workspace, name: str, work: Callable[[Index], T], stopped: Callable[[], bool]) -> T:
    """What ``work`` gives with the index ``name``, alone with it. A damaged file, or one of another layout, is made anew.

    Raises:
        ConflictError: ``search_stopped``; ``search_busy``: somebody else has it for too long.
        WorkspaceError: the disk is full or read-only.
    """
    path = folder(workspace) / f"{name}.db"
    with _alone(path, stopped):
        try:
            try:
                return _used(path, work)
            except sqlite3.DatabaseError as error:
                if not _is_rubbish(error):
                    raise
                _remove(path)
                return _used(path, work)
        except sqlite3.DatabaseError as error:
            raise explain_sql_error(error, path) from error


def tidy(workspace: Workspace, most: int = MOST_BYTES) -> None:
    """Remove the indexes of rows that are gone, then those that were not used for longest, until the others take at most
    ``most`` bytes."""
    there = {path.name for path in workspace.datasets.glob("*/versions/*")}
    with contextlib.suppress(OSError):
        found = sorted(folder(workspace).glob("*.db"), key=lambda path: -path.stat().st_mtime)
        taken = 0
        for path in found:
            gone = path.stem.startswith(OF_ROWS) and path.stem.removeprefix(OF_ROWS) not in there
            taken += 0 if gone else path.stat().st_size
            lock = locks.acquire(_lock(path)) if gone or taken > most else None
            if lock is not None:
                _remove(path)
                os.close(lock)


def stopped_error() -> ConflictError:
    """Somebody pressed Stop."""
    return ConflictError(
        "search_stopped",
        N_("The search was stopped."),
        N_("What was read so far is kept; the next search goes on there."),
    )


def _used(path: Path, work: Callable[[Index], T]) -> T:
    index = Index(path)
    try:
        found = work(index)
    finally:
        index.close()
    os.utime(path)
    return found


@contextlib.contextmanager
def _alone(path: Path, stopped: Callable[[], bool]) -> Iterator[None]:
    until = time.monotonic() + WAIT_S
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (lock := locks.acquire(_lock(path))) is None:
            if stopped():
                raise stopped_error()
            if time.monotonic() > until:
                raise ConflictError(
                    "search_busy",
                    N_("Another search is still reading the same rows for the first time."),
                    N_("Try again in a minute."),
                )
            time.sleep(LOOK_S)
    except OSError as error:
        raise explain_os_error(error, path) from error
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")


def _remove(path: Path) -> None:
    """The index and what SQLite keeps beside it. The lock stays: somebody may wait for it."""
    for each in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
        each.unlink(missing_ok=True)


def _is_rubbish(error: sqlite3.DatabaseError) -> bool:
    text = str(error)
    return any(each in text for each in ("malformed", "not a database", "another layout", "no such table", "corrupt"))
