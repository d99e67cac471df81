"""``compare.db``: the conversations behind the columns, in the tables of the chat, and beside them what makes them one.

The chat's tables are counted by ``user_version`` as in ``chat.db``; ours by a number of their own in ``meta``, so that
either can grow without the other.
"""

from __future__ import annotations

import sqlite3

from backend.chat.conversations import Conversations
from backend.database import Migration
from backend.errors import WorkspaceError
from backend.i18n import N_
from backend.workspace import Workspace

_VERSION = "comparison_tables"


def _1_comparisons_and_votes(db: sqlite3.Connection) -> None:
    """``turn_answers.message``: of the answer shown in that column. ``votes.record``: everything that was judged, as it
    was then; ``labels``: the contenders' names alone, so that a tally reads no answers."""
    db.execute(
        """
        CREATE TABLE comparisons (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, seed INTEGER NOT NULL, blind INTEGER NOT NULL,
            revealed INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL) WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX comparisons_by_time ON comparisons (updated)")
    db.execute(
        """
        CREATE TABLE contenders (
            comparison TEXT NOT NULL REFERENCES comparisons (id) ON DELETE CASCADE, position INTEGER NOT NULL,
            model TEXT NOT NULL, params TEXT NOT NULL, conversation TEXT NOT NULL,
            PRIMARY KEY (comparison, position)) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            comparison TEXT NOT NULL REFERENCES comparisons (id) ON DELETE CASCADE,
            prompt TEXT NOT NULL, seed INTEGER NOT NULL, created REAL NOT NULL)
        """
    )
    db.execute("CREATE INDEX turns_by_comparison ON turns (comparison)")
    db.execute(
        """
        CREATE TABLE turn_answers (
            turn INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE, position INTEGER NOT NULL,
            message INTEGER NOT NULL, PRIMARY KEY (turn, position)) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE votes (
            turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE, verdict TEXT NOT NULL, winner INTEGER,
            reason TEXT NOT NULL DEFAULT '', blind INTEGER NOT NULL, labels TEXT NOT NULL, record TEXT NOT NULL,
            created REAL NOT NULL)
        """
    )


MIGRATIONS: list[Migration] = [_1_comparisons_and_votes]


class Columns(Conversations):
    """``compare.db`` opened; its conversations are the columns.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._with_tables: sqlite3.Connection | None = None
        super().__init__(workspace, workspace.compare_db)

    def _connection(self) -> sqlite3.Connection:
        db = super()._connection()
        if db is not self._with_tables:  # the file was opened, perhaps anew
            self._make_tables(db)
            self._with_tables = db
        return db

    def _make_tables(self, db: sqlite3.Connection) -> None:
        if _version(db) == len(MIGRATIONS):
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            have = _version(db)
            if have > len(MIGRATIONS):
                raise WorkspaceError(
                    "workspace_newer",
                    N_(
                        "The workspace file {path} was written by a newer TuneDeck (format {have}; this one knows "
                        "{known})."
                    ),
                    N_("Update TuneDeck, or set TUNEDECK_WORKSPACE to another folder. Nothing was changed."),
                    path=str(self.path),
                    have=have,
                    known=len(MIGRATIONS),
                )
            for migration in MIGRATIONS[have:]:
                migration(db)
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_VERSION, str(len(MIGRATIONS))))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def _version(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (_VERSION,)).fetchone()
    return int(row["value"]) if row else 0
