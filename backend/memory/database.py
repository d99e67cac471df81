"""``memory.db`` opened. A damaged file is put beside and a new one made: recording goes on, and says what was lost.

Unlike the other databases this one never takes the room that is set aside for a full disk: the jobs' last words come first.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backend.database import BUSY_TIMEOUT_S, Transactions, is_damage, migrate, put_beside
from backend.errors import WorkspaceError, explain_sql_error
from backend.memory.schema import MIGRATIONS
from backend.workspace import alone, explain_os_error

WAL_PAGES = 256
"""A MiB, about a minute: what waits beside the file stays small, and so does what a power cut can cost."""


class MemoryDatabase(Transactions):
    """One connection a thread. A file that was replaced, by a person or because it was damaged, is noticed and followed.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with self.read():
            pass

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, with SQLite's errors in words; a file that turns out damaged is replaced for the next call."""
        inode = None
        try:
            db = self._connection()
            inode = self._local.inode
            yield db
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self.close()
                replace_damaged(self.path, inode)
            raise explain_sql_error(error, self.path) from error
        except OSError as error:
            raise explain_os_error(error, self.path.parent) from error

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None

    def replaced(self) -> None:
        """Called when another file is used than before; what was remembered of the old one does not hold."""

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        seen = self.path.stat().st_ino if self.path.exists() else 0
        if db is None or self._local.inode != seen:
            self.close()
            try:
                self._local.db = db = connect(self.path)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                replace_damaged(self.path, seen)
                self._local.db = db = connect(self.path)
            self._local.inode = self.path.stat().st_ino
            self.replaced()
        return db


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, migrated. ``synchronous=NORMAL``: the end of any process costs nothing, a power cut
    maybe the last seconds, never the file.

    Raises:
        WorkspaceError: ``workspace_newer``.
        sqlite3.DatabaseError: damaged, read-only, full.
    """
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        # Commands and names of other people's processes stand in it.
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {4 * WAL_PAGES * 4096}")
        migrate(db, path, MIGRATIONS)
    except BaseException:
        db.close()
        raise
    return db


def replace_damaged(path: Path, inode: int | None) -> None:
    """Put the damaged file ``inode`` beside, unless somebody else just did, and note in the new one what was done."""
    try:
        with alone(path.with_name(f".{path.name}.open")):
            if not path.exists() or (inode and path.stat().st_ino != inode):
                return
            kept = put_beside(path)
            with closing(connect(path)) as db:
                details = json.dumps({"kept": str(kept)})
                db.execute(
                    "INSERT INTO moments (t, kind, place, subject, details) VALUES (?, 'record_damaged', '', '', ?)",
                    (time.time(), details),
                )
    except (OSError, sqlite3.DatabaseError, WorkspaceError):
        # No room or no right to make another: whoever asked is told of the damage, and it is tried again.
        return
