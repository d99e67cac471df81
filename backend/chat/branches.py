"""Branches of a conversation: several messages may follow the same one, and one way through them is shown.

    What is wheat? ─┬─ A plant.  ── Where does it grow? ── In Europe.      every message names the one before: ``parent``
                    └─ A cereal. ── Who eats it?        ── Everybody.      shown: this way; the rest is ``superseded``

Asking again, and sending an edited message, begin a branch; nothing is lost. Which branch is shown is stored, so a
reload and another tab show the same. Leaving a branch and coming back shows the end that was shown last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from backend.chat.conversations import Conversations
from backend.chat.records import Message
from backend.errors import ConflictError
from backend.i18n import N_
from backend.queue import locks

_PATH = (
    "WITH RECURSIVE path (id, parent) AS (SELECT id, parent FROM messages WHERE id = ?"
    " UNION ALL SELECT m.id, m.parent FROM messages AS m JOIN path ON m.id = path.parent) "
)


class Branches:
    """The branches of the conversations of ``store``; every method may raise :class:`backend.errors.WorkspaceError`."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def alternatives(self, messages: Sequence[Message]) -> dict[int, list[int]]:
        """For each of ``messages`` (of one conversation) that has others in its place: all of them, oldest first."""
        if not messages:
            return {}
        parents = sorted({m.parent for m in messages})
        query = (
            "SELECT parent, id FROM messages WHERE conversation = ?"
            f" AND parent IN ({', '.join('?' * len(parents))}) ORDER BY id"
        )
        with self.store.read() as db:
            rows = db.execute(query, (messages[0].conversation, *parents)).fetchall()
        children: dict[int, list[int]] = {}
        for row in rows:
            children.setdefault(row["parent"], []).append(row["id"])
        return {m.id: children[m.parent] for m in messages if len(children.get(m.parent, ())) > 1}

    def show(self, message_id: int) -> None:
        """Show the branch that holds the message, to the end at which it was left.

        Raises:
            ConflictError: ``answer_running``: an answer is being written on the branch that is shown.
            NotFoundError: ``message_unknown``.
        """
        message = self.store.message(message_id)
        if not message.superseded:
            return
        with self.store.write() as db:
            refuse_while_running(self.store, db, message.conversation)
            show_path(db, message.conversation, _descend(db, message.conversation, message_id))


def end_of(db: sqlite3.Connection, conversation: str, after: int | None = None) -> int:
    """The message that a new one follows: the end of the branch with the message ``after``, else of the shown one; or 0.

    A page may be older than the conversation: what a person adds belongs to the branch that they see.
    """
    if after is not None:
        row = db.execute(
            "SELECT superseded FROM messages WHERE id = ? AND conversation = ?", (after, conversation)
        ).fetchone()
        if row is not None and row["superseded"]:
            return _descend(db, conversation, after)
    query = "SELECT coalesce(max(id), 0) FROM messages WHERE conversation = ? AND superseded = 0"
    return int(db.execute(query, (conversation,)).fetchone()[0])


def show_path(db: sqlite3.Connection, conversation: str, end: int) -> None:
    """Make the way from the first message to ``end`` (0: nothing at all) the one that is shown."""
    db.execute(
        f"{_PATH} UPDATE messages SET superseded = 1 WHERE conversation = ? AND superseded = 0"
        " AND id NOT IN (SELECT id FROM path)",
        (end, conversation),
    )
    db.execute(
        f"{_PATH} UPDATE messages SET superseded = 0, picked = ? WHERE superseded = 1 AND id IN (SELECT id FROM path)",
        (end, next_pick(db, conversation)),
    )


def next_pick(db: sqlite3.Connection, conversation: str) -> int:
    """The count for a message that is shown from now on."""
    query = "SELECT coalesce(max(picked), 0) + 1 FROM messages WHERE conversation = ?"
    return int(db.execute(query, (conversation,)).fetchone()[0])


def refuse_while_running(store: Conversations, db: sqlite3.Connection, conversation: str) -> None:
    """Refuse what would disturb an answer that is being written; one whose panel is gone is marked interrupted.

    Raises:
        ConflictError: ``answer_running``.
    """
    for row in db.execute(
        "SELECT id, owner FROM messages WHERE conversation = ? AND state = 'running'", (conversation,)
    ).fetchall():
        if locks.held(store.owner_lock(row["owner"])):
            raise ConflictError(
                "answer_running",
                N_("An answer is still being written in this conversation."),
                N_("Wait for its end or stop it, then try again."),
            )
        db.execute("UPDATE messages SET state = 'interrupted' WHERE id = ?", (row["id"],))


def _descend(db: sqlite3.Connection, conversation: str, message: int) -> int:
    """The end of the branch that begins with ``message``: at every parting, the way that was shown last."""
    query = "SELECT id FROM messages WHERE conversation = ? AND parent = ? ORDER BY picked DESC, id DESC LIMIT 1"
    while row := db.execute(query, (conversation, message)).fetchone():
        message = row["id"]
    return message
