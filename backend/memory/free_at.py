"""When the memory of a place will be free: from what each job takes there, and when it says that it will be done.

Nothing is guessed: a server stays until somebody stops it, and how long other people's programs stay nobody can know.
Both are told as such, beside the jobs whose end can be foreseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backend.memory.sample import HOST, Sample
from backend.queue.rows import JobRow


@dataclass(frozen=True, slots=True)
class Release:
    """One job that will give memory back. t: when it is about done (epoch seconds). size: bytes. free: bytes that are then
    free, if nothing else changes; None where the driver does not tell what is free now."""

    t: float
    job: int
    size: int
    free: int | None


@dataclass(frozen=True, slots=True)
class FreeAt:
    """releases: by time. staying: servers of ours, which end when they are stopped. unknown: jobs of ours that do not say
    when they are done. others: bytes that are not ours; None where the driver does not tell."""

    releases: tuple[Release, ...] = ()
    staying: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    others: int | None = None

    @property
    def last(self) -> Release | None:
        """The last one; after it nothing of ours whose end is known is left."""
        return self.releases[-1] if self.releases else None


def free_at(sample: Sample, place: str, rows: Iterable[JobRow], now: float) -> FreeAt:
    """What will become of ``place`` (:data:`HOST` or a UUID). rows: the live jobs. now: epoch seconds.

    A job that is past the time that it named is about done: its time is ``now``, never one that is over. So is one that
    has ended since the sample was taken.
    """
    used, free = _room(sample, place)
    known = {row.id: row for row in rows if row.live}
    sizes: dict[int, int] = {}
    for use in sample.jobs:
        if use.place == place:
            sizes[use.job] = sizes.get(use.job, 0) + use.size
    ending: list[tuple[float, int]] = []
    staying: list[int] = []
    unknown: list[int] = []
    for job in sorted(sizes):
        row = known.get(job)
        end = _end(row) if row is not None else now
        if row is not None and row.service:
            staying.append(job)
        elif end is None:
            unknown.append(job)
        else:
            ending.append((max(now, end), job))
    releases: list[Release] = []
    for t, job in sorted(ending):
        free = free + sizes[job] if free is not None else None
        releases.append(Release(t, job, sizes[job], free))
    others = max(0, used - sum(sizes.values())) if used is not None else None
    return FreeAt(tuple(releases), tuple(staying), tuple(unknown), others)


def _end(row: JobRow) -> float | None:
    said, left = row.progress.get("t"), row.progress.get("eta_s")
    if not isinstance(said, int | float) or not isinstance(left, int | float):
        return None  # NaN and infinity arrive as text
    return float(said) + max(0.0, float(left))


def _room(sample: Sample, place: str) -> tuple[int | None, int | None]:
    """(used, free) bytes of ``place``."""
    if place == HOST:
        return sample.host.ram_used, sample.host.ram_total - sample.host.ram_used
    device = next((device for device in sample.devices if device.uuid == place), None)
    return (device.used, device.free) if device is not None else (None, None)
