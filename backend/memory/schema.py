"""The tables of ``memory.db``, as a list of migrations.

series     a number for each series, so that its blocks need not repeat its name
tail       the seconds that stand in no block yet: t -> numbers of series and their values
blocks     cells, see :mod:`tiers`
latest     the newest sample, whole
looks      a whole sample of each minute, later of each tenth: who was there
uses       each job at each place: from when to when, and the most that it took
devices    GPUs that were ever seen
moments    what happened
"""

from __future__ import annotations

import sqlite3

from backend.database import Migration


def _1_the_record(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    db.execute(
        "CREATE TABLE series (id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, name TEXT NOT NULL,"
        " subject TEXT NOT NULL, UNIQUE (place, name, subject))"
    )
    db.execute("CREATE TABLE tail (t INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    db.execute("CREATE TABLE latest (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL)")
    db.execute("CREATE TABLE looks (t INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    # step is the tier's. The first index answers "these series", the second "which series" and "what is too old".
    db.execute(
        "CREATE TABLE blocks (id INTEGER PRIMARY KEY, step INTEGER NOT NULL, series INTEGER NOT NULL,"
        " start INTEGER NOT NULL, data BLOB NOT NULL)"
    )
    db.execute("CREATE UNIQUE INDEX blocks_of_series ON blocks (step, series, start)")
    db.execute("CREATE INDEX blocks_by_time ON blocks (step, start, series)")
    db.execute(
        "CREATE TABLE uses (job INTEGER NOT NULL, place TEXT NOT NULL, source TEXT NOT NULL, first REAL NOT NULL,"
        " last REAL NOT NULL, peak INTEGER NOT NULL, peak_t REAL NOT NULL, steady INTEGER, PRIMARY KEY (job, place))"
        " WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE devices (uuid TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, total INTEGER,"
        " first_seen REAL NOT NULL, last_seen REAL NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE moments (id INTEGER PRIMARY KEY, t REAL NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL,"
        " subject TEXT NOT NULL, details TEXT, UNIQUE (t, kind, place, subject))"
    )


MIGRATIONS: list[Migration] = [_1_the_record]
