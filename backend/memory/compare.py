"""Two to eight runs laid over one another, aligned at their start: the curve of their memory, and what they took, how long
they loaded and how fast they were, each figure with its source. What is not known says why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_
from backend.memory import measuring
from backend.memory.figures import FIGURES, Figure, missing
from backend.memory.runs import Run, Setup, described, labels
from backend.memory.sample import HOST, Window
from backend.queue.store import Store

if TYPE_CHECKING:
    from backend.memory.series import MemoryStore

LEAST, MOST = 2, 8
POINTS = 600
LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Curve:
    """Bytes over time: the most in each cell; None where nothing was recorded. begin: seconds since the run's start; step:
    seconds of a cell. devices: over how many places it is a sum."""

    begin: float
    step: float
    values: tuple[int | None, ...]
    devices: int = 1

    def points(self) -> list[tuple[float, int | None]]:
        """(seconds since the start, bytes) of every cell, at its middle."""
        return [(self.begin + (i + 0.5) * self.step, value) for i, value in enumerate(self.values)]


@dataclass(frozen=True)
class Measured:
    """One run in a comparison. gpu, host: its curves, where there are any. figures: one for each of FIGURES."""

    run: Run
    gpu: Curve | None = None
    host: Curve | None = None
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; differences are against the first. taken: when (epoch seconds). name: that it was saved under.
    devices: the GPUs of this machine, ``(name, total bytes)``."""

    rows: tuple[Measured, ...]
    taken: float
    name: str = ""
    devices: tuple[tuple[str, int | None], ...] = ()

    def labels(self) -> list[str]:
        """``A fp16``, ``B W4A16``: a letter and what sets the run apart."""
        said = labels([row.run for row in self.rows])
        return [f"{letter} {label}" for letter, label in zip(LETTERS, said, strict=False)]

    @property
    def live(self) -> bool:
        """A run in it goes on: another look gives other figures."""
        return any(row.run.live for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` takes it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Comparison:
        """What :meth:`to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        rows = tuple(_row(each) for each in data["rows"])
        if not LEAST <= len(rows) <= MOST:
            raise ValueError("a comparison of so many runs")
        devices = tuple((str(name), total) for name, total in data.get("devices", ()))
        return cls(rows, float(data["taken"]), str(data.get("name", "")), devices)


def compare(store: Store, memory: MemoryStore, ids: Sequence[int]) -> Comparison:
    """The runs ``ids`` side by side, in that order; one that is named twice counts once.

    Raises:
        ConflictError: ``memory_runs_count``: fewer than two or more than eight.
        NotFoundError: ``job_unknown``: no such job, and nothing recorded of one.
    """
    chosen = list(dict.fromkeys(ids))
    if not LEAST <= len(chosen) <= MOST:
        raise ConflictError(
            "memory_runs_count",
            N_("A comparison lays {least} to {most} runs over one another; these are {count}."),
            N_("Choose more runs, or fewer."),
            least=LEAST,
            most=MOST,
            count=len(chosen),
        )
    rows = tuple(_measured(store, memory, job) for job in chosen)
    used = {peak.place for job in chosen for peak in memory.peaks(job)}
    devices = tuple((device.name, device.total) for device in memory.devices() if device.uuid in used)
    return Comparison(rows, time.time(), devices=devices)


def _measured(store: Store, memory: MemoryStore, job: int) -> Measured:
    window, peaks = memory.job_series(job, points=POINTS), memory.peaks(job)
    try:
        row = store.get(job)
    except NotFoundError:
        if not peaks:
            raise
        run = Run(id=job, title=f"#{job}", deleted=True)
        gone = {name: missing("job_deleted") for name in FIGURES}
        return Measured(run, *_curves(window, job, window.start), gone | measuring.memory(peaks, None))
    run = described(store, row)
    # An earlier attempt was recorded, too: then the run began with it.
    began = row.started if row.started is not None and row.attempt <= 1 else window.start
    return Measured(run, *_curves(window, job, began), measuring.figures(store, row, peaks))


def _curves(window: Window, job: int, began: float) -> tuple[Curve | None, Curve | None]:
    """(GPU, host): what lies on several GPUs is added up."""
    found: dict[bool, list[tuple[float | None, ...]]] = {True: [], False: []}
    for key, series in sorted(window.series.items()):
        if (key.name, key.subject) == ("job", str(job)):
            found[key.place == HOST].append(series.high)
    return _curve(window, found[False], began), _curve(window, found[True], began)


def _curve(window: Window, series: list[tuple[float | None, ...]], began: float) -> Curve | None:
    values = [
        None if all(v is None for v in cell) else round(sum(filter(None, cell))) for cell in zip(*series, strict=True)
    ]
    if all(value is None for value in values):
        return None
    return Curve(window.start - began, window.step, tuple(values), len(series))


def _row(data: dict[str, Any]) -> Measured:
    run = _known(Run, data["run"])
    run["setup"] = Setup(**_known(Setup, run.get("setup") or {}))
    figures = {name: Figure(**_known(Figure, data["figures"][name])) for name in FIGURES}
    gpu, host = (_stored_curve(data.get(name)) for name in ("gpu", "host"))
    return Measured(Run(**run), gpu, host, figures)


def _stored_curve(data: dict[str, Any] | None) -> Curve | None:
    if data is None:
        return None
    curve = Curve(**_known(Curve, data))
    return replace(curve, values=tuple(None if v is None else int(v) for v in curve.values))


def _known(cls: Any, data: dict[str, Any]) -> dict[str, Any]:
    """``data`` without what a later TuneDeck added."""
    names = {each.name for each in fields(cls)}
    return {name: value for name, value in data.items() if name in names}
