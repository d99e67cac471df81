"""Where more people only wait longer: the knee of latency against load.

Kleinrock's power (*Power and deterministic rules of thumb for probabilistic problems in computer communications*, ICC 1979):
throughput by response time is greatest at the knee. Below it more people bring more answers; above it they mostly wait.
With Little's law (people at once = throughput x response time) it means: twice the people are worth it where they
get more than 1.41 times the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backend.i18n import N_, _

SAME = 0.95
"""Of the greatest power; so much differs from run to run, and of two that are the same the smaller load is the better."""
Reason = Literal["found", "not_reached", "at_once"]
_SENTENCES: dict[str, str] = {
    "found": N_(
        "The knee is at {people} people at once: {rps} answers a second, each after {latency} s. With more, they mostly wait longer."
    ),
    "not_reached": N_(
        "Even at {people} people at once ({rps} answers a second, each after {latency} s) more of them still get more done: the knee lies higher. Measure with more."
    ),
    "at_once": N_(
        "{people} at a time is the best that this server does ({rps} answers a second, each after {latency} s): with more, they mostly wait longer."
    ),
}


@dataclass(frozen=True)
class Knee:
    """concurrency: people at once at the knee. rps: answers per second there; latency_s: mean seconds of one.

    reason: ``found``; ``not_reached``: it is the highest load that was measured; ``at_once``: it is the lowest.
    """

    concurrency: int
    rps: float
    latency_s: float
    reason: Reason

    def sentence(self) -> str:
        """It in words, in the language of the current person."""
        return _(_SENTENCES[self.reason]).format(
            people=self.concurrency, rps=f"{self.rps:.3g}", latency=f"{self.latency_s:.3g}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_dict(data: Mapping[str, Any] | None) -> Knee | None:
    """What :meth:`Knee.to_dict` wrote."""
    try:
        return Knee(**data) if data else None
    except TypeError:
        return None


def knee(levels: Iterable[Mapping[str, Any]]) -> Knee | None:
    """The knee of ``levels`` (each with ``concurrency``, ``columns`` and ``complete``); None below two that were measured to the end."""
    points = []
    for level in levels:
        columns = level["columns"]
        rps, latency = columns.get("rps"), columns.get("latency_ave")
        if rps and latency and level.get("complete", True):
            points.append((int(level["concurrency"]), float(rps), float(latency)))
    points.sort()
    if len(points) < 2:
        return None
    best = max(rps / latency for _c, rps, latency in points)
    at = next(n for n, (_c, rps, latency) in enumerate(points) if rps / latency >= SAME * best)
    reason: Reason = "at_once" if at == 0 else "not_reached" if at == len(points) - 1 else "found"
    return Knee(*points[at], reason)
