"""Limits of the control groups around this process, version 1 and 2: what a container or a login session may use.

Sources: kernel docs admin-guide/cgroup-v2 (memory.max, memory.swap.max, memory.events, cpu.max, pids.max) and
admin-guide/cgroup-v1 (memory.limit_in_bytes, memory.oom_control, cpu.cfs_quota_us, pids.max).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as a number near 2^63."""


@dataclass(frozen=True)
class Limits:
    """The tightest limits of all groups around; None: no limit. memory, used, swap: bytes; used without cached files and
    of the group whose limit counts. cores: maybe a fraction. oom_kills: processes that the kernel ended for want of memory
    in the innermost group that tells; None: no group tells."""

    memory: int | None = None
    used: int | None = None
    swap: int | None = None
    cores: float | None = None
    processes: int | None = None
    processes_used: int | None = None
    oom_kills: int | None = None


def read(root: Path = Path("/")) -> Limits:
    """The limits of this process; ``root``: where ``/proc`` and ``/sys`` are."""
    memory, used = _tightest(
        [(_number(g / "memory.max"), _used(g, "memory.current", "")) for g in _around(root, "")]
        + [
            (_number(g / "memory.limit_in_bytes"), _used(g, "memory.usage_in_bytes", "total_"))
            for g in _around(root, "memory")
        ]
    )
    swap, _ = _tightest([(_number(g / "memory.swap.max"), None) for g in _around(root, "")])
    cores, _ = _tightest(
        [(_quota(g), None) for g in _around(root, "")] + [(_old_quota(g), None) for g in _around(root, "cpu")]
    )
    processes, processes_used = _tightest(
        [(_number(g / "pids.max"), _number(g / "pids.current")) for g in (*_around(root, ""), *_around(root, "pids"))]
    )
    kills = [value(g / "memory.events", "oom_kill") for g in _around(root, "")]
    kills += [value(g / "memory.oom_control", "oom_kill") for g in _around(root, "memory")]
    return Limits(
        memory=int(memory) if memory is not None else None,
        used=int(used) if used is not None else None,
        swap=int(swap) if swap is not None else None,
        cores=cores,
        processes=int(processes) if processes is not None else None,
        processes_used=int(processes_used) if processes_used is not None else None,
        oom_kills=next((count for count in kills if count is not None), None),
    )


def _around(root: Path, controller: str) -> Iterator[Path]:
    """The groups around this process, the innermost first. controller: of version 1, such as ``memory``; empty: version 2."""
    top, own = root / "sys/fs/cgroup", "/"
    for line in _lines(root / "proc/self/cgroup"):
        names, _colon, path = line.partition(":")[2].partition(":")
        if (not controller and not names) or (controller and controller in names.split(",")):
            own = path
    # Version 2 alone is mounted at the top; beside version 1 it has a folder of its own, as has each controller there.
    base = top / controller if controller else top / "unified" if (top / "unified").is_dir() else top
    group = base / own.lstrip("/")
    # Without a name space of its own a container reads a path that is not there; its group is then the top one.
    group = group if group.is_dir() else base
    while True:
        yield group
        if group == base or base not in group.parents:
            return
        group = group.parent


def _tightest(pairs: Sequence[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    limited = [(limit, used) for limit, used in pairs if limit is not None]
    return min(limited, key=lambda pair: pair[0]) if limited else (None, None)


def _number(file: Path) -> float | None:
    text = next(iter(_lines(file)), "").strip()
    return int(text) if text.isdigit() and int(text) < UNLIMITED else None


def value(file: Path, name: str) -> int | None:
    words = (line.split() for line in _lines(file))
    return next((int(w[1]) for w in words if len(w) == 2 and w[0] == name and w[1].isdigit()), None)


def _used(group: Path, file: str, prefix: str) -> float | None:
    used = _number(group / file)
    if used is None:
        return None
    # Cached files count as used although they are given back under pressure.
    cached = sum(value(group / "memory.stat", f"{prefix}{kind}_file") or 0 for kind in ("inactive", "active"))
    return max(0, used - cached)


def _quota(group: Path) -> float | None:
    quota, _, period = next(iter(_lines(group / "cpu.max")), "").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _old_quota(group: Path) -> float | None:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")  # -1: no limit
    return quota / period if quota and period else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:  # not this version, or none that we may read
        return []
