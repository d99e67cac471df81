"""SQLite files of the workspace: how one is opened, migrated, and used by many threads and processes at once.

WAL, so that a page reads while another process writes; ``synchronous=FULL``, so that what was acknowledged is there after
a power cut. ``user_version`` counts the migrations applied; a file made by a newer TuneDeck is refused and left alone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backend.errors import WorkspaceError, explain_sql_error
from backend.i18n import N_
from backend.workspace import give_up_reserve

BUSY_TIMEOUT_S = 15.0
Migration = Callable[[sqlite3.Connection], None]


class Transactions:
    """What both databases share: SQLite's errors in words, and writes that happen whole or not at all."""

    path: Path

    def _connection(self) -> sqlite3.Connection:
        raise TypeError("a database says how it is connected")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection; SQLite's errors become :class:`WorkspaceError`."""
        try:
            yield self._connection()
        except sqlite3.DatabaseError as error:
            raise explain_sql_error(error, self.path) from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it or nothing."""
        with self.read() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise


class ThreadLocalDatabase(Transactions):
    """One connection per thread to ``path``. A file that was replaced by a rebuilt one is noticed and followed."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        self.path = path
        self._migrations = migrations
        self._local = threading.local()
        with self.read():
            pass

    def _connection(self) -> sqlite3.Connection:
        try:
            seen = self.path.stat().st_ino
        except FileNotFoundError:
            seen = 0
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None or self._local.inode != seen:
            if db is not None:
                db.close()
            self._local.db = db = connect(self.path, self._migrations)
            self._local.inode = self.path.stat().st_ino
        return db

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None


def connect(path: Path, migrations: Sequence[Migration], *, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are written out), migrated to the newest version.

    Raises:
        WorkspaceError: ``workspace_newer``.
        sqlite3.DatabaseError: the file is damaged, or the disk is full or read-only.
    """
    try:
        return _connect(path, migrations, synchronous)
    except sqlite3.OperationalError:
        if not give_up_reserve(path.parent):
            raise
        return _connect(path, migrations, synchronous)


def _connect(path: Path, migrations: Sequence[Migration], synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        migrate(db, path, migrations)
    except BaseException:
        db.close()
        raise
    return db


def migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, all in one transaction; a second process that got there first is noticed."""
    if _version(db) == len(migrations):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        have = _version(db)
        if have > len(migrations):
            raise WorkspaceError(
                "workspace_newer",
                N_(
                    "The workspace file {path} was written by a newer TuneDeck (format {have}; this one knows {known})."
                ),
                N_("Update TuneDeck, or set TUNEDECK_WORKSPACE to another folder. Nothing was changed."),
                path=str(path),
                have=have,
                known=len(migrations),
            )
        for migration in migrations[have:]:
            migration(db)
        db.execute(f"PRAGMA user_version = {len(migrations)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is broken, rather than locked, full or read-only."""
    return any(sign in str(error) for sign in ("malformed", "not a database", "file is encrypted"))


def put_beside(path: Path) -> Path:
    """Rename a damaged file and its side files out of the way; nothing is deleted. Returns where it is now."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    kept = path.with_name(f"{path.name}.damaged-{stamp}-{os.urandom(2).hex()}")
    path.rename(kept)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix))
    return kept


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
