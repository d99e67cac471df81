"""What a job takes on a GPU where the driver does not name its processes, as in most containers.

A job that has a card for itself alone: the rise of the card's used memory since its lease began. What the card held before is
kept in the workspace, so that a recorder which starts in mid-job still knows it. Any other job on a GPU: what its program
says that it has allocated (``memory_mib`` among its metrics), which is less than it takes: context and cache are not in it.
Not covered: what others take on, or give back of, a card that they should have left alone while the lease lasts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from backend.errors import PanelError
from backend.memory.sample import DeviceSample, JobUse
from backend.queue.rows import JobRow
from backend.workspace import read_json, write_json

FILE = "memory-leases.json"
LEAST = 32 << 20
"""Less than this is the driver's own coming and going."""
MOST_MIB = 1 << 30


class Leased:
    """What was on each card when its lease began. For one thread; ``run``: the folder for the file."""

    def __init__(self, run: Path) -> None:
        self._path = run / FILE
        kept = read_json(self._path)
        self._began: dict[str, int] = {}
        if isinstance(kept, dict):
            self._began = {key: used for key, used in kept.items() if isinstance(used, int)}
        self._used: dict[str, int] = {}

    def look(self, jobs: Iterable[JobRow], devices: Iterable[DeviceSample]) -> list[JobUse]:
        """The figures of jobs of which the driver names no process; ``devices`` with the jobs of their processes."""
        cards = {device.uuid: device for device in devices if device.uuid}
        leases = [(job, _gpus(job)) for job in jobs]
        self._note(leases, cards)
        named = {p.job for card in cards.values() for p in card.processes if p.size is not None}
        found = []
        for job, amounts in leases:
            if job.id in named:
                continue
            rises = [self._rise(job, uuid, cards) for uuid, amount in amounts.items() if amount == 0 and uuid in cards]
            by_lease = [use for use in rises if use is not None]
            # The trainer's figure is one for all its cards.
            found += by_lease or (_told_by_the_trainer(job, *amounts) if len(amounts) == 1 else [])
        return found

    def _note(self, leases: list[tuple[JobRow, dict[str, int]]], cards: dict[str, DeviceSample]) -> None:
        """What each card that is leased whole held when that began: at the look before, where there was one."""
        began: dict[str, int] = {}
        for job, amounts in leases:
            for uuid in [uuid for uuid, amount in amounts.items() if amount == 0]:
                key, used = _key(job, uuid), cards[uuid].used if uuid in cards else None
                if key in self._began:
                    began[key] = self._began[key]
                elif used is not None:
                    began[key] = min(used, self._used.get(uuid, used))
        self._used = {uuid: card.used for uuid, card in cards.items() if card.used is not None}
        if began != self._began:
            self._began = began
            with contextlib.suppress(PanelError):  # a full disk: known until we end
                write_json(self._path, began)

    def _rise(self, job: JobRow, uuid: str, cards: dict[str, DeviceSample]) -> JobUse | None:
        used, began = cards[uuid].used, self._began.get(_key(job, uuid))
        if used is None or began is None:
            return None
        on_it = [card for card in cards.values() if uuid in (card.uuid, card.parent)]
        named = sum(process.size or 0 for card in on_it for process in card.processes)
        rise = used - max(began, named)
        return JobUse(job.id, uuid, rise, "lease") if rise >= LEAST else None


def _gpus(job: JobRow) -> dict[str, int]:
    """``{uuid: MiB}`` that the job has leased; 0: the whole card."""
    gpus = (lease for lease in job.leases if lease["resource"].startswith("gpu:"))
    return {lease["resource"][4:]: int(lease["amount"]) for lease in gpus}


def _key(job: JobRow, uuid: str) -> str:
    return f"{job.id}.{job.attempt} {uuid}"


def _told_by_the_trainer(job: JobRow, uuid: str) -> list[JobUse]:
    metrics = job.progress.get("metrics")
    told = metrics.get("memory_mib") if isinstance(metrics, dict) else None
    if not isinstance(told, int | float) or not 0 < told < MOST_MIB:
        return []
    return [JobUse(job.id, uuid, int(told * (1 << 20)), "trainer")]
