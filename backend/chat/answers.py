"""The life of an answer in the database: asked, saved while it is written, ended. One at a time in a conversation."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import Message, clean, title_from
from backend.errors import ConflictError
from backend.i18n import N_
from backend.queue import locks

MAX_PROMPT_CHARS = 1_000_000


class Answers:
    """Answers in the conversations of ``store``; every method may raise :class:`backend.errors.WorkspaceError`."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def ask(
        self, conversation: str | None, text: str, *, model: str, params: ChatParams, owner: str
    ) -> tuple[Message, Message]:
        """Store a prompt and an empty answer that ``owner`` will write; None makes a new conversation for them.

        Raises:
            ConflictError: ``answer_running``; ``prompt_empty``; ``prompt_too_long``.
            NotFoundError: ``conversation_unknown``.
        """
        content = clean(text)
        if not content.strip():
            raise ConflictError("prompt_empty", N_("There is nothing to send."), N_("Type a message first."))
        if len(content) > MAX_PROMPT_CHARS:
            raise ConflictError(
                "prompt_too_long",
                N_("This message has {count} characters; a conversation takes at most {limit} in one message."),
                N_("Send a part of it."),
                count=f"{len(content):,}",
                limit=f"{MAX_PROMPT_CHARS:,}",
            )
        with self.store.write() as db:
            if conversation is None:
                conversation = self.store.insert(db, title_from(content), model, params)
            self.store.find(db, conversation)
            self._refuse_second_answer(db, conversation)
            if not db.execute("SELECT title FROM conversations WHERE id = ?", (conversation,)).fetchone()[0]:
                db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title_from(content), conversation))
            user = self._insert_message(db, conversation, "user", content, "done", model, params, "")
            answer = self._insert_message(db, conversation, "assistant", "", "running", model, params, owner)
            self._touch(db, conversation, model, params)
        return self.store.message(user), self.store.message(answer)

    def ask_again(self, conversation: str, *, model: str, params: ChatParams, owner: str) -> Message:
        """An empty answer in place of the last one, which is kept as superseded.

        Raises:
            ConflictError: ``answer_running``; ``nothing_asked``: there is no prompt to answer.
        """
        with self.store.write() as db:
            self.store.find(db, conversation)
            self._refuse_second_answer(db, conversation)
            last = db.execute(
                "SELECT max(id) FROM messages WHERE conversation = ? AND role = 'user'", (conversation,)
            ).fetchone()[0]
            if last is None:
                raise ConflictError("nothing_asked", N_("There is no message to answer yet."))
            db.execute(
                "UPDATE messages SET superseded = 1 WHERE conversation = ? AND role = 'assistant' AND id > ?",
                (conversation, last),
            )
            answer = self._insert_message(db, conversation, "assistant", "", "running", model, params, owner)
            self._touch(db, conversation, model, params)
        return self.store.message(answer)

    def save_partial(self, message_id: int, owner: str, content: str) -> bool:
        """Keep the text so far; returns whether ``owner`` should go on (False: stopped elsewhere, or deleted)."""
        with self.store.write() as db:
            rows = db.execute(
                "UPDATE messages SET content = ?, updated = ? WHERE id = ? AND owner = ? AND state = 'running'"
                " RETURNING stop",
                (clean(content), time.time(), message_id, owner),
            ).fetchall()
        return bool(rows) and not rows[0]["stop"]

    def finish(self, message_id: int, owner: str, state: str, content: str, **figures: Any) -> bool:
        """The answer's end. ``figures``: ``error`` (dict), ``finish_reason``, ``prompt_tokens``, ``completion_tokens``,
        ``counted``, ``ttft_s``, ``tokens_s``, ``left_out``. False when the message is gone or was ended by another."""
        if "error" in figures:
            figures["error"] = json.dumps(figures["error"])
        names = "".join(f", {name} = ?" for name in figures)
        with self.store.write() as db:
            changed = db.execute(
                f"UPDATE messages SET state = ?, content = ?, updated = ?{names}"
                " WHERE id = ? AND owner = ? AND state = 'running'",
                (state, clean(content), time.time(), *figures.values(), message_id, owner),
            )
            return changed.rowcount == 1

    def request_stop(self, message_id: int) -> None:
        """Ask whoever writes this answer to stop; another panel sees it within about a second."""
        with self.store.write() as db:
            db.execute("UPDATE messages SET stop = 1 WHERE id = ? AND state = 'running'", (message_id,))

    # --- inside

    def _refuse_second_answer(self, db: sqlite3.Connection, conversation: str) -> None:
        for row in db.execute(
            "SELECT id, owner FROM messages WHERE conversation = ? AND state = 'running'", (conversation,)
        ).fetchall():
            if locks.held(self.store.owner_lock(row["owner"])):
                raise ConflictError(
                    "answer_running",
                    N_("An answer is still being written in this conversation."),
                    N_("Wait for its end or stop it, then send your message."),
                )
            db.execute("UPDATE messages SET state = 'interrupted' WHERE id = ?", (row["id"],))

    def _insert_message(
        self,
        db: sqlite3.Connection,
        conversation: str,
        role: str,
        content: str,
        state: str,
        model: str,
        params: ChatParams,
        owner: str,
    ) -> int:
        now = time.time()
        cursor = db.execute(
            "INSERT INTO messages (conversation, role, content, state, model, params, owner, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (conversation, role, content, state, model, params.model_dump_json(), owner, now, now),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _touch(self, db: sqlite3.Connection, conversation: str, model: str, params: ChatParams) -> None:
        db.execute(
            "UPDATE conversations SET updated = ?, model = ?, params = ? WHERE id = ?",
            (time.time(), model, params.model_dump_json(), conversation),
        )
