"""What was said, kept in ``chat.db``: new, rename, delete, list, search; and the messages of each conversation.

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
        """Forget it and all its messages; an answer being written stops."""
        with self.write() as db:
            self.find(db, conversation)
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))

    def list(self, search: str = "", *, limit: int = 50, offset: int = 0) -> builtins.list[Conversation]:
        """Newest first; ``search`` finds text in titles and messages, in any language."""
        where, params = "", []
        if search.strip():
            escaped = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            where = (
                "WHERE title LIKE ? ESCAPE '\\' OR id IN (SELECT conversation FROM messages"
                " WHERE superseded = 0 AND content LIKE ? ESCAPE '\\') "
            )
            params = [clean(f"%{escaped}%")] * 2
        query = f"SELECT * FROM conversations {where}ORDER BY updated DESC, id LIMIT ? OFFSET ?"
        with self.read() as db:
            return [conversation_from_sql(row) for row in db.execute(query, (*params, limit, offset))]

    # --- messages

    def messages(
        self, conversation: str, *, limit: int | None = None, before: int | None = None
    ) -> builtins.list[Message]:
        """Oldest first, without superseded answers; with ``limit``, the last ones (before the message ``before``)."""
        terms, params = ["conversation = ?", "superseded = 0"], builtins.list[Any]([conversation])
        if before is not None:
            terms.append("id < ?")
            params.append(before)
        query = f"SELECT * FROM messages WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT ?"
        with self.read() as db:
            rows = db.execute(query, (*params, -1 if limit is None else limit)).fetchall()
        return [self.settled(message_from_sql(row)) for row in reversed(rows)]

    def count(self, conversation: str) -> int:
        """How many messages it has, without superseded answers."""
        with self.read() as db:
            query = "SELECT count(*) FROM messages WHERE conversation = ? AND superseded = 0"
            return int(db.execute(query, (conversation,)).fetchone()[0])

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

    def earlier_answers(self, message: Message) -> builtins.list[Message]:
        """Answers to the same prompt that were replaced by ``message``, oldest first."""
        query = (
            "SELECT * FROM messages WHERE conversation = ? AND superseded = 1 AND id < ? AND id > (SELECT"
            " coalesce(max(id), 0) FROM messages WHERE conversation = ? AND role = 'user' AND id < ?) ORDER BY id"
        )
        with self.read() as db:
            rows = db.execute(query, (message.conversation, message.id, message.conversation, message.id)).fetchall()
        return [message_from_sql(row) for row in rows]

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
