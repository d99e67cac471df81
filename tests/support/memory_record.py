"""A record of memory that says what a test tells it to: where a real recorder would need hours, or a neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.memory.sample import Peak, Sample, Series, SeriesKey, Window


@dataclass
class Record:
    """Stands for a :class:`backend.memory.series.MemoryStore`. values: one a cell, None for a gap; asked: the windows."""

    values: dict[SeriesKey, Sequence[float | None]] = field(default_factory=dict)
    step: float = 30.0
    newest: Sample | None = None
    highest: dict[int, list[Peak]] = field(default_factory=dict)
    asked: list[tuple[float, float]] = field(default_factory=list)

    def window(self, start: float, end: float, points: int = 600, keys: object = None) -> Window:
        self.asked.append((start, end))
        series = {key: Series(tuple(found), tuple(found), tuple(found)) for key, found in self.values.items()}
        return Window(start, end, self.step, series)

    def latest(self) -> Sample | None:
        return self.newest

    def peaks(self, job: int, until: float | None = None) -> list[Peak]:
        return [peak for peak in self.highest.get(job, []) if until is None or peak.t <= until]
