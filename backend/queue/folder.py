"""The files of a job's folder, and what each of them proves.

job.json        what was submitted; written with the row, never changed: the row can be rebuilt from it
spec.json       the spec, never changed
forecast.json   the memory that it was forecast to take when it was submitted, and what was measured at its end
attempt.json    who was meant to run it: number, leases, cookie, grace; written before the supervisor starts
child.json      the program's process: pid, start time; written after it started
lock            locked = alive
stop            a person asked to stop this attempt
attempt-N.log   everything the program printed
events.jsonl    what it said about its progress
result.json     written last by the program: this attempt ended, well or with a reason
end.json        written last by the supervisor: how it ended; goes before the row
reserve         64 KiB that a full disk gives back so that the two can be written
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from backend.errors import WorkspaceError
from backend.workspace import read_json, write_json

JOB, SPEC, ATTEMPT, CHILD = "job.json", "spec.json", "attempt.json", "child.json"
STOP, RESULT, END, RESERVE = "stop", "result.json", "end.json", "reserve"
RESERVE_BYTES = 64 * 1024


def read(job_dir: Path, name: str, attempt: int | None = None) -> dict[str, Any] | None:
    """The JSON object ``name`` of ``job_dir``, or None; with ``attempt``, only where it speaks of that attempt."""
    data = read_json(job_dir / name)
    if not isinstance(data, dict) or (attempt is not None and data.get("attempt") != attempt):
        return None
    return data


def write(job_dir: Path, name: str, data: dict[str, Any]) -> None:
    """Write ``name``; on a full disk the reserve is given up for it.

    Raises:
        WorkspaceError: there is no room even so.
    """
    try:
        write_json(job_dir / name, data)
    except WorkspaceError as error:
        reserve = job_dir / RESERVE
        if error.code != "workspace_full" or not reserve.exists():
            raise
        reserve.unlink()
        write_json(job_dir / name, data)


def lay_reserve(job_dir: Path) -> None:
    """Set aside the room for the last words of a job. A disk that is full already has none to give."""
    path = job_dir / RESERVE
    if path.exists():
        return
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)


def log_file(job_dir: Path, attempt: int) -> Path:
    """The log of attempt ``attempt`` (from 1)."""
    return job_dir / f"attempt-{attempt}.log"


def stop_requested(job_dir: Path) -> bool:
    return (job_dir / STOP).exists()


def boot_id() -> str:
    """Changes with every start of the machine; PIDs are comparable only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def disk_bytes(job_dir: Path) -> int:
    """Bytes that deleting ``job_dir`` frees: allocated blocks, links not followed."""
    total = 0
    for parent, _folders, files in os.walk(job_dir):
        for name in files:
            try:
                total += (Path(parent) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue  # a running job replaces its files
    return total


def empty(job_dir: Path) -> None:
    """Delete what lies in ``job_dir`` but for the papers that say what the job was and how it ended."""
    for path in job_dir.iterdir():
        if path.name in (JOB, END):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
