"""Whether the workspace is on a file system that keeps its promises: locks, SQLite's WAL, times, and to be there tomorrow."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backend.doctor import mounts
from backend.doctor.findings import Finding, Fix, attention, bad, check, ok, say, unknown
from backend.doctor.here import Here, existing
from backend.i18n import N_

OLDEST_SQLITE = (3, 35, 0)
"""RETURNING, which the queue's statements use, came with it (https://www.sqlite.org/lang_returning.html)."""
SLOW_COMMIT_S = 0.25
PATIENCE_S = 1.5


def elsewhere() -> Fix:
    """To have the workspace on another disk."""
    return Fix(
        say(N_("Put the workspace on a disk of this machine, then start the panel again.")),
        command="export TUNEDECK_WORKSPACE=/path/on/a/local/disk/tunedeck",
    )


@check("state_file_system", N_("File system of the workspace"))
def file_system(here: Here) -> Iterator[Finding]:
    root = _absolute(here.workspace.root)
    mount = mounts.of(root, here.mounts)
    if mount and mount.kind not in mounts.NETWORK:
        mount = mounts.of(Path(os.path.realpath(root)), here.mounts)  # a link may lead elsewhere
    if mount is None:
        yield unknown(say(N_("/proc/self/mountinfo does not tell where {path} lies."), path=str(root)))
        return
    line = say(
        N_("{path} lies on {kind}, mounted at {point}."), path=str(root), kind=mount.kind, point=str(mount.point)
    )
    if "ro" in mount.options:
        yield bad(
            line, say(N_("It is mounted read-only.")), meaning=say(N_("Nothing can be saved.")), fixes=[elsewhere()]
        )
    elif mount.kind in mounts.NETWORK:
        yield attention(
            line,
            say(N_("It comes from {server}."), server=mount.source),
            meaning=say(
                N_(
                    "Locks and databases are not reliable on a network drive: two panels may both think that they are "
                    "alone, and state.db can be damaged. When the server is away, the panel stands still."
                )
            ),
            fixes=[elsewhere()],
        )
    elif mount.kind in mounts.VOLATILE:
        yield attention(
            line,
            meaning=say(N_("It is kept in memory: jobs, chats and models are gone when this machine starts again.")),
            fixes=[elsewhere()],
        )
    elif mount.kind in mounts.LAYERED and here.containers:
        yield attention(
            line,
            meaning=say(N_("It is the container's own layer: everything is gone when the container is removed.")),
            fixes=[
                Fix(
                    say(N_("Start the container with a volume for the workspace.")),
                    command="docker run -v tunedeck:/data -e TUNEDECK_WORKSPACE=/data ...",
                )
            ],
        )
    else:
        yield ok(line)


@check("home_file_system", N_("File system of the home folder"))
def home_file_system(here: Here) -> Iterator[Finding]:
    mount = mounts.of(here.home, here.mounts)
    if mount is None:
        return
    line = say(
        N_("{path} lies on {kind}, mounted at {point}."), path=str(here.home), kind=mount.kind, point=str(mount.point)
    )
    inside = [p for p in (here.hf_cache[0], here.pip_cache) if here.home in p.parents]
    if mount.kind in mounts.NETWORK and inside:
        yield attention(
            line,
            meaning=say(N_("Models and packages that are kept there load slowly, and fill a drive that others share.")),
            fixes=[
                Fix(
                    say(N_("Keep the caches on a disk of this machine; set this before the panel is started.")),
                    command="export HF_HOME=/path/on/a/local/disk/huggingface\nexport PIP_CACHE_DIR=/path/on/a/local/disk/pip",
                )
            ],
        )
    else:
        yield ok(line)


