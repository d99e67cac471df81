"""The changes of state that the queue itself makes. Each is one UPDATE guarded by the state and attempt that it leaves,
so that of two processes that want the same change exactly one makes it; each returns whether it was the one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from backend.queue import folder
from backend.queue.rows import DONE, LIVE, JobRow
from backend.queue.store import Store


def cancel_queued(store: Store, row: JobRow) -> bool:
    """queued -> cancelled."""
    with store.write() as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'cancelled', ended = ?, wait = '{}' WHERE id = ? AND state = 'queued'",
            (time.time(), row.id),
        ).rowcount
        if changed:
            folder.write(
                store.job_dir(row.id), folder.END, {"attempt": row.attempt, "state": "cancelled", "ended": time.time()}
            )
    return bool(changed)


def mark_stopping(store: Store, job_id: int) -> bool:
    """starting, running -> stopping."""
    with store.write() as db:
        return bool(
            db.execute(
                "UPDATE jobs SET state = 'stopping' WHERE id = ? AND state IN ('starting', 'running')", (job_id,)
            ).rowcount
        )


def mark_running(store: Store, job_id: int, attempt: int) -> bool:
    """starting -> running; the supervisor's first act. False means: do not start the program."""
    with store.write() as db:
        return bool(
            db.execute(
                "UPDATE jobs SET state = 'running', started = ?, ended = NULL, elapsed = 0"
                " WHERE id = ? AND state = 'starting' AND attempt = ?",
                (time.time(), job_id, attempt),
            ).rowcount
        )


def note_progress(store: Store, job_id: int, attempt: int, progress: dict[str, Any], elapsed: float) -> None:
    """The newest progress of a running attempt."""
    with store.write() as db:
        db.execute(
            "UPDATE jobs SET progress = ?, elapsed = ? WHERE id = ? AND attempt = ? AND state IN ('running', 'stopping')",
            (json.dumps(progress), elapsed, job_id, attempt),
        )


def note_health(store: Store, job_id: int, health: str) -> None:
    """``""``, ``"stopped"`` or ``"quiet"``; written only where it changes."""
    with store.write() as db:
        db.execute("UPDATE jobs SET health = ? WHERE id = ? AND health <> ?", (health, job_id, health))


def note_waits(store: Store, waits: dict[int, dict[str, Any]]) -> None:
    """Why the queued jobs wait; written only where it changed."""
    if not waits:
        return
    with store.write() as db:
        for job_id, wait in waits.items():
            text = json.dumps(wait, sort_keys=True)
            db.execute("UPDATE jobs SET wait = ? WHERE id = ? AND state = 'queued' AND wait <> ?", (text, job_id, text))


def finish(store: Store, job_id: int, attempt: int, end: dict[str, Any]) -> bool:
    """running, stopping (or starting, where it never ran) -> the state in ``end``; its leases are given back with it.

    ``end``: ``{"attempt", "state", "ended", "elapsed", "error", "progress"}``; written to ``end.json`` first, so that the
    end is known even where the row cannot be written.
    """
    assert end["state"] in DONE, end["state"]
    folder.write(store.job_dir(job_id), folder.END, end)
    return apply_end(store, job_id, attempt, end)


def apply_end(store: Store, job_id: int, attempt: int, end: dict[str, Any]) -> bool:
    """Bring the row to what ``end.json`` says."""
    marks = ",".join("?" * len(LIVE))
    with store.write() as db:
        changed = db.execute(
            "UPDATE jobs SET state = ?, ended = ?, elapsed = max(elapsed, ?), error = ?, health = ''"
            f" WHERE id = ? AND attempt = ? AND state IN ({marks})",
            (
                end["state"],
                end.get("ended", time.time()),
                end.get("elapsed", 0.0),
                json.dumps(end.get("error") or {}),
                job_id,
                attempt,
                *LIVE,
            ),
        ).rowcount
        if changed:
            db.execute("DELETE FROM leases WHERE job_id = ?", (job_id,))
    return bool(changed)


def requeue(store: Store, job_id: int, attempt: int, from_states: Iterable[str], *, spend_resume: bool = False) -> bool:
    """Back to queued, leases given back: an attempt that never started, or one that was lost and may resume by itself."""
    states = tuple(from_states)
    with store.write() as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'queued', wait = '{}', health = '', ended = NULL, auto_resumes = auto_resumes - ?"
            f" WHERE id = ? AND attempt = ? AND state IN ({','.join('?' * len(states))}) AND auto_resumes >= ?",
            (int(spend_resume), job_id, attempt, *states, int(spend_resume)),
        ).rowcount
        if changed:
            (store.job_dir(job_id) / folder.END).unlink(missing_ok=True)
            db.execute("DELETE FROM leases WHERE job_id = ?", (job_id,))
    return bool(changed)
