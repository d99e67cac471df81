"""The tables of ``state.db``, as a list of migrations."""

from __future__ import annotations

import sqlite3

from backend.database import Migration


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


MIGRATIONS: list[Migration] = [_1_jobs_and_leases, _2_change_counter]
