"""What a new job may count on: the memory that is free now, less what others are likely to take meanwhile.

Two things are taken off. *Growth*: how much the neighbours' use rose within ten minutes, in all but one of twenty such
spans of the last hours; a colleague whose training is still warming up is not done yet. *Promises*: what our own jobs are
forecast to take and have not taken yet, because they are still being started.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from backend.errors import PanelError
from backend.memory.machine import Gpu, Machine
from backend.memory.sample import HOST, SeriesKey, Window

if TYPE_CHECKING:
    from backend.memory.series import MemoryStore
    from backend.queue.rows import JobRow
    from backend.queue.store import Store

LOOK_BACK_S = 6 * 3600.0
HORIZON_S = 600.0
CELLS = 720
"""Half a minute each: fine enough for a rise within ten minutes, and quick to read."""
SHARE = 0.95
LEAST_S = 1200.0
"""With less than so much recorded, nothing is said about growth."""
MIB = 1 << 20
SETTLED = ("ready", "train", "evaluate", "work", "convert", "hung", "restart", "save")
"""Phases in which a job has what it needs; until then it has been promised it."""

Source = Literal["recorded", "unknown"]


@dataclass(frozen=True)
class Budget:
    """Bytes. free: now; None where nobody can tell. growth, promised: see the module. returned: part of ``free`` that a job
    has now and gives back first. source: ``recorded``, or ``unknown`` where too little was recorded to speak of growth.
    place: HOST or the GPU's UUID; index: of the GPU. at: when, epoch seconds."""

    free: int | None
    growth: int = 0
    promised: int = 0
    source: Source = "unknown"
    place: str = HOST
    index: int | None = None
    total: int | None = None
    at: float = 0.0
    returned: int = 0

    @property
    def on_gpu(self) -> bool:
        return self.place != HOST

    @property
    def free_after_growth(self) -> int | None:
        """What a new job may count on."""
        return None if self.free is None else max(0, self.free - self.growth - self.promised)


def without(room: Budget, job: int, memory: MemoryStore | None) -> Budget:
    """``room`` as it will be when ``job``, which runs, has ended: for a server that is restarted with other settings."""
    size = _taken(memory, room.place).get(job, 0)
    return room if room.free is None else replace(room, free=room.free + size, returned=size)


def free_now(
    machine: Machine, memory: MemoryStore | None, device: str | None = None, *, store: Store | None = None
) -> Budget:
    """The budget on ``device`` (a GPU's UUID, or HOST); None takes the roomiest GPU, and main memory where there is none.

    ``memory`` knows the growth, ``store`` the jobs that have been promised something; without them neither is taken off.
    """
    now = time.time()
    card = _card(machine, device)
    place = card.uuid if card is not None else HOST
    rise = growth(memory, place, now)
    return Budget(
        free=card.free if card is not None else machine.ram_free,
        growth=rise or 0,
        promised=promised(store, memory, place) if store is not None else 0,
        source="unknown" if rise is None else "recorded",
        place=place,
        index=card.index if card is not None else None,
        total=card.total if card is not None else machine.ram_total,
        at=now,
    )


def growth(memory: MemoryStore | None, place: str, now: float) -> int | None:
    """Bytes by which the neighbours at ``place`` grew within :data:`HORIZON_S` lately; None where too little is known."""
    if memory is None:
        return None
    key = SeriesKey(place, "neighbours")
    try:
        window = memory.window(now - LOOK_BACK_S, now, points=CELLS, keys=[key])
    except PanelError:
        return None  # a record that cannot be read must not hide what is free
    return _growth(window, key)


def _growth(window: Window, key: SeriesKey) -> int | None:
    series = window.series.get(key)
    if series is None or window.step <= 0:
        return None
    ahead = max(1, round(HORIZON_S / window.step))
    rises = []
    for place, value in enumerate(series.mean):
        later = [high for high in series.high[place + 1 : place + 1 + ahead] if high is not None]
        if value is not None and 2 * len(later) >= ahead:  # a gap says nothing about what happened in it
            rises.append(max(0.0, max(later) - value))
    return int(_quantile(rises, SHARE)) if len(rises) * window.step >= LEAST_S else None


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def promised(store: Store, memory: MemoryStore | None, place: str) -> int:
    """Bytes at ``place`` that our jobs which are being started will take beyond what they have."""
    young = [row for row in store.live() if row.progress.get("phase") not in SETTLED and row.state != "stopping"]
    taken = _taken(memory, place) if young else {}
    return sum(max(0, _needed(store, row, place) - taken.get(row.id, 0)) for row in young)


def _needed(store: Store, row: JobRow, place: str) -> int:
    """What ``row`` was forecast to take at ``place``; where nobody forecast it, its share of the card."""
    from backend.memory import trust

    leases = {
        lease["resource"].removeprefix("gpu:"): lease["amount"] for lease in row.leases if "gpu:" in lease["resource"]
    }
    if place != HOST and place not in leases:
        return 0
    forecast = trust.read(store.job_dir(row.id))
    if forecast is not None and forecast.on_gpu == (place != HOST):
        return forecast.p50
    return leases.get(place, 0) * MIB


def _taken(memory: MemoryStore | None, place: str) -> dict[int, int]:
    try:
        sample = memory.latest() if memory is not None else None
    except PanelError:
        return {}
    return {use.job: use.size for use in sample.jobs if use.place == place} if sample is not None else {}


def _card(machine: Machine, device: str | None) -> Gpu | None:
    """The GPU meant; None for main memory."""
    if device == HOST:
        return None
    if device is not None:
        return next((gpu for gpu in machine.gpus if gpu.uuid == device), None)
    return max(machine.gpus, key=lambda gpu: -1 if gpu.free is None else gpu.free, default=None)
