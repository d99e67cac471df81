"""Rows against reality: what lives, what ended unseen, what is stuck.

A live row whose lock is held has a supervisor. A live row whose lock is free has lost it: the row is brought to what the
folder proves (its end, its result), its program is adopted if it still lives, and otherwise the job is lost; or, where
its kind may resume by itself, queued again.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import folder, lifecycle, locks, proctree
from backend.queue.ending import how_it_ended
from backend.queue.rows import JobRow
from backend.queue.runner import Runner
from backend.queue.store import Store

QUIET_S = 600.0
ORPHAN_TERM_S = 2.0


@dataclass
class Silence:
    """Since when each live job has been silent, by a clock that does not jump: job -> (what was seen, monotonic s)."""

    seen: dict[int, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def seconds(self, job_id: int, signature: tuple[int, int]) -> float:
        """Seconds for which ``signature`` (sizes of the log and the events) has not changed."""
        before = self.seen.get(job_id)
        now = time.monotonic()
        if before is None or before[0] != signature:
            self.seen[job_id] = (signature, now)
            return 0.0
        return now - before[1]


def tick(store: Store, runner: Runner, silence: Silence) -> None:
    """Check every live job once."""
    live = store.live()
    for gone in silence.seen.keys() - {row.id for row in live}:
        del silence.seen[gone]
    for row in live:
        if not store.job_dir(row.id).is_dir():
            lifecycle.apply_end(store, row.id, row.attempt, {"state": "lost", "error": _folder_gone(row)})
            continue
        lock = locks.acquire(store.job_dir(row.id) / locks.FILE)
        if lock is None:
            now = health(store, row, silence)
            if now != row.health:
                lifecycle.note_health(store, row.id, now)
            continue
        try:
            current = store.get(row.id)
            if current.live and current.attempt == row.attempt:
                _settle(store, runner, current, lock)
        finally:
            os.close(lock)


def _settle(store: Store, runner: Runner, row: JobRow, lock: int) -> None:
    job_dir = store.job_dir(row.id)
    end = folder.read(job_dir, folder.END, row.attempt)
    if end is not None and "state" in end:
        lifecycle.apply_end(store, row.id, row.attempt, end)
        return
    child = folder.read(job_dir, folder.CHILD, row.attempt)
    plan = folder.read(job_dir, folder.ATTEMPT, row.attempt)
    if row.state == "starting" and child is None:
        lifecycle.requeue(store, row.id, row.attempt, ("starting",))
        return
    same_boot = plan is not None and plan.get("boot") == folder.boot_id()
    if child is not None and same_boot and proctree.process_at(int(child["pid"]), int(child["ticks"] or 0)):
        runner.adopt(store, row, lock)
        return
    if plan is not None and same_boot:
        proctree.end_all(lambda: proctree.members(plan["cookie"]), ORPHAN_TERM_S)
    stop_asked = row.state == "stopping" or folder.stop_requested(job_dir)
    ended = how_it_ended(job_dir, row.attempt, None, stop_asked)
    ended = {"attempt": row.attempt, "ended": time.time(), **ended}
    if (
        ended["state"] == "lost"
        and row.auto_resumes > 0
        and lifecycle.requeue(store, row.id, row.attempt, (row.state,), spend_resume=True)
    ):
        return
    lifecycle.finish(store, row.id, row.attempt, ended)


def health(store: Store, row: JobRow, silence: Silence) -> str:
    """``"stopped"`` where the program is suspended, ``"quiet"`` where it said nothing for ten minutes, else ``""``."""
    job_dir = store.job_dir(row.id)
    child = folder.read(job_dir, folder.CHILD, row.attempt)
    if child is None:
        return ""
    process = proctree.process_at(int(child["pid"]), int(child["ticks"] or 0))
    try:
        if process is not None and process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return "stopped"
    except psutil.NoSuchProcess:
        return ""
    if row.service:
        return ""
    signature = (_size(job_dir / "events.jsonl"), _size(folder.log_file(job_dir, row.attempt)))
    return "quiet" if silence.seconds(row.id, signature) > QUIET_S else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _folder_gone(row: JobRow) -> dict[str, object]:
    return PanelError(
        "job_folder_gone",
        N_("The folder of job {job} was deleted while it ran."),
        N_("Run it again; nothing of it is left to resume."),
        job=row.id,
    ).to_dict()