@check("sqlite", N_("SQLite and locks in the workspace"), deadline_s=4.0)
def sqlite(here: Here) -> Iterator[Finding]:
    version = say(N_("SQLite {version}."), version=sqlite3.sqlite_version)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield bad(
            version,
            meaning=say(N_("The panel needs SQLite {version} or newer."), version=".".join(map(str, OLDEST_SQLITE))),
            fixes=[
                Fix(say(N_("Use a newer Python, which brings a newer SQLite.")), command="make setup PYTHON=python3.12")
            ],
        )
        return
    with _probe_folder(here) as folder:
        mode, seconds = _try_wal(folder / "probe.db")
        locks = _try_lock(folder / "probe.lock")
    tried = say(
        N_("Tried in {path}: journal mode {mode}, one commit took {ms} ms, a second lock was refused: {locks}."),
        path=str(here.workspace.root),
        mode=mode,
        ms=f"{seconds * 1000:.0f}",
        locks=say(N_("yes")) if locks else say(N_("no")),
    )
    if mode != "wal" or not locks:
        yield bad(
            version,
            tried,
            meaning=say(N_("This file system cannot do what the queue relies on: jobs may be lost, or run twice.")),
            fixes=[elsewhere()],
        )
    elif seconds > SLOW_COMMIT_S:
        yield attention(
            version,
            tried,
            meaning=say(N_("The disk is slow or very busy: pages hesitate whenever something is saved.")),
            fixes=[elsewhere()],
        )
    else:
        yield ok(version, tried)


@contextlib.contextmanager
def _probe_folder(here: Here) -> Iterator[Path]:
    """A folder for a moment, in the workspace or, before there is one, on the disk where it will be."""
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=existing(here.workspace.root)) as folder:
        yield Path(folder)


def _try_wal(path: Path) -> tuple[str, float]:
    """(the journal mode that we get, seconds of one commit), with a second connection that reads what the first wrote."""
    with (
        contextlib.closing(sqlite3.connect(path, timeout=1)) as first,
        contextlib.closing(sqlite3.connect(path, timeout=1)) as second,
    ):
        mode = str(first.execute("PRAGMA journal_mode = wal").fetchone()[0])
        first.execute("PRAGMA synchronous = FULL")
        first.execute("CREATE TABLE probe (n INTEGER)")
        first.commit()
        began = time.monotonic()
        first.execute("INSERT INTO probe VALUES (1)")
        first.commit()
        seconds = time.monotonic() - began
        if second.execute("SELECT n FROM probe").fetchall() != [(1,)]:
            mode = "torn"
        return mode, seconds


def _try_lock(path: Path) -> bool:
    """Whether a lock keeps a second one out."""
    with path.open("wb") as first, path.open("wb") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@check("drives", N_("Drives answer"), deadline_s=PATIENCE_S + 1)
def drives(here: Here) -> Iterator[Finding]:
    places = (here.workspace.root, here.home, here.hf_cache[0], here.pip_cache, here.temporary, here.prefix)
    used = {mount.point: mount for path in places if (mount := mounts.of(_absolute(path), here.mounts))}
    silent = _silent(list(used))
    if silent:
        yield bad(
            *(
                say(
                    N_("{path} ({kind} from {server}) did not answer within {seconds} s."),
                    path=str(point),
                    kind=used[point].kind,
                    server=used[point].source,
                    seconds=f"{PATIENCE_S:g}",
                )
                for point in silent
            ),
            meaning=say(N_("Whatever reads or writes there stands still until the server of the drive is back.")),
            fixes=[Fix(say(N_("Ask who looks after the drive. What else could not be found out may be due to it.")))],
        )
    else:
        yield ok(say(N_("TuneDeck uses {count}, and all of them answer."), count=str(len(used))))


def _silent(points: list[Path]) -> list[Path]:
    """Those of ``points`` that do not answer. Each is asked in a thread of its own, which is left behind where it hangs."""
    heard: set[Path] = set()

    def ask(point: Path) -> None:
        with contextlib.suppress(OSError):  # a refusal is an answer, too
            os.statvfs(point)
        heard.add(point)

    threads = [threading.Thread(target=ask, args=(point,), daemon=True) for point in points]
    for thread in threads:
        thread.start()
    until = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [point for point in points if point not in heard]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - asks no file system, which may be dead


CHECKS = (drives, file_system, home_file_system, sqlite)
