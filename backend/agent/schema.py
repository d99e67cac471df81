"""The tables of ``agent.db``, as a list of migrations. ``user_version`` counts the migrations applied."""

from __future__ import annotations

import sqlite3

from backend.database import Migration


def _1_conversations_turns_steps(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE conversations (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, model TEXT NOT NULL, options TEXT NOT NULL, created REAL NOT NULL,
            updated REAL NOT NULL) WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX conversations_by_time ON conversations (updated)")
    db.execute(
        """
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL,
            model TEXT NOT NULL, options TEXT NOT NULL, created REAL NOT NULL, protocol TEXT, answer TEXT,
            problem TEXT NOT NULL DEFAULT '{}', error TEXT NOT NULL DEFAULT '{}', notes TEXT NOT NULL DEFAULT '[]',
            stop INTEGER NOT NULL DEFAULT 0, started REAL, ended REAL)
        """
    )
    db.execute("CREATE INDEX turns_by_conversation ON turns (conversation, id)")
    db.execute(
        """
        CREATE TABLE steps (
            id INTEGER PRIMARY KEY AUTOINCREMENT, turn INTEGER NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
            reply TEXT NOT NULL DEFAULT '', data TEXT NOT NULL DEFAULT '{}')
        """
    )
    db.execute("CREATE INDEX steps_by_turn ON steps (turn, number)")
    db.execute("CREATE TABLE decisions (step INTEGER, place INTEGER, yes INTEGER, PRIMARY KEY (step, place))")
    db.execute("CREATE TABLE sent (step INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


MIGRATIONS: list[Migration] = [_1_conversations_turns_steps]
