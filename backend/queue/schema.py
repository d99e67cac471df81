"""The database of jobs: its tables, as a list of migrations, and how a connection to it is opened.

WAL, so that the page reads while a supervisor writes; ``synchronous=FULL``, so that a job that was acknowledged is
there after a power cut. ``user_version`` counts the migrations applied; a database made by a newer TuneDeck is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from backend.errors import WorkspaceError
from backend.i18n import N_
from backend.workspace import give_up_reserve

BUSY_TIMEOUT_S = 15.0


def _1_jobs_and_leases(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, started REAL, ended REAL,
            elapsed REAL NOT NULL DEFAULT 0, position REAL NOT NULL, owner TEXT NOT NULL DEFAULT '',
            parent INTEGER, service INTEGER NOT NULL DEFAULT 0, auto_resumes INTEGER NOT NULL DEFAULT 0,
            resources TEXT NOT NULL DEFAULT '{}', wait TEXT NOT NULL DEFAULT '{}', progress TEXT NOT NULL DEFAULT '{}',
            health TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '{}', submit_key TEXT UNIQUE)
        """
    )
    db.execute("CREATE INDEX jobs_by_state ON jobs (state, position)")
    db.execute("CREATE INDEX jobs_by_verb ON jobs (verb, id)")
    db.execute(
        """
        CREATE TABLE leases (
            resource TEXT NOT NULL, job_id INTEGER NOT NULL REFERENCES jobs (id), amount INTEGER NOT NULL,
            PRIMARY KEY (resource, job_id)) WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX leases_by_job ON leases (job_id)")
    db.execute("CREATE UNIQUE INDEX one_lease_per_port ON leases (resource) WHERE resource GLOB 'port:*'")


def _2_change_counter(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO meta VALUES ('version', 0)")
    for verb in ("INSERT", "UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER count_{verb.lower()} AFTER {verb} ON jobs "
            "BEGIN UPDATE meta SET value = value + 1 WHERE key = 'version'; END"
        )


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_1_jobs_and_leases, _2_change_counter]


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are written out), migrated to the newest version.

    Raises:
        WorkspaceError: ``workspace_newer``.
        sqlite3.DatabaseError: the file is damaged.
    """
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        if not give_up_reserve(path.parent):
            raise
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def migrate(
    db: sqlite3.Connection, path: Path, migrations: list[Callable[[sqlite3.Connection], None]] = MIGRATIONS
) -> None:
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


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
