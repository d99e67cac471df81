"""The figures that a job reported over its life, ready to be drawn: read on from where the last look ended, and bounded.

However long a run is, a metric keeps at most ``2 x POINTS`` points. When it has more, every four are replaced by the
lowest and the highest of them, in order: a spike of the loss stays visible, the middle of a plateau does not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from backend.queue.events import read_events

POINTS = 600


@dataclass
class Curve:
    """One metric: ``points`` are (epoch s, step or None, value), oldest first."""

    points: list[tuple[float, float | None, float]] = field(default_factory=list)
    last: float | str | None = None

    def add(self, t: float, step: float | None, value: float) -> None:
        self.points.append((t, step, value))
        if len(self.points) > 2 * POINTS:
            self.points = thin(self.points)


@dataclass(frozen=True)
class Phase:
    """A phase began at ``t`` (epoch s)."""

    name: str
    t: float


class Series:
    """Metrics and phases of one job; :meth:`update` reads only what was appended since. Safe to share between threads."""

    def __init__(self, job_dir: Path) -> None:
        self.job_dir = job_dir
        self.curves: dict[str, Curve] = {}
        self.phases: list[Phase] = []
        self._offset = 0
        self._lock = threading.Lock()

    def update(self) -> Series:
        """Take in what the job said since the last call."""
        with self._lock:
            while True:
                events, offset = read_events(self.job_dir, self._offset)
                for event in events:
                    self._take(event)
                if offset == self._offset:
                    return self
                self._offset = offset

    def _take(self, event: dict[str, object]) -> None:
        t = event.get("t")
        if not isinstance(t, int | float):
            return
        phase, step, metrics = event.get("phase"), event.get("step"), event.get("metrics")
        if isinstance(phase, str) and (not self.phases or self.phases[-1].name != phase):
            self.phases.append(Phase(phase, float(t)))
        if not isinstance(metrics, dict):
            return
        at = float(step) if isinstance(step, int | float) else None
        for name, value in metrics.items():
            curve = self.curves.setdefault(str(name), Curve())
            if isinstance(value, int | float) and not isinstance(value, bool):
                curve.last = float(value)
                curve.add(float(t), at, float(value))
            else:
                curve.last = str(value)  # NaN and infinity come as text: nothing to draw, but something to say


def thin(points: list[tuple[float, float | None, float]]) -> list[tuple[float, float | None, float]]:
    """Half of ``points``: of every four the lowest and the highest, in order; the newest point stays."""
    kept = []
    for at in range(0, len(points) - 1, 4):
        group = points[at : min(at + 4, len(points) - 1)]
        low, high = min(group, key=lambda p: p[2]), max(group, key=lambda p: p[2])
        kept += [p for p in group if p is low or p is high]
    return [*kept, points[-1]]
