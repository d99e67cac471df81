"""The words of many texts in one file: SQLite's FTS5, without the texts themselves, which lie elsewhere already.

A file may always be deleted: it is made anew from what it was made of. Where this SQLite has no FTS5 (it is an option of its
build), texts are looked through one by one instead.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from backend.agent.search import terms

LAYOUT = 1
_SCHEMA = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, origin TEXT NOT NULL,
                      done INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '');
CREATE TABLE passages (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, place TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX passages_of_source ON passages (source);
"""
_WORDS = """
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize="porter unicode61 remove_diacritics 2");
INSERT INTO words (words, rank) VALUES ('hashsize', 16777216);
"""


@cache
def has_fts5() -> bool:
    """Whether this SQLite was built with FTS5."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        try:
            db.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
        except sqlite3.OperationalError:
            return False
        return True


class Index:
    """One file, opened. For one process at a time; see :mod:`backend.agent.search.keeping`."""

    def __init__(self, path: Path) -> None:
        self.ranked = has_fts5()
        self.db = sqlite3.connect(path, isolation_level=None, timeout=5)
        try:
            self._prepare()
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        self.db.close()

    def size(self) -> int:
        """Bytes of the file."""
        pages, each = (self.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages) * int(each)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that is written in this block, or nothing of it."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def add(self, texts: Iterable[tuple[int, str]]) -> None:
        """Take in texts by their numbers; inside :meth:`writing`."""
        if self.ranked:
            words = ((number, terms.indexed(text)) for number, text in texts)
            self.db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", words)

    def forget(self, texts: Iterable[tuple[int, str]]) -> None:
        """Take out texts, which must be given as they were; inside :meth:`writing`."""
        if self.ranked:
            words = ((number, terms.indexed(text)) for number, text in texts)
            self.db.executemany("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", words)

    def best(self, asked: terms.Question, most: int) -> list[int]:
        """The numbers of the texts that fit best: those with all words first, then those with most."""
        found = self._ranked(asked.all, most)
        if len(found) < most and asked.any != asked.all:
            more = self._ranked(asked.any, most + len(found))
            found += [number for number in more if number not in set(found)]
        return found[:most]

    def _ranked(self, expression: str, most: int) -> list[int]:
        query = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        return [int(row[0]) for row in self.db.execute(query, (expression, most))]

    def _prepare(self) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        layout = LAYOUT * 2 + self.ranked
        found = self.db.execute("PRAGMA user_version").fetchone()[0]
        if found == layout:
            return
        if found:
            raise sqlite3.DatabaseError("another layout")
        self.db.executescript(
            f"BEGIN; {_SCHEMA} {_WORDS if self.ranked else ''} PRAGMA user_version = {layout}; COMMIT;"
        )


def looked_through(texts: Iterable[tuple[int, str]], asked: terms.Question, most: int) -> list[int]:
    """What :meth:`Index.best` finds, about, where there is no FTS5."""
    scored = ((terms.coverage(text, asked.roots), -number) for number, text in texts)
    best = heapq.nlargest(most, (each for each in scored if each[0]))
    return [-number for _score, number in best]
