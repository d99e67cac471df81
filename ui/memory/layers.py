"""What is stacked in a chart of the past: our jobs, other people, and what is nobody's, so that it adds up to what was in use.

A cell in which nothing was recorded is None in every layer: a gap stays a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.i18n import _
from backend.memory.sample import Series, Window
from ui.memory import parts as memory_parts
from ui.memory import terms as memory_terms

GIB = 2**30
NAMES = ("used", "total", "job", "user")
"""Series that a chart is made of."""
MOST = 7
"""Layers of one kind in a chart; the smaller ones are together in one more."""
Values = list[float | None]


@dataclass(frozen=True)
class Layer:
    """One area. kind: ``job``, ``user`` or ``rest``. values: GiB a cell."""

    kind: str
    label: str
    colour: str
    values: Values


@dataclass(frozen=True)
class Place:
    """All that a chart of one place shows. used: the highest of each cell, GiB. total: GiB of the place, as told last."""

    layers: list[Layer]
    used: Values
    total: float | None

    @property
    def peak(self) -> tuple[float, int] | None:
        """(GiB, cell) of the highest; None where nothing was recorded."""
        known = [(value, place) for place, value in enumerate(self.used) if value is not None]
        return max(known, default=None)


def of(window: Window, place: str, titles: Mapping[int, str]) -> Place:
    """The layers of ``place`` in ``window``."""
    here = {(key.name, key.subject): series for key, series in window.series.items() if key.place == place}
    used = here.get(("used", ""))
    mean: Values = list(used.mean) if used else []
    jobs = {int(subject): series for (name, subject), series in here.items() if name == "job" and subject.isdigit()}
    layers = _jobs(jobs, titles)
    layers += _people(here)
    taken = _sums([layer.values for layer in layers])
    rest: Values = [
        None if value is None else max(0.0, value / GIB - (taken[cell] if taken else 0.0))
        for cell, value in enumerate(mean)
    ]
    if any(value is not None and value > 0.05 for value in rest):
        layers.append(Layer("rest", _("everything else"), memory_terms.colour("neighbours"), rest))
    total = here.get(("total", ""))
    told = [value for value in total.mean if value is not None] if total else []
    high: Values = [None if value is None else value / GIB for value in used.high] if used else []
    return Place(layers, high, told[-1] / GIB if told else None)


def _jobs(jobs: Mapping[int, Series], titles: Mapping[int, str]) -> list[Layer]:
    order = sorted(jobs, key=lambda job: -sum(value or 0 for value in jobs[job].mean))
    shown, rest = sorted(order[:MOST]), order[MOST:]
    layers = [
        Layer("job", f"#{job} {titles.get(job, '')}".strip(), memory_parts.job_colour(job), _gib(jobs[job].mean))
        for job in shown
    ]
    if rest:
        together = _sums([list(jobs[job].mean) for job in rest], gaps=True)
        layers.append(Layer("job", _("{n} other jobs").format(n=len(rest)), "#B3A125", _gib(together)))
    return layers


def _people(here: Mapping[tuple[str, str], Series]) -> list[Layer]:
    """Other people's programs, by person."""
    people = {subject: series.mean for (name, subject), series in here.items() if name == "user"}
    order = sorted(people, key=lambda name: -sum(value or 0 for value in people[name]))
    layers = [
        Layer("user", name, memory_parts.user_colour(name), _gib(people[name]))
        for name in order[:MOST]
        if any((value or 0) > 0.05 * GIB for value in people[name])
    ]
    if order[MOST:]:
        together = _sums([people[name] for name in order[MOST:]], gaps=True)
        layers.append(
            Layer("user", _("{n} other people").format(n=len(order[MOST:])), memory_parts.OTHERS, _gib(together))
        )
    return layers


def _sums(rows: Sequence[Sequence[float | None]], *, gaps: bool = False) -> list[float]:
    """Cell by cell; a gap counts as nothing (with ``gaps``, one where all are gaps)."""
    if not rows:
        return []
    found = []
    for cells in zip(*rows, strict=True):
        known = [value for value in cells if value is not None]
        found.append(float("nan") if gaps and not known else sum(known))
    return found


def _gib(values: Sequence[float | None]) -> Values:
    return [None if value is None or value != value else value / GIB for value in values]
