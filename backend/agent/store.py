"""``agent.db``: conversations with agents, written by pages (what is asked, allowed, stopped) and by workers (what came of it).

A conversation has at most one turn that is not over. Who works at it holds a lock while it lives (:mod:`backend.agent.working`); a running turn whose
lock is free is *lost*, and shown so.
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.agent import stored
from backend.agent.options import Options
from backend.agent.recording import Recording
from backend.agent.records import Conversation, Step, Turn
from backend.agent.schema import MIGRATIONS
from backend.chat.records import clean
from backend.errors import ConflictError, NotFoundError, WorkspaceError
from backend.i18n import N_
from backend.queue import locks
from backend.workspace import Workspace

MOST_TITLE, MOST_TEXT = 200, 200_000


def lock_of(workspace: Workspace, conversation: str) -> Path:
    """The file that the worker of ``conversation`` holds locked while it lives."""
    return workspace.run / f"agent-{conversation}.lock"


class AgentStore(Recording):
    """The conversations of one workspace; safe to share between threads and processes.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    migrations = MIGRATIONS

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, workspace.root / "agent.db")

    # --- conversations

    def conversations(self, *, limit: int = 50, text: str = "") -> list[Conversation]:
        """The last used first; with ``text`` those that hold it in their title, a question or an answer."""
        like = f"%{_escaped(text)}%"
        where = (
            "WHERE title LIKE ?1 ESCAPE '\\' OR id IN (SELECT conversation FROM turns WHERE text LIKE ?1 ESCAPE '\\' "
            "OR answer LIKE ?1 ESCAPE '\\')"
            if text.strip()
            else ""
        )
        query = f"SELECT * FROM conversations {where} ORDER BY updated DESC, id LIMIT ?2"
        with self.read() as db:
            return [stored.conversation(row) for row in db.execute(query, (like, limit))]

    def conversation(self, conversation: str) -> Conversation:
        """Raises:
        NotFoundError: ``agent_conversation_unknown``.
        """
        with self.read() as db:
            return _found(db, conversation)

    def rename(self, conversation: str, title: str) -> None:
        """Raises:
        ConflictError: ``title_empty``.
        """
        line = _line(title)
        if not line:
            raise ConflictError("title_empty", N_("A conversation needs a name."), N_("Type at least one character."))
        with self.write() as db:
            _found(db, conversation)
            db.execute("UPDATE conversations SET title = ? WHERE id = ?", (line, conversation))

    def remember(self, conversation: str, *, model: str, options: Options) -> None:
        """Keep with which model and options it is asked next."""
        with self.write() as db:
            db.execute(
                "UPDATE conversations SET model = ?, options = ? WHERE id = ?",
                (model, options.model_dump_json(), conversation),
            )

    def delete(self, conversation: str) -> None:
        """Forget it, its steps and its files; what works at it stops."""
        with self.write() as db:
            _found(db, conversation)
            steps = "SELECT id FROM steps WHERE turn IN (SELECT id FROM turns WHERE conversation = ?)"
            for table in ("sent", "decisions"):
                db.execute(f"DELETE FROM {table} WHERE step IN ({steps})", (conversation,))
            db.execute("DELETE FROM steps WHERE turn IN (SELECT id FROM turns WHERE conversation = ?)", (conversation,))
            db.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
        shutil.rmtree(self.folder(conversation), ignore_errors=True)

    def folder(self, conversation: str) -> Path:
        """Where its tools put their files."""
        return self.workspace.root / "agent" / conversation

    # --- turns, as pages see them

    def ask(self, conversation: str | None, text: str, *, model: str, options: Options) -> Turn:
        """Add a question, to a new conversation where ``conversation`` is None. Somebody has to work at it then.

        Raises:
            ConflictError: ``agent_busy``, ``agent_question_empty``, ``agent_question_long``.
            NotFoundError: ``agent_conversation_unknown``.
        """
        text = clean(text)
        if not text.strip():
            raise ConflictError("agent_question_empty", N_("There is no question."), N_("Write one, then send it."))
        if len(text) > MOST_TEXT:
            raise ConflictError(
                "agent_question_long",
                N_("The question has {count} characters; {most} are the most."),
                N_("Put long texts among the documents on the Datasets page; the agent can search in them."),
                count=len(text),
                most=MOST_TEXT,
            )
        now = time.time()
        with self.write() as db:
            if conversation is None:
                conversation = secrets.token_hex(6)
                title = _line(text)[:60] or "?"
                row = (conversation, title, model, options.model_dump_json(), now, now)
                db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?)", row)
            _found(db, conversation)
            self._free(db, conversation)
            db.execute(
                "UPDATE conversations SET model = ?, options = ?, updated = ? WHERE id = ?",
                (model, options.model_dump_json(), now, conversation),
            )
            added = db.execute(
                "INSERT INTO turns (conversation, text, state, model, options, created) VALUES (?, ?, 'waiting', ?, ?, ?)",
                (conversation, text, model, options.model_dump_json(), now),
            )
            return stored.turn(db.execute("SELECT * FROM turns WHERE id = ?", (added.lastrowid,)).fetchone())

    def turns(self, conversation: str, *, limit: int | None = None) -> list[Turn]:
        """Oldest first; with ``limit`` the last ones."""
        query = "SELECT * FROM turns WHERE conversation = ? ORDER BY id DESC LIMIT ?"
        with self.read() as db:
            rows = db.execute(query, (conversation, -1 if limit is None else limit)).fetchall()
        return [self._settled(stored.turn(row)) for row in reversed(rows)]

    def turn(self, turn: int) -> Turn:
        """Raises:
        NotFoundError: ``agent_turn_unknown``.
        """
        with self.read() as db:
            row = db.execute("SELECT * FROM turns WHERE id = ?", (turn,)).fetchone()
        if row is None:
            raise NotFoundError("agent_turn_unknown", N_("This question was deleted with its conversation."))
        return self._settled(stored.turn(row))

    def count(self, conversation: str) -> int:
        """How many turns it has."""
        with self.read() as db:
            query = "SELECT count(*) FROM turns WHERE conversation = ?"
            return int(db.execute(query, (conversation,)).fetchone()[0])

    def steps(self, turns: Sequence[int]) -> list[Step]:
        """Of these turns, oldest first."""
        marks = ", ".join("?" * len(turns))
        with self.read() as db:
            rows = db.execute(f"SELECT * FROM steps WHERE turn IN ({marks}) ORDER BY turn, number", tuple(turns))
            return [stored.step(row) for row in rows]

    def request_stop(self, turn: int) -> None:
        """Ask whoever works at it to stop; one that nobody has begun is stopped at once."""
        with self.write() as db:
            db.execute("UPDATE turns SET stop = 1 WHERE id = ?", (turn,))
            db.execute(
                "UPDATE turns SET state = 'stopped', ended = ? WHERE id = ? AND state = 'waiting'", (time.time(), turn)
            )

    def decide(self, step: int, place: int, yes: bool) -> None:
        """The person's word on a call that asks first; the first one counts."""
        with self.write() as db:
            db.execute("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?)", (step, place, int(yes)))

    def go_on(self, turn: int, *, options: Options | None = None) -> Turn:
        """Have a turn that ended without an answer worked at again: a lost or stopped one from where it stood, a failed one from its last sound step.

        Raises:
            ConflictError: ``agent_busy``. NotFoundError: ``agent_turn_unknown``.
        """
        found = self.turn(turn)
        with self.write() as db:
            self._free(db, found.conversation)
            kept = (options or found.options).model_dump_json()
            db.execute(
                "UPDATE turns SET state = 'waiting', stop = 0, problem = '{}', error = '{}', answer = NULL, protocol = NULL, "
                "ended = NULL, options = ? WHERE id = ?",
                (kept, turn),
            )
            # A reply that came to nothing is asked for again; one whose calls were made stands.
            last = (
                "SELECT coalesce(max(number), 0) FROM steps WHERE turn = ?1 AND state IN ('done', 'asking', 'calling')"
            )
            gone = f"SELECT id FROM steps WHERE turn = ?1 AND number > ({last})"
            db.execute(f"DELETE FROM sent WHERE step IN ({gone})", (turn,))
            db.execute(f"DELETE FROM steps WHERE id IN ({gone})", (turn,))
            if options is not None:
                db.execute("UPDATE conversations SET options = ? WHERE id = ?", (kept, found.conversation))
        return self.turn(turn)

    def live(self) -> list[Turn]:
        """All turns that are not over, oldest first."""
        with self.read() as db:
            rows = db.execute("SELECT * FROM turns WHERE state IN ('waiting', 'running') ORDER BY id").fetchall()
        return [turn for row in rows if not (turn := self._settled(stored.turn(row))).over]

    # ---

    def _settled(self, turn: Turn) -> Turn:
        """``turn``, marked lost (here and in the file) if nobody works at it any more. On a full disk it is shown all the same."""
        if turn.state != "running" or locks.held(lock_of(self.workspace, turn.conversation)):
            return turn
        lost = replace(turn, state="lost", ended=time.time())
        with suppress(WorkspaceError), self.write() as db:
            change = "UPDATE turns SET state = 'lost', ended = ? WHERE id = ? AND state = 'running'"
            if db.execute(change, (lost.ended, turn.id)).rowcount == 0:  # it ended while we looked
                row = db.execute("SELECT * FROM turns WHERE id = ?", (turn.id,)).fetchone()
                return stored.turn(row) if row else turn
        return lost

    def _free(self, db: sqlite3.Connection, conversation: str) -> None:
        """Raises ``agent_busy`` while a turn of it is not over."""
        rows: Iterable[Any] = db.execute(
            "SELECT * FROM turns WHERE conversation = ? AND state IN ('waiting', 'running')", (conversation,)
        ).fetchall()
        for row in rows:
            if row["state"] == "waiting" or locks.held(lock_of(self.workspace, conversation)):
                raise ConflictError(
                    "agent_busy",
                    N_("The agent is still at work on your last question."),
                    N_("Wait until it has answered, or stop it."),
                )
            db.execute("UPDATE turns SET state = 'lost', ended = ? WHERE id = ?", (time.time(), row["id"]))


def _found(db: sqlite3.Connection, conversation: str) -> Conversation:
    row = db.execute("SELECT * FROM conversations WHERE id = ?", (conversation,)).fetchone()
    if row is None:
        raise NotFoundError(
            "agent_conversation_unknown",
            N_("This conversation does not exist. It may have been deleted in another tab."),
            N_("Pick another one from the history, or start a new one."),
        )
    return stored.conversation(row)


def _line(text: str) -> str:
    return clean(" ".join(text.split()))[:MOST_TITLE]


def _escaped(text: str) -> str:
    return text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
