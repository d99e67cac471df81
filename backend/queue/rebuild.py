"""A damaged database is kept aside, and a new one is made from what the job folders prove. Nothing that ran is lost.

Not kept: the order of waiting jobs that somebody changed by hand, and which leases a queued job waited for.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from backend.database import connect, is_damage, put_beside
from backend.errors import PanelError, WorkspaceError
from backend.i18n import N_
from backend.queue import folder, locks
from backend.queue.ending import how_it_ended
from backend.queue.schema import MIGRATIONS
from backend.queue.submit import insert_job
from backend.workspace import Workspace, alone, read_json, write_json

REPORT = "rebuilt.json"


def ensure_sound(workspace: Workspace) -> Path | None:
    """Check ``state.db``; where it is damaged, set it aside and rebuild. Returns where the damaged one was kept.

    A missing database beside existing job folders is rebuilt too. Two processes that find the damage at once take turns.

    Raises:
        WorkspaceError: made by a newer TuneDeck; or the folder cannot be written.
    """
    with alone(workspace.run / "rebuild.lock"):
        exists = workspace.state_db.exists()
        if exists and _sound(workspace.state_db):
            return None
        kept: Path | None = None
        if exists:
            kept = put_beside(workspace.state_db)
        folders = sorted(p for p in workspace.jobs.iterdir() if p.name.isdigit() and p.is_dir())
        if exists or folders:
            count = _rebuild(workspace, folders)
            write_json(workspace.run / REPORT, {"t": time.time(), "kept": str(kept or ""), "jobs": count})
        return kept


def notice(workspace: Workspace) -> PanelError | None:
    """What a person should know about the last rebuild, until :func:`dismiss_notice`."""
    report = read_json(workspace.run / REPORT)
    if not isinstance(report, dict):
        return None
    return PanelError(
        "jobs_rebuilt",
        N_("The list of jobs was damaged or missing and has been made anew from the job folders ({jobs} jobs)."),
        N_("No job was lost. Kept for your tutor: {path}"),
        jobs=report.get("jobs", 0),
        path=report.get("kept") or "-",
    )


def dismiss_notice(workspace: Workspace) -> None:
    """The person has read it."""
    (workspace.run / REPORT).unlink(missing_ok=True)


def _sound(path: Path) -> bool:
    try:
        db = connect(path, MIGRATIONS)
    except WorkspaceError:
        raise
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise  # locked, read-only, full
        return False
    try:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {"jobs", "leases", "meta"} <= tables and db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    except sqlite3.DatabaseError:
        return False
    finally:
        db.close()


def _rebuild(workspace: Workspace, folders: list[Path]) -> int:
    """Fill a new database beside the old name, then put it in place: readers never see it half full."""
    building = workspace.root / "state.db.building"
    for suffix in ("", "-wal", "-shm"):
        building.with_name(building.name + suffix).unlink(missing_ok=True)
    db = connect(building, MIGRATIONS)
    count = 0
    try:
        db.execute("BEGIN IMMEDIATE")
        for job_dir in folders:
            count += _restore(db, job_dir)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()
    building.replace(workspace.state_db)
    return count


def _restore(db: sqlite3.Connection, job_dir: Path) -> int:
    job = read_json(job_dir / folder.JOB)
    if not isinstance(job, dict) or job.get("id") != int(job_dir.name):
        return 0
    insert_job(db, job["id"], job)
    plan = folder.read(job_dir, folder.ATTEMPT) or {}
    attempt = int(plan.get("attempt", 0))
    end = folder.read(job_dir, folder.END)
    state: dict[str, Any] = {"state": "queued"}
    if end is not None and end.get("attempt") == attempt and "state" in end:
        state = end
    elif attempt and locks.held(job_dir / locks.FILE):
        state = {"state": "running"}
        db.executemany(
            "INSERT INTO leases (resource, job_id, amount) VALUES (?, ?, ?)",
            [(lease["resource"], job["id"], lease["amount"]) for lease in plan.get("leases", [])],
        )
    elif attempt:
        # The watcher settles it: adopts the program if it lives, otherwise takes its result.
        state = {"state": "running"}
        if folder.read(job_dir, folder.CHILD, attempt) is None:
            state = {"state": "starting"}
        elif folder.read(job_dir, folder.RESULT, attempt) is not None:
            state = how_it_ended(job_dir, attempt, None, folder.stop_requested(job_dir))
    db.execute(
        "UPDATE jobs SET state = ?, attempt = ?, started = ?, ended = ?, elapsed = ?, error = ? WHERE id = ?",
        (
            state["state"],
            attempt,
            _mtime(job_dir / folder.CHILD),
            state.get("ended")
            or (_mtime(job_dir / folder.RESULT) if state["state"] in ("succeeded", "failed") else None),
            state.get("elapsed", 0.0),
            json.dumps(state.get("error") or {}),
            job["id"],
        ),
    )
    return 1


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
