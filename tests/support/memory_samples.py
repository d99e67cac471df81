"""A machine's memory as its recorder would have seen it: samples and moments for the pages that show them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from backend.memory.sample import HOST, DeviceSample, HostSample, JobUse, ProcessUse, Sample
from backend.memory.series import MemoryStore
from backend.queue.rows import JobRow
from backend.queue.store import Store

GIB = 2**30


def host(used: float = 16.0, total: float = 64.0) -> HostSample:
    """Main memory, in GiB."""
    return HostSample(round(total * GIB), round(used * GIB), cpu=0.42, disk_total=500 * GIB, disk_free=120 * GIB)


def card(index: int = 0, used: float | None = 0.0, total: float | None = 80.0, **more: Any) -> DeviceSample:
    """A GPU, in GiB; its UUID is ``GPU-<index>``."""
    known = total is not None and used is not None
    values: dict[str, Any] = {
        "uuid": f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-80GB",
        "total": round(total * GIB) if total is not None else None,
        "used": round(used * GIB) if used is not None else None,
        "free": round((total - used) * GIB) if known and total is not None and used is not None else None,
    }
    return DeviceSample(index, **(values | more))


def process(
    pid: int, size: float | None, user: str, command: str = "python train.py", job: int | None = None
) -> ProcessUse:
    """A program on a GPU, in GiB."""
    return ProcessUse(pid, round(size * GIB) if size is not None else None, user, command, job)


def use(job: int, size: float, place: str = HOST, source: Any = None) -> JobUse:
    """What a job takes, in GiB."""
    return JobUse(job, place, round(size * GIB), source or ("process" if place == HOST else "driver"))


def record(memory: MemoryStore, end: float, seconds: int, look: Callable[[float], Sample | None]) -> None:
    """``seconds`` samples up to ``end``; where ``look`` gives None there is a gap."""
    for back in range(seconds, -1, -1):
        sample = look(end - back)
        if sample is not None:
            memory.append(sample)


def still(
    t: float, devices: Sequence[DeviceSample] = (), jobs: Sequence[JobUse] = (), used: float = 16.0, problem: str = ""
) -> Sample:
    """One look."""
    return Sample(t, host(used), tuple(devices), tuple(jobs), problem)


def running(store: Store, title: str, t: float, *, eta_s: float | None = None, service: bool = False) -> JobRow:
    """A job that runs since a quarter of an hour, and says when it is done."""
    row = store.submit("drill", {"steps": 5, "note": title}, title=title)
    progress = {"t": t, "phase": "count", "step": 1, "total": 5} | ({"eta_s": eta_s} if eta_s is not None else {})
    with store.write() as db:
        db.execute(
            "UPDATE jobs SET state = 'running', attempt = 1, started = ?, service = ?, progress = ? WHERE id = ?",
            (t - 900, int(service), json.dumps(progress), row.id),
        )
    return store.get(row.id)
