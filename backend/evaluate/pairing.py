"""The same questions in two runs: how many each got right, and which those are.

A question is the same where its key is. Where a set holds it twice, each is met with one of its twins; one that failed in either run says nothing about
either model, and is left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.chat.records import clean
from backend.evaluate import stored
from backend.evaluate.records import Answer
from backend.finetune import intervals

Which = Literal["a_only", "b_only", "both_right", "both_wrong", "differ", "all"]
"""Right in the first alone, in the second alone, in both, in none; in one alone; any."""
_WHERE: dict[Which, str] = {
    "a_only": "a.outcome = 'right' AND b.outcome <> 'right'",
    "b_only": "a.outcome <> 'right' AND b.outcome = 'right'",
    "both_right": "a.outcome = 'right' AND b.outcome = 'right'",
    "both_wrong": "a.outcome <> 'right' AND b.outcome <> 'right'",
    "differ": "(a.outcome = 'right') <> (b.outcome = 'right')",
    "all": "1",
}
_MET = (
    "answers a INDEXED BY answers_by_key CROSS JOIN answers b INDEXED BY answers_by_key ON b.run = :b AND b.key = a.key AND b.nth = a.nth "
    "WHERE a.run = :a AND a.outcome <> 'failed' AND b.outcome <> 'failed'"
)
HOLDS = "(questions.text LIKE :like ESCAPE '\\' OR said LIKE :like ESCAPE '\\' OR taken LIKE :like ESCAPE '\\')"
"""A condition on an answer and its question; ``like``: see :func:`like`."""
_HOLD = (
    "(a.said LIKE :like ESCAPE '\\' OR b.said LIKE :like ESCAPE '\\' OR a.taken LIKE :like ESCAPE '\\' OR b.taken LIKE :like ESCAPE '\\' "
    "OR EXISTS (SELECT 1 FROM questions WHERE questions.id = a.question AND questions.text LIKE :like ESCAPE '\\'))"
)


AT_ONCE = 1000
"""Answers that are read by one query; SQLite binds only so many values."""


@dataclass(frozen=True)
class Counts:
    """Questions that both runs answered. both: right in both. a_only, b_only: right in that one alone. neither: right in none."""

    both: int = 0
    a_only: int = 0
    b_only: int = 0
    neither: int = 0

    @property
    def n(self) -> int:
        return self.both + self.a_only + self.b_only + self.neither

    @property
    def a_right(self) -> int:
        return self.both + self.a_only

    @property
    def b_right(self) -> int:
        return self.both + self.b_only

    @property
    def difference(self) -> float:
        """Share of the second minus that of the first, -1 to 1; 0 without a question."""
        return (self.b_only - self.a_only) / self.n if self.n else 0.0

    @property
    def interval(self) -> intervals.Interval | None:
        """Of :attr:`difference`, 95 %; None without a question."""
        return intervals.paired(self.both, self.a_only, self.b_only, self.neither) if self.n else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.both + other.both,
            self.a_only + other.a_only,
            self.b_only + other.b_only,
            self.neither + other.neither,
        )


@dataclass(frozen=True)
class Pairs:
    """Two runs, question by question. subjects: by the subject's name in the first run, in its order. only_a, only_b: questions with an outcome that
    the other run lacks."""

    a: int
    b: int
    subjects: dict[str, Counts] = field(default_factory=dict)
    only_a: int = 0
    only_b: int = 0

    @property
    def all(self) -> Counts:
        return sum(self.subjects.values(), Counts())


def pairs(db: sqlite3.Connection, a: int, b: int, subjects: Sequence[str] | None = None) -> Pairs:
    """The counts of each subject, or of ``subjects`` alone."""
    query = f"SELECT a.subject, a.outcome = 'right', b.outcome = 'right', count(*) FROM {_MET} GROUP BY 1, 2, 3"
    counts: dict[str, dict[tuple[int, int], int]] = {}
    for subject, one, other, n in tuples(db, query, {"a": a, "b": b}):
        if subjects is None or subject in subjects:
            counts.setdefault(subject, {})[one, other] = n
    order = [row[0] for row in db.execute("SELECT subject FROM scores WHERE run = ? ORDER BY place", (a,))]
    places = {subject: place for place, subject in enumerate(order)}
    made = {
        name: Counts(*(counts[name].get(each, 0) for each in ((1, 1), (1, 0), (0, 1), (0, 0))))
        for name in sorted(counts, key=lambda name: (places.get(name, len(order)), name))
    }
    shared = sum(each.n for each in made.values())
    return Pairs(a, b, made, _asked(db, a, subjects) - shared, _asked(db, b, subjects) - shared)


def stamp(db: sqlite3.Connection, run: int) -> tuple[Any, ...]:
    """What changes whenever answers of a run do: when it ended, and how many there are of each outcome."""
    ended = db.execute("SELECT ended FROM runs WHERE id = ?", (run,)).fetchone()
    query = "SELECT outcome, count(*) FROM answers INDEXED BY answers_by_outcome WHERE run = :run GROUP BY outcome"
    return (ended["ended"] if ended else None, *tuples(db, query, {"run": run}))


def different(
    db: sqlite3.Connection,
    a: int,
    b: int,
    which: Which = "a_only",
    *,
    subject: str | None = None,
    search: str = "",
    offset: int = 0,
    limit: int = 50,
) -> tuple[list[tuple[Answer, Answer]], int]:
    """A page of questions that both answered, as both answered them, and how many there are in all."""
    query = f"SELECT a.id, b.id FROM {_MET} AND {_WHERE[which]}"
    if subject is not None:
        query += " AND a.subject = :subject"
    if search.strip():
        query += f" AND {_HOLD}"
    values = {"a": a, "b": b, "subject": subject, "like": like(search)}
    ids = tuples(db, f"{query} ORDER BY a.subject, a.number", values)
    page = ids[offset : offset + limit]
    answers = by_id(db, [each for row in page for each in row])
    return [(answers[one], answers[other]) for one, other in page], len(ids)


def by_id(db: sqlite3.Connection, ids: Sequence[int], *, prompts: bool = False) -> dict[int, Answer]:
    """Answers by their number in the table, without what was sent, or with it."""
    prompt = "(SELECT text FROM prompts WHERE prompts.id = answers.prompt)" if prompts else "NULL"
    text = "(SELECT text FROM questions WHERE questions.id = answers.question)"
    query = f"SELECT answers.*, {text} AS question_text, {prompt} AS prompt_packed FROM answers WHERE id IN"
    found: dict[int, Answer] = {}
    for first in range(0, len(ids), AT_ONCE):
        some = tuple(ids[first : first + AT_ONCE])
        rows = db.execute(f"{query} ({', '.join('?' * len(some))})", some)
        found |= {row["id"]: stored.answer(row) for row in rows}
    return found


def like(search: str) -> str:
    """The pattern of all texts in which ``search`` occurs."""
    text = clean(search.strip()).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{text}%"


def tuples(db: sqlite3.Connection, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of ``query`` as tuples, which are quicker than those with names."""
    cursor = db.cursor()
    cursor.row_factory = None
    return cursor.execute(query, values).fetchall()


def _asked(db: sqlite3.Connection, run: int, subjects: Sequence[str] | None) -> int:
    """How many questions of a run have an answer."""
    query = "SELECT subject, count(*) FROM answers INDEXED BY answers_by_outcome WHERE run = ? AND outcome IN ('right', 'wrong', 'unread') GROUP BY subject"
    counts: dict[str, int] = dict(db.execute(query, (run,)).fetchall())
    return sum(n for subject, n in counts.items() if subjects is None or subject in subjects)
