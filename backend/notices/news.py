"""Which of the jobs that ended are news to a person, the important ones first.

What a person cancelled is none. What ended while somebody was away always is; under their eyes only what failed, and what ran long
enough that they may have turned to something else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from backend.notices.visits import Visit
from backend.queue.rows import JobRow
from backend.queue.store import Store

FAILED = ("failed", "lost")
MOST = 500


def top(store: Store) -> int:
    """The highest number of a job; 0 where there is none."""
    with store.read() as db:
        return int(db.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone()[0])


def ended_since(store: Store, visit: Visit, now: float | None = None) -> list[JobRow]:
    """Jobs that ended after what ``visit`` has read, newest first, :data:`MOST` at most; without cancelled ones."""
    now = time.time() if now is None else now
    # "+" hides the index on states: nearly all jobs have ended, and one look at each is quicker.
    where = "WHERE +state IN ('succeeded', 'failed', 'lost') AND "
    where += "id > ?" if visit.turned(now) else "ended > ?"
    mark = visit.top if visit.turned(now) else visit.read
    with store.read() as db:
        return store.rows(db, f"{where} ORDER BY ended DESC LIMIT ?", (mark, MOST))


def news(store: Store, visit: Visit, long_s: float, now: float | None = None) -> list[JobRow]:
    """What is news for ``visit``: failed ones first, then the longest. long_s: seconds from which a job ran long."""
    found = [row for row in ended_since(store, visit, now) if while_away(visit, row) or notable(row, long_s)]
    again = retried(store, found)
    return sorted(
        (row for row in found if row.id not in again), key=lambda row: (row.state not in FAILED, -row.elapsed)
    )


def notable(row: JobRow, long_s: float) -> bool:
    """Whether its end is worth a word to somebody who is there."""
    return row.state in FAILED or (row.state == "succeeded" and row.elapsed >= long_s)


def while_away(visit: Visit, row: JobRow) -> bool:
    """Whether it ended between the last sign of the person and their return."""
    return bool(visit.left) and row.ended is not None and visit.left <= row.ended <= visit.back


def retried(store: Store, rows: Iterable[JobRow]) -> set[int]:
    """Numbers of those of ``rows`` that failed and of which there is a later one of the same kind and name: they were tried again."""
    failed = [row for row in rows if row.state in FAILED]
    if not failed:
        return set()
    with store.read() as db:
        query = "SELECT verb, title, max(id) FROM jobs WHERE id > ? GROUP BY verb, title"
        oldest = min(row.id for row in failed)
        newest = {(verb, title): last for verb, title, last in db.execute(query, (oldest,))}
    return {row.id for row in failed if newest.get((row.verb, row.title), 0) > row.id}


def until(rows: Sequence[JobRow]) -> float:
    """The time up to which all of ``rows`` have ended."""
    return max((row.ended or 0.0 for row in rows), default=0.0)
