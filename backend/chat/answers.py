"""The life of an answer in the database: asked, saved while it is written, ended. One at a time in a conversation."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from backend.chat import attachments, branches
from backend.chat.attachments import Upload
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import Message, clean, title_from
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_

MAX_PROMPT_CHARS = 1_000_000


class Answers:
    """Answers in the conversations of ``store``; every method may raise :class:`backend.errors.WorkspaceError`."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def ask(
        self,
        conversation: str | None,
        text: str,
        *,
        model: str,
        params: ChatParams,
        owner: str,
        after: int | None = None,
        instead_of: int | None = None,
        files: Sequence[Upload] = (),
    ) -> tuple[Message, Message]:
        """Store a prompt and an empty answer that ``owner`` will write; None makes a new conversation for them.

        Args:
            after: a message of the branch that the prompt continues, as the person saw it; None for the one shown now.
            instead_of: an earlier prompt, in whose place this one begins a new branch; what came with it stays.
            files: what comes with the prompt, for a model that can take it.

        Raises:
            ConflictError: ``answer_running``; ``prompt_empty``; ``prompt_too_long``.
            ModelError: ``model_cannot_see``.
            NotFoundError: ``conversation_unknown``, ``message_unknown``.
        """
        content, workspace = clean(text), self.store.workspace
        kept = self.store.message(instead_of).attachments if instead_of is not None else ()
        together = [*kept, *(file.attachment for file in files)]
        attachments.refuse_if_blind(workspace, model, together)
        if not content.strip() and not together:
            raise ConflictError("prompt_empty", N_("There is nothing to send."), N_("Type a message first."))
        if len(content) > MAX_PROMPT_CHARS:
            raise ConflictError(
                "prompt_too_long",
                N_("This message has {count} characters; a conversation takes at most {limit} in one message."),
                N_("Send a part of it."),
                count=f"{len(content):,}",
                limit=f"{MAX_PROMPT_CHARS:,}",
            )
        title = title_from(content) or title_from(", ".join(each.name for each in together))
        with attachments.storing(workspace, files), self.store.write() as db:
            if conversation is None:
                conversation = self.store.insert(db, title, model, params)
            self.store.find(db, conversation)
            branches.refuse_while_running(self.store, db, conversation)
            if not db.execute("SELECT title FROM conversations WHERE id = ?", (conversation,)).fetchone()[0]:
                db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation))
            if instead_of is None:
                parent = branches.end_of(db, conversation, after)
            else:
                parent = self._parent_of(db, conversation, instead_of, "user")
            user = self._insert_message(db, conversation, parent, "user", content, "done", model, params, "")
            if together:
                stored = json.dumps([each.to_dict() for each in together], ensure_ascii=False)
                db.execute("UPDATE messages SET attachments = ? WHERE id = ?", (stored, user))
            answer = self._insert_message(db, conversation, user, "assistant", "", "running", model, params, owner)
            self._touch(db, conversation, model, params)
        return self.store.message(user), self.store.message(answer)

    def ask_again(
        self, conversation: str, *, model: str, params: ChatParams, owner: str, instead_of: int | None = None
    ) -> Message:
        """An empty answer in place of ``instead_of`` (the last one), which becomes another branch.

        Raises:
            ConflictError: ``answer_running``; ``nothing_asked``: there is no prompt to answer.
            NotFoundError: ``conversation_unknown``, ``message_unknown``.
        """
        with self.store.write() as db:
            self.store.find(db, conversation)
            branches.refuse_while_running(self.store, db, conversation)
            if instead_of is None:
                parent = db.execute(
                    "SELECT max(id) FROM messages WHERE conversation = ? AND role = 'user' AND superseded = 0",
                    (conversation,),
                ).fetchone()[0]
            else:
                parent = self._parent_of(db, conversation, instead_of, "assistant")
            if not parent:
                raise ConflictError("nothing_asked", N_("There is no message to answer yet."))
            answer = self._insert_message(db, conversation, parent, "assistant", "", "running", model, params, owner)
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

    def _parent_of(self, db: sqlite3.Connection, conversation: str, message_id: int, role: str) -> int:
        query = "SELECT parent FROM messages WHERE id = ? AND conversation = ? AND role = ?"
        row = db.execute(query, (message_id, conversation, role)).fetchone()
        if row is None:
            raise NotFoundError("message_unknown", N_("This message was deleted."))
        return int(row["parent"])

    def _insert_message(
        self,
        db: sqlite3.Connection,
        conversation: str,
        parent: int,
        role: str,
        content: str,
        state: str,
        model: str,
        params: ChatParams,
        owner: str,
    ) -> int:
        """The message below ``parent``, from now on the end of the branch that is shown."""
        branches.show_path(db, conversation, parent)
        now, picked = time.time(), branches.next_pick(db, conversation)
        names = "conversation, parent, picked, role, content, state, model, params, owner, created, updated"
        values = (conversation, parent, picked, role, content, state, model, params.model_dump_json(), owner, now, now)
        cursor = db.execute(f"INSERT INTO messages ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _touch(self, db: sqlite3.Connection, conversation: str, model: str, params: ChatParams) -> None:
        db.execute(
            "UPDATE conversations SET updated = ?, model = ?, params = ? WHERE id = ?",
            (time.time(), model, params.model_dump_json(), conversation),
        )
