"""``chat.db``, and other files with what was said, opened: transactions, and what to do when the file is damaged or was replaced.

A damaged file is never deleted: it is put beside, a new one is made, and a notice in it says so until a person has
read it. A file of a newer TuneDeck is refused and left as it is.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from backend.chat.schema import MIGRATIONS
from backend.database import Migration, Transactions, connect, is_damage, put_beside
from backend.errors import PanelError, WorkspaceError
from backend.i18n import N_
from backend.workspace import Workspace, alone, explain_os_error

NOTICE = "notice"
"""Key in ``meta`` of what a person must be told about this file (:meth:`PanelError.to_dict`)."""


class Database(Transactions):
    """One connection to ``chat.db``, or to ``path``, shared by all threads of the process, one at a time. migrations: of its tables, among them
    ``meta (key, value)``.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    migrations: ClassVar[Sequence[Migration]] = MIGRATIONS

    def __init__(self, workspace: Workspace, path: Path | None = None) -> None:
        self.workspace, self.path = workspace, path or workspace.chat_db
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        with self.read():
            pass

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, with SQLite's errors in words."""
        with self._lock, super().read() as db:
            yield db

    def notice(self) -> PanelError | None:
        """What happened to the file, until :meth:`dismiss_notice`."""
        with self.read() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (NOTICE,)).fetchone()
        return PanelError.from_dict(json.loads(row["value"])) if row else None

    def dismiss_notice(self) -> None:
        with self.write() as db:
            db.execute("DELETE FROM meta WHERE key = ?", (NOTICE,))

    def owner_lock(self, owner: str) -> Path:
        """The file that the panel ``owner`` holds locked while it lives."""
        return self.workspace.run / f"chat-{owner}.lock"

    def _connection(self) -> sqlite3.Connection:
        path = self.path
        seen = path.stat().st_ino if path.exists() else 0
        # Another panel may have put a damaged file aside: go on with the one that has its name now.
        if self._db is None or seen != self._inode:
            self.close()
            try:
                self._db = open_database(path, self.migrations)
            except OSError as error:
                raise explain_os_error(error, path.parent) from error
            self._inode = path.stat().st_ino
        return self._db


def open_database(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any thread (one at a time), migrated to the newest version.

    A damaged file is renamed to ``<name>.damaged-<time>`` and replaced by an empty database that holds a notice.

    Raises:
        WorkspaceError: ``workspace_newer``; the folder cannot be written.
        sqlite3.DatabaseError: the folder is read-only or the disk is full.
    """
    # Two panels that find the same damage must not each put the other's new file aside.
    with alone(path.with_name(f".{path.name}.open")):
        try:
            return _connect(path, migrations)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
        kept = put_beside(path)
        db = _connect(path, migrations)
        notice = WorkspaceError(
            "chat_damaged",
            N_("The file with your conversations was damaged. It was kept as {path}, and an empty one was made."),
            N_("Earlier conversations are not shown. If they matter, give that file to someone who knows SQLite."),
            path=str(kept),
        )
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (NOTICE, json.dumps(notice.to_dict())))
        return db


def _connect(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    # What was said survives the end of any process; a power cut may cost the last second, never the file.
    db = connect(path, migrations, synchronous="NORMAL")
    try:
        db.execute("PRAGMA foreign_keys = ON")
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"malformed: {verdict}")
    except BaseException:
        db.close()
        raise
    path.chmod(0o600)
    return db
