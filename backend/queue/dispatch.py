"""One round of dispatch: who can start now is decided and leased in a single write transaction, then started.

The job's lock is taken before its row says ``starting`` and handed to the supervisor. A dispatcher that dies in between
leaves a ``starting`` row with a free lock, which :mod:`reconcile` puts back into the queue: no program can have run.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from backend.queue import folder, lifecycle, locks
from backend.queue.resources import Card, plan
from backend.queue.rows import LIVE, JobRow
from backend.queue.runner import Runner
from backend.queue.store import LIVE_ROWS, Store

MOST_AT_ONCE = 64
"""Jobs started in one round: descriptors, and a machine that stays responsive; the next round is soon."""


def tick(
    store: Store,
    runner: Runner,
    gpus: Callable[[], list[Card]],
    *,
    cpu_slots: int,
    grace_int_s: float,
    grace_term_s: float,
) -> list[int]:
    """Start what can be started; note why the rest waits. Returns the ids of the jobs started."""
    queued = store.queue()
    if not queued:
        return []
    inventory = gpus() if any(r.resources.get("gpus") or r.resources.get("gpu_mib") for r in queued) else []
    draft = plan(queued, store.live(), inventory, cpu_slots)
    locked: dict[int, int] = {}
    try:
        for job_id in list(draft.starts)[:MOST_AT_ONCE]:
            # A lock that is held belongs to a supervisor of an earlier attempt that is not quite gone.
            lock = locks.acquire(store.job_dir(job_id) / locks.FILE)
            if lock is not None:
                locked[job_id] = lock
        starts = _lease(store, locked, inventory, cpu_slots, {"grace_int_s": grace_int_s, "grace_term_s": grace_term_s})
        lifecycle.note_waits(store, draft.waits)
        for row in starts:
            runner.start(store, row, locked[row.id])
        return [row.id for row in starts]
    finally:
        for lock in locked.values():
            os.close(lock)


def _lease(
    store: Store, locked: dict[int, int], inventory: list[Card], cpu_slots: int, grace: dict[str, float]
) -> list[JobRow]:
    """Decide again inside the transaction, among the jobs whose lock we hold, and take what was decided."""
    if not locked:
        return []
    with store.write() as db:
        live = store.rows(db, LIVE_ROWS, LIVE)
        marks = ",".join("?" * len(locked))
        queued = store.rows(db, f"WHERE state = 'queued' AND id IN ({marks}) ORDER BY position, id", locked)
        starts = []
        for job_id, leases in plan(queued, live, inventory, cpu_slots).starts.items():
            job_dir = store.job_dir(job_id)
            attempt = next(row.attempt for row in queued if row.id == job_id) + 1
            for stale in (folder.STOP, folder.END, folder.CHILD):
                (job_dir / stale).unlink(missing_ok=True)
            folder.write(
                job_dir,
                folder.ATTEMPT,
                {
                    "attempt": attempt,
                    "leases": leases,
                    "cookie": f"{job_id}.{attempt}.{secrets.token_hex(12)}",
                    "boot": folder.boot_id(),
                    **grace,
                    **_own_grace(job_dir),
                },
            )
            db.execute(
                "UPDATE jobs SET state = 'starting', attempt = ?, wait = '{}', progress = '{}', error = '{}',"
                " health = '' WHERE id = ? AND state = 'queued'",
                (attempt, job_id),
            )
            db.executemany(
                "INSERT INTO leases (resource, job_id, amount) VALUES (?, ?, ?)",
                [(lease["resource"], job_id, lease["amount"]) for lease in leases],
            )
            starts.append(store.row(db, job_id))
        return starts


def _own_grace(job_dir: Path) -> dict[str, float]:
    """The time to save that this kind of job asks for, where it asks for one."""
    wanted = (folder.read(job_dir, folder.JOB) or {}).get("grace_int_s")
    return {} if wanted is None else {"grace_int_s": float(wanted)}
