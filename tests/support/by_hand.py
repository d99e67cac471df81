"""Jobs that a test plays without a program, beside a real watcher: we are their supervisor and hold their lock.

A job whose lock is free is started by the next watcher that sees it wait, and called lost by one that sees it run.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backend.errors import PanelError
from backend.queue import folder, lifecycle, locks
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import write_json

_held: dict[Path, Any] = {}
"""The lock of each job's folder, and how it is let go: at the job's end, or with the store that it was taken for."""


def submit(store: Store, verb: str, spec: dict[str, Any], *, title: str = "") -> JobRow:
    """A job that waits and that no watcher starts: nobody sees it before its lock is ours."""
    with _as_one(store):
        row = store.submit(verb, spec, title=title)
        _hold(store, row.id)
        return row


def begin(store: Store, row: JobRow) -> JobRow:
    """It runs, in a new attempt."""
    _hold(store, row.id)
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'starting', attempt = attempt + 1 WHERE id = ?", (row.id,))
    assert lifecycle.mark_running(store, row.id, store.get(row.id).attempt)
    return store.get(row.id)


def end(
    store: Store,
    row: JobRow,
    state: str = "succeeded",
    error: PanelError | None = None,
    result: dict[str, Any] | None = None,
    **more: Any,
) -> JobRow:
    """It ended in ``state``, with ``result``, or with ``error``, to which ``more`` is added."""
    attempt = store.get(row.id).attempt
    if result is not None:
        write_json(store.job_dir(row.id) / folder.RESULT, {"ok": True, "attempt": attempt, **result})
    problem = {**error.to_dict(), **more} if error else {}
    lifecycle.finish(store, row.id, attempt, {"attempt": attempt, "state": state, "error": problem})
    release(store, row.id)
    return store.get(row.id)


def running(store: Store, verb: str, spec: dict[str, Any], *, title: str = "") -> JobRow:
    """A job that runs."""
    return begin(store, submit(store, verb, spec, title=title))


def ended(store: Store, verb: str, spec: dict[str, Any], *how: Any, title: str = "", **more: Any) -> JobRow:
    """A job that ran and ended as :func:`end` says."""
    return end(store, running(store, verb, spec, title=title), *how, **more)


def release(store: Store, job: int) -> None:
    """From now on a watcher may do with it what it likes."""
    let_go = _held.pop(store.job_dir(job), None)
    if let_go is not None:
        let_go()


def _hold(store: Store, job: int) -> None:
    place = store.job_dir(job)
    if place in _held and _held[place].alive:
        return
    lock = locks.acquire(place / locks.FILE)
    assert lock is not None, f"a watcher has job {job}"
    _held[place] = weakref.finalize(store, os.close, lock)


@contextmanager
def _as_one(store: Store) -> Iterator[None]:
    """What is written meanwhile is one transaction."""
    with store.write() as db, patch.object(store, "write", lambda: nullcontext(db)):
        yield
