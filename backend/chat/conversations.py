"""What was said, kept in ``chat.db``: new, rename, delete, list; and the messages of each conversation.

Several tabs and several panels may work on one workspace: every change is one transaction, and a conversation has at
most one answer being written (:mod:`backend.chat.answers`). The panel that writes it holds a lock while it lives; a running
answer whose lock is free is *interrupted*, and shown so.
"""

from __future__ import annotations

import builtins
import secrets
import sqlite3
import time
from typing import Any

from backend.chat import attachments
from backend.chat.database import Database
from backend.chat.params import ChatParams
from backend.chat.records import Conversation, Message, clean, conversation_from_sql, message_from_sql
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_
from backend.queue import locks

MAX_TITLE_CHARS = 200


class Conversations(Database):
    """The conversations of one workspace; safe to share between threads.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    # --- conversations

    def create(self, title: str = "", *, model: str = "", params: ChatParams | None = None) -> Conversation:
        """A new, empty conversation."""
        with self.write() as db:
            found = self.insert(db, title, model, params or ChatParams())
            return self.find(db, found)

    def get(self, conversation: str) -> Conversation:
        """The conversation with that id.

        Raises:
            NotFoundError: ``conversation_unknown``.
        """
        with self.read() as db:
            return self.find(db, conversation)

    def rename(self, conversation: str, title: str) -> Conversation:
        """Give it another title (one line); an empty one is refused.

        Raises:
            ConflictError: ``title_empty``.
        """
        line = clean(" ".join(title.split()))[:MAX_TITLE_CHARS]
        if not line:
            raise ConflictError("title_empty", N_("A conversation needs a name."), N_("Type at least one character."))
        with self.write() as db:
            self.find(db, conversation)
            db.execute("UPDATE conversations SET title = ? WHERE id = ?", (line, conversation))
            return self.find(db, conversation)

    def remember(self, conversation: str, *, model: str, params: ChatParams) -> None:
        """Keep with which model and parameters it is asked next."""
        with self.write() as db:
            db.execute(
                "UPDATE conversations SET model = ?, params = ? WHERE id = ?",
                (model, params.model_dump_json(), conversation),
            )

    def delete(self, conversation: str) -> None:
        """Forget it, all its messages and the files that only they use; an answer being written stops."""
        with attachments.changing(self.workspace):
            with self.write() as db:
                self.find(db, conversation)
                files = attachments.used(db, conversation)
                db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
            with self.read() as db:
                attachments.sweep(self.workspace, db, files)

    def list(self, *, limit: int = 50, offset: int = 0) -> builtins.list[Conversation]:
        """The last used first. What they hold is found by :func:`backend.chat.search.search`."""
        query = "SELECT * FROM conversations ORDER BY updated DESC, id LIMIT ? OFFSET ?"
        with self.read() as db:
            return [conversation_from_sql(row) for row in db.execute(query, (limit, offset))]

    # --- messages

    def messages(
        self, conversation: str, *, limit: int | None = None, before: int | None = None, after: int | None = None
    ) -> builtins.list[Message]:
        """The branch that is shown, oldest first; with ``limit`` the last ones (before the message ``before``), or the
        first ones after the message ``after``."""
        terms, params = ["conversation = ?", "superseded = 0"], builtins.list[Any]([conversation])
        if before is not None:
            terms.append("id < ?")
            params.append(before)
        if after is not None:
            terms.append("id > ?")
            params.append(after)
        order = "DESC" if after is None else "ASC"
        query = f"SELECT * FROM messages WHERE {' AND '.join(terms)} ORDER BY id {order} LIMIT ?"
        with self.read() as db:
            rows = db.execute(query, (*params, -1 if limit is None else limit)).fetchall()
        return [self.settled(message_from_sql(row)) for row in (reversed(rows) if after is None else rows)]

    def count(self, conversation: str, *, everywhere: bool = False) -> int:
        """How many messages the branch that is shown has, or all branches together."""
        shown = "" if everywhere else " AND superseded = 0"
        with self.read() as db:
            query = f"SELECT count(*) FROM messages WHERE conversation = ?{shown}"
            return int(db.execute(query, (conversation,)).fetchone()[0])

    def everything(self, conversation: str) -> builtins.list[Message]:
        """The messages of all its branches, oldest first."""
        with self.read() as db:
            rows = db.execute("SELECT * FROM messages WHERE conversation = ? ORDER BY id", (conversation,)).fetchall()
        return [self.settled(message_from_sql(row)) for row in rows]

    def leading_to(self, message: Message) -> builtins.list[Message]:
        """The messages before ``message`` on its own branch, oldest first, whichever branch is shown."""
        query = (
            "WITH RECURSIVE path (id, parent) AS (SELECT id, parent FROM messages WHERE id = ?"
            " UNION ALL SELECT m.id, m.parent FROM messages AS m JOIN path ON m.id = path.parent)"
            " SELECT * FROM messages WHERE id IN (SELECT id FROM path) ORDER BY id"
        )
        with self.read() as db:
            rows = db.execute(query, (message.parent,)).fetchall()
        return [message_from_sql(row) for row in rows]

    def message(self, message_id: int) -> Message:
        """One message.

        Raises:
            NotFoundError: ``message_unknown``: its conversation was deleted.
        """
        with self.read() as db:
            row = db.execute("SELECT * FROM messages WHERE id = ?", (message_id,)).fetchone()
        if row is None:
            raise NotFoundError("message_unknown", N_("This message was deleted."))
        return self.settled(message_from_sql(row))

    def settled(self, message: Message) -> Message:
        """``message``, marked interrupted (here and in the file) if nobody writes it any more."""
        if not message.running or locks.held(self.owner_lock(message.owner)):
            return message
        with self.write() as db:
            db.execute(
                "UPDATE messages SET state = 'interrupted' WHERE id = ? AND state = 'running' AND owner = ?",
                (message.id, message.owner),
            )
            row = db.execute("SELECT * FROM messages WHERE id = ?", (message.id,)).fetchone()
        return message_from_sql(row) if row else message

    def find(self, db: sqlite3.Connection, conversation: str) -> Conversation:
        """:meth:`get` inside a transaction."""
        row = db.execute("SELECT * FROM conversations WHERE id = ?", (conversation,)).fetchone()
        if row is None:
            raise NotFoundError(
                "conversation_unknown",
                N_("This conversation does not exist. It may have been deleted in another tab."),
                N_("Pick another one from the history, or start a new one."),
            )
        return conversation_from_sql(row)

    def insert(self, db: sqlite3.Connection, title: str, model: str, params: ChatParams) -> str:
        """:meth:`create` inside a transaction; returns the new id."""
        conversation, now = secrets.token_hex(6), time.time()
        db.execute(
            "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?)",
            (conversation, clean(title)[:MAX_TITLE_CHARS], model, params.model_dump_json(), now, now),
        )
        return conversation
