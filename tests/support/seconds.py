"""Seconds of a machine that does not exist, and records filled with them: what the driver would have said is chosen here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from backend.memory.sample import HOST, DeviceSample, HostSample, JobUse, ProcessUse, Sample
from backend.memory.series import MemoryStore
from backend.memory.tiers import Tier, empty, pack

GIB = 1 << 30
START = 1_790_000_100.5
"""The middle of a second, at the beginning of a block."""


def gpu(index: int = 0, used: int | None = 10 * GIB, processes: Sequence[ProcessUse] = (), **more: Any) -> DeviceSample:
    """A card of 80 GiB. ``more``: other fields of the sample."""
    free = None if used is None else 80 * GIB - used
    about = {"load": 0.5, "power_w": 200.0, "temperature_c": 50.0, "name": "NVIDIA A100-SXM4-80GB", **more}
    return DeviceSample(
        index, f"GPU-{index}", total=80 * GIB, used=used, free=free, processes=tuple(processes), **about
    )


def sample(
    t: float,
    ram_used: int = 8 * GIB,
    devices: Sequence[DeviceSample] = (),
    jobs: dict[int, int] | None = None,
    problem: str = "",
) -> Sample:
    """A machine with 64 GiB of main memory. jobs: number -> bytes of it."""
    host = HostSample(64 * GIB, ram_used, cpu=0.25, disk_total=1000 * GIB, disk_free=400 * GIB)
    uses = tuple(JobUse(job, HOST, size, "process") for job, size in (jobs or {}).items())
    return Sample(t, host, tuple(devices), uses, problem)


def fill(memory: MemoryStore, seconds: Iterable[float], look: Callable[[float], Sample]) -> None:
    """Append a look at each of ``seconds`` after :data:`START`."""
    for second in seconds:
        memory.append(look(START + second))


def past(memory: MemoryStore, start: float, end: float, tiers: Sequence[Tier], names: Sequence[str] = ()) -> None:
    """Blocks from ``start`` to ``end`` for the series that are called one of ``names`` (without: all), as :mod:`compaction`
    leaves them; the figures are made up, no two neighbours alike."""
    with memory.write() as db:
        numbers = [row[0] for row in db.execute("SELECT id, name FROM series") if not names or row[1] in names]
        db.execute("UPDATE meta SET value = min(value, ?) WHERE key = 'began'", (start,))
        for tier in tiers:
            blocks = []
            for turn in range(20):
                block = empty(tier)
                for at in range(tier.cells):
                    value = (20 + (at // 7 + turn) % 50) * GIB
                    for row, part in zip(block, (1.0, 0.9, 1.1), strict=False):
                        row[at] = value * part
                blocks.append(pack(block))
            starts = range(int(start) // tier.span * tier.span, int(end) + 1, tier.span)
            db.executemany(
                "INSERT OR IGNORE INTO blocks (step, series, start, data) VALUES (?, ?, ?, ?)",
                ((tier.step, n, begin, blocks[(n + begin // tier.span) % 20]) for begin in starts for n in numbers),
            )


def busy(t: float, turn: int, gpus: int = 8, processes: int = 64, jobs: int = 8) -> Sample:
    """Cards that are all in use, no two seconds alike. The same ``turn`` gives the same figures."""
    each = processes // gpus
    devices, uses = [], []
    for card in range(gpus):
        # Allocations stay for a while; load, power and heat never do.
        used = (20 + (turn // 40 * 7 + card * 5) % 50) * GIB + (turn // 7 * 37 + card) % 900 * (1 << 20)
        job = 100 + card % jobs
        mine = [
            ProcessUse(4000 + card * each + n, used // each, f"user{n % 3}", "python train.py", job if n % 2 else None)
            for n in range(each)
        ]
        told = {"load": (turn * 31 + card * 17) % 101 / 100, "power_w": 250.0 + (turn * 13 + card) % 90}
        devices.append(gpu(card, used, mine, temperature_c=55.0 + (turn + card) % 9, **told))
        uses += [
            JobUse(job, f"GPU-{card}", used // 2, "driver"),
            JobUse(job, HOST, (3 + card) * GIB + turn % 50, "process"),
        ]
    host = HostSample(512 * GIB, (90 + turn % 13) * GIB, cpu=turn % 101 / 100, disk_total=1 << 42, disk_free=1 << 41)
    return Sample(t, host, tuple(devices), tuple(uses))
