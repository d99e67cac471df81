"""The tables of ``chat.db``, as a list of migrations. ``user_version`` counts the migrations applied."""

from __future__ import annotations

import sqlite3

from backend.database import Migration


def _1_conversations_and_messages(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE conversations (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, model TEXT NOT NULL DEFAULT '', params TEXT NOT NULL DEFAULT '{}',
            created REAL NOT NULL, updated REAL NOT NULL) WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX conversations_by_time ON conversations (updated)")
    db.execute(
        """
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            role TEXT NOT NULL, content TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL DEFAULT '',
            params TEXT NOT NULL DEFAULT '{}', error TEXT NOT NULL DEFAULT '{}', finish_reason TEXT NOT NULL DEFAULT '',
            prompt_tokens INTEGER, completion_tokens INTEGER, counted INTEGER NOT NULL DEFAULT 0,
            ttft_s REAL, tokens_s REAL, left_out INTEGER NOT NULL DEFAULT 0, superseded INTEGER NOT NULL DEFAULT 0,
            owner TEXT NOT NULL DEFAULT '', stop INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL)
        """
    )
    db.execute("CREATE INDEX messages_by_conversation ON messages (conversation, superseded, id)")
    db.execute("CREATE INDEX messages_being_written ON messages (conversation) WHERE state = 'running'")
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


MIGRATIONS: list[Migration] = [_1_conversations_and_messages]
