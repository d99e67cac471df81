"""Main memory, swap, processor and disk of this machine, and the main memory of each job.

A job's memory is the sum of its processes' proportional shares (PSS: a page that n processes share counts 1/n in each), so
that workers that were forked from one parent are not counted as if each had all of it. The kernel walks a process' whole
page table for that (``smaps_rollup``: 0.5 ms for 100 MiB, far more for a model), so it is asked for as often as a fixed
share of one core allows; in between a process' size is its resident memory, which is cheap, less what it shared then.
Where another user's process may not be asked, its resident memory counts whole.

Sources: kernel docs proc (smaps_rollup, stat), cgroup-v2 (cpu.stat, memory.swap.max).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.memory import machine
from backend.memory.attribution import read
from backend.memory.sample import HostSample

PROC = Path("/proc")

SHARE_S = 0.002
"""Seconds of processor time that page tables are walked for at each look, in the mean."""
SAVED_S = 0.05
"""The most that may be saved up for a look, or borrowed for processes that are new."""
FRESH_S = 5.0
"""A share that was found less than this ago is good enough."""


class Host:
    """The machine but for its GPUs. For one thread. folder: on the disk to look at. groups: its control groups."""

    def __init__(self, folder: Path, groups: Sequence[Path] | None = None, proc: Path = PROC) -> None:
        self._folder, self._groups, self._proc = folder, groups, proc
        self._before: tuple[str, float, float] | None = None

    def look(self) -> HostSample:
        """The machine now. The first look has no load of the processor."""
        groups = machine.control_groups() if self._groups is None else self._groups
        total, free = machine.ram(groups)
        swap_total, swap_used = _swap(self._proc, groups)
        disk_total, disk_free = machine.disk(self._folder)
        return HostSample(
            ram_total=total,
            ram_used=total - free,
            swap_total=swap_total,
            swap_used=swap_used,
            cpu=self._cpu(groups),
            disk_total=disk_total,
            disk_free=disk_free,
        )

    def _cpu(self, groups: Sequence[Path]) -> float | None:
        """Busy share since the last look: of the group's own time where a group has a limit, else of the cores we may use."""
        now = _group_time(groups) or _core_time(self._proc)
        before, self._before = self._before, now
        if before is None or before[0] != now[0] or now[2] <= before[2]:
            return None
        return min(1.0, max(0.0, (now[1] - before[1]) / (now[2] - before[2])))


def _group_time(groups: Sequence[Path]) -> tuple[str, float, float] | None:
    """(which, seconds used, seconds that could have been used) of the tightest group with a limit."""
    limits = []
    for group in groups:
        quota, _, period = machine.first_line(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append((int(quota) / int(period), group))
    if not limits:
        return None
    cores, group = min(limits)
    if cores >= len(os.sched_getaffinity(0)):
        return None
    return f"{group} {cores}", machine.statistic(group / "cpu.stat", "usage_usec") / 1e6, time.monotonic() * cores


def _core_time(proc: Path) -> tuple[str, float, float]:
    """(which, busy, all) in seconds, summed over the cores that this process may use."""
    allowed = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    busy = whole = 0.0
    for line in machine.lines(proc / "stat"):
        if not line.startswith("cpu"):
            break  # the lines of interrupts behind them are long
        name, *fields = line.split()
        if name in allowed:
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, (fields + ["0"] * 8)[:8])
            busy += user + nice + system + irq + softirq + steal
            whole += user + nice + system + irq + softirq + steal + idle + iowait
    return "cores", busy, whole


def _swap(proc: Path, groups: Sequence[Path]) -> tuple[int, int]:
    """(total, used) bytes; a group's limit counts."""
    told = {line.split()[0]: int(line.split()[1]) << 10 for line in machine.lines(proc / "meminfo") if "Swap" in line}
    total = told.get("SwapTotal:", 0)
    used = total - told.get("SwapFree:", 0)
    for group in groups:
        limit, held = (machine.first_line(group / f"memory.swap.{name}") for name in ("max", "current"))
        if limit.isdigit() and held.isdigit() and int(limit) < total:
            total, used = int(limit), min(int(held), int(limit))
    return total, used


@dataclass(slots=True)
class _Share:
    """shared: resident bytes that count for others; None: not known yet. at: when it was found. due: somebody came or went
    with whom it may share."""

    shared: int | None = None
    at: float = float("-inf")
    due: bool = True


class JobMemory:
    """The main memory of each job. For one thread; ``spent``: a clock of the processor time of this thread."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._spent = clock, spent
        self._shares: dict[int, dict[int, _Share]] = {}
        self._credit = SAVED_S

    def look(self, jobs: dict[int, dict[int, int]]) -> dict[int, int]:
        """Bytes of each job; ``jobs``: ``{job: {pid: resident bytes}}``."""
        self._shares = {job: self._followed(job, pids) for job, pids in jobs.items()}
        self._walk()
        return {
            job: sum(max(0, resident - (shares[pid].shared or 0)) for pid, resident in jobs[job].items())
            for job, shares in self._shares.items()
        }

    def _followed(self, job: int, pids: dict[int, int]) -> dict[int, _Share]:
        """What is known of these processes. Where one came or went, the others share other pages now."""
        before = self._shares.get(job, {})
        if before.keys() != pids.keys():
            for share in before.values():
                share.due = True
        return {pid: before.get(pid) or _Share() for pid in pids}

    def _walk(self) -> None:
        """Ask for the shares: unknown ones first, then those that are due, then the oldest, for as long as the credit lasts."""
        now = self._clock()
        self._credit = min(SAVED_S, self._credit + SHARE_S)
        waiting = [
            (share.shared is not None, not share.due, share.at, job, pid)
            for job, shares in self._shares.items()
            for pid, share in shares.items()
            if share.due or now - share.at >= FRESH_S
        ]
        for known, *_, job, pid in sorted(waiting):
            if self._credit <= (0 if known else -SAVED_S):
                break
            began = self._spent()
            share = self._shares[job][pid]
            share.shared, share.at, share.due = shared(pid), now, False
            self._credit -= self._spent() - began


def shared(pid: int) -> int | None:
    """Resident bytes that are others' share (RSS less PSS); None where it may not be asked, or the process is gone."""
    words = read(pid, "smaps_rollup").split()
    try:
        resident, proportional = (int(words[words.index(name) + 1]) << 10 for name in (b"Rss:", b"Pss:"))
    except ValueError:
        return None
    return max(0, resident - proportional)
