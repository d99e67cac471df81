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


def _2_branches_and_prompts(db: sqlite3.Connection) -> None:
    """``parent``: the message before (0: none). ``picked``: a count that grows; of several messages with one parent, the
    one with the highest was shown last. ``superseded`` is 1 for all that is not on the branch that is shown."""
    db.execute("ALTER TABLE messages ADD COLUMN parent INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE messages ADD COLUMN picked INTEGER NOT NULL DEFAULT 0")
    # Until now only the last answer was replaced, so what is not superseded stands above what came after it.
    db.execute(
        """
        UPDATE messages SET picked = id, parent = coalesce((SELECT max(m.id) FROM messages AS m
            WHERE m.conversation = messages.conversation AND m.superseded = 0 AND m.id < messages.id), 0)
        """
    )
    db.execute("CREATE INDEX messages_by_parent ON messages (conversation, parent)")
    db.execute(
        """
        CREATE TABLE prompts (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, text TEXT NOT NULL, updated REAL NOT NULL)
        """
    )


def _3_sent_and_attachments(db: sqlite3.Connection) -> None:
    """``sent.data``: :meth:`backend.chat.sent.Sent.packed`, apart from the messages, because few are ever looked at."""
    db.execute(
        """
        CREATE TABLE sent (
            message INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE, data BLOB NOT NULL)
        """
    )
    db.execute("ALTER TABLE messages ADD COLUMN attachments TEXT NOT NULL DEFAULT '[]'")
    db.execute("CREATE INDEX messages_with_attachments ON messages (id) WHERE attachments <> '[]'")


MIGRATIONS: list[Migration] = [_1_conversations_and_messages, _2_branches_and_prompts, _3_sent_and_attachments]
