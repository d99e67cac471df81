"""Comparisons, kept in ``compare.db``: new, rename, delete, list; their turns, and the answer of each column to each."""

from __future__ import annotations

import builtins
import secrets
import sqlite3
import time
from collections.abc import Sequence

from backend.chat.conversations import MAX_TITLE_CHARS
from backend.chat.params import ChatParams
from backend.chat.records import clean, title_from
from backend.compare.database import Columns
from backend.compare.records import MOST, Comparison, Contender, Turn, Vote
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_
from backend.workspace import Workspace


class Comparisons:
    """The comparisons of one workspace; safe to share between threads. Every method may raise :class:`WorkspaceError`."""

    def __init__(self, workspace: Workspace) -> None:
        self.columns = Columns(workspace)

    def create(self, contenders: Sequence[Contender], *, seed: int, title: str = "", blind: bool = False) -> Comparison:
        """A comparison with nothing asked yet. Blind: the contenders stand in an order that nobody chose.

        Raises:
            ConflictError: ``contenders_count``: fewer than two, or more than four.
        """
        if not 2 <= len(contenders) <= MOST:
            raise ConflictError(
                "contenders_count",
                N_("A comparison has 2 to {most} columns; this one has {count}."),
                N_("Add or remove columns."),
                most=MOST,
                count=len(contenders),
            )
        order = secrets.SystemRandom().sample(list(contenders), len(contenders)) if blind else list(contenders)
        comparison, now = secrets.token_hex(6), time.time()
        with self.columns.write() as db:
            db.execute(
                "INSERT INTO comparisons (id, title, seed, blind, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
                (comparison, title_from(clean(title)), seed, int(blind), now, now),
            )
            for position, contender in enumerate(order):
                column = self.columns.insert(db, "", contender.model, contender.params)
                db.execute(
                    "INSERT INTO contenders VALUES (?, ?, ?, ?, ?)",
                    (comparison, position, contender.model, contender.params.model_dump_json(), column),
                )
            return _find(db, comparison)

    def get(self, comparison: str) -> Comparison:
        """The comparison with that id.

        Raises:
            NotFoundError: ``comparison_unknown``.
        """
        with self.columns.read() as db:
            return _find(db, comparison)

    def list(self, *, limit: int = 50) -> builtins.list[Comparison]:
        """The last used first."""
        with self.columns.read() as db:
            rows = db.execute("SELECT id FROM comparisons ORDER BY updated DESC, id LIMIT ?", (limit,)).fetchall()
            return [_find(db, row["id"]) for row in rows]

    def rename(self, comparison: str, title: str) -> Comparison:
        """Give it another title (one line).

        Raises:
            ConflictError: ``title_empty``.
            NotFoundError: ``comparison_unknown``.
        """
        line = clean(" ".join(title.split()))[:MAX_TITLE_CHARS]
        if not line:
            raise ConflictError("title_empty", N_("A comparison needs a name."), N_("Type at least one character."))
        with self.columns.write() as db:
            _find(db, comparison)
            db.execute("UPDATE comparisons SET title = ? WHERE id = ?", (line, comparison))
            return _find(db, comparison)

    def reveal(self, comparison: str) -> None:
        """Show who is who."""
        with self.columns.write() as db:
            db.execute("UPDATE comparisons SET revealed = 1 WHERE id = ?", (comparison,))

    def delete(self, comparison: str) -> None:
        """Forget it, its answers and the votes on them.

        Raises:
            NotFoundError: ``comparison_unknown``.
        """
        with self.columns.write() as db:
            for column in _find(db, comparison).columns:
                db.execute("DELETE FROM conversations WHERE id = ?", (column,))
            db.execute("DELETE FROM comparisons WHERE id = ?", (comparison,))

    # --- turns

    def add_turn(self, comparison: str, prompt: str, seed: int) -> int:
        """A prompt that nobody has answered yet; the id of its turn."""
        with self.columns.write() as db:
            found, now = _find(db, comparison), time.time()
            cursor = db.execute(
                "INSERT INTO turns (comparison, prompt, seed, created) VALUES (?, ?, ?, ?)",
                (comparison, clean(prompt), seed, now),
            )
            title = found.title or title_from(clean(prompt))
            db.execute(
                "UPDATE comparisons SET updated = ?, seed = ?, title = ? WHERE id = ?", (now, seed, title, comparison)
            )
            return int(cursor.lastrowid or 0)

    def set_answer(self, turn: int, position: int, message: int) -> None:
        """The column at ``position`` answers ``turn`` with ``message``, from now on."""
        with self.columns.write() as db:
            db.execute("INSERT OR REPLACE INTO turn_answers VALUES (?, ?, ?)", (turn, position, message))

    def drop_turn(self, turn: int) -> None:
        """Forget a turn that no column was asked."""
        with self.columns.write() as db:
            db.execute("DELETE FROM turns WHERE id = ?", (turn,))

    def turns(self, comparison: Comparison) -> builtins.list[Turn]:
        """What was asked, oldest first, with the answers as they stand."""
        with self.columns.read() as db:
            rows = db.execute("SELECT * FROM turns WHERE comparison = ? ORDER BY id", (comparison.id,)).fetchall()
            query = "SELECT * FROM turn_answers WHERE turn IN (SELECT id FROM turns WHERE comparison = ?)"
            messages = {(r["turn"], r["position"]): r["message"] for r in db.execute(query, (comparison.id,))}
            query = (
                "SELECT turn, verdict, winner, reason, blind, created FROM votes"
                " WHERE turn IN (SELECT id FROM turns WHERE comparison = ?)"
            )
            votes = {r["turn"]: vote_from_sql(r) for r in db.execute(query, (comparison.id,))}
        said = {message.id: message for column in comparison.columns for message in self.columns.everything(column)}
        places = range(len(comparison.contenders))
        return [
            Turn(
                id=row["id"],
                prompt=row["prompt"],
                seed=row["seed"],
                answers=tuple(said.get(messages.get((row["id"], place), 0)) for place in places),
                vote=votes.get(row["id"]),
            )
            for row in rows
        ]


def vote_from_sql(row: sqlite3.Row) -> Vote:
    return Vote(row["verdict"], row["winner"], row["reason"], bool(row["blind"]), row["created"])


def _find(db: sqlite3.Connection, comparison: str) -> Comparison:
    row = db.execute("SELECT * FROM comparisons WHERE id = ?", (comparison,)).fetchone()
    if row is None:
        raise NotFoundError(
            "comparison_unknown",
            N_("This comparison does not exist. It may have been deleted in another tab."),
            N_("Pick another one from the history, or start a new one."),
        )
    query = "SELECT * FROM contenders WHERE comparison = ? ORDER BY position"
    columns = db.execute(query, (comparison,)).fetchall()
    return Comparison(
        id=row["id"],
        title=row["title"],
        contenders=tuple(Contender(c["model"], ChatParams.model_validate_json(c["params"])) for c in columns),
        columns=tuple(c["conversation"] for c in columns),
        seed=row["seed"],
        blind=bool(row["blind"]),
        revealed=bool(row["revealed"]),
        created=row["created"],
        updated=row["updated"],
    )
