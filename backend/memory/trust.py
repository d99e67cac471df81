"""How far the forecasts of this machine can be trusted: each is written down when its job is submitted, and set against the
peak that was measured when the job has ended. What was off corrects the next one.

    jobs/000123/forecast.json     {"format", "verb", "engine", "kind", "host", "at", "low", "p50", "p95", "raw", "terms",
                                   "measured"}; bytes; "measured" comes when it is first asked for after the end

Counted terms (weights, KV cache, optimizer …) follow from the model's headers. The others (activations, workspace, the
engine's own program) are guessed, and these are what the measured peaks correct: by the median over the last twenty jobs
of the same engine, verb and processor on this host, from three jobs on, and never by more than a factor of two.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import PanelError
from backend.memory.machine import snapshot
from backend.memory.sample import HOST
from backend.queue import folder
from backend.queue.events import read_events
from backend.queue.rows import DONE, JobRow

if TYPE_CHECKING:
    from backend.memory.forecast import Estimate, Term
    from backend.memory.planned import Planned
    from backend.memory.series import MemoryStore
    from backend.queue.store import Store

FILE = "forecast.json"
FORMAT = 1
COUNTED = ("weights", "kv_cache", "adapter", "optimizer", "gradients")
"""Terms that follow from numbers in the model's own files and from the plan."""
LAST = 20
LOOKED_AT = 400
"""Of the jobs that ended, so many are looked through for the last :data:`LAST` forecasts."""
LEAST = 3
BOUND = 2.0
NARROWEST = 1.02
REACHED = ("ready", "hung")
"""A server that got there has loaded everything: its peak says something about the forecast."""

BEFORE = {"quantize": "report"}
"""Verb -> the phase from which on a job does something that its forecast is not of: a report card starts servers."""


@dataclass(frozen=True)
class Part:
    """One term of a forecast, bytes. later: it is taken only once it is used, such as a KV cache that grows."""

    name: str
    p50: int
    p95: int
    later: bool = False


@dataclass(frozen=True)
class Measured:
    """What the job took at most and usually (bytes), when, and where the figure comes from. counts: it got as far as it was
    forecast for, so that its peak may be held against the forecast."""

    peak: int
    steady: int
    t: float
    source: str
    counts: bool


@dataclass(frozen=True)
class Forecast:
    """low: what it takes at once; p50: with all that it may take later, such as a full KV cache; p95: at most, in 95 of
    100 cases. parts: the terms as they were before anything measured here corrected them. kind: ``cpu`` or ``cuda``."""

    verb: str
    engine: str
    kind: str
    host: str
    at: float
    low: int
    p50: int
    p95: int
    parts: tuple[Part, ...]
    measured: Measured | None = None

    @property
    def on_gpu(self) -> bool:
        return self.kind == "cuda"

    @property
    def off(self) -> float | None:
        """By what share of it the measured peak lies above (positive) or below the forecast; 0 where it lies between
        ``low`` and ``p50``. None until it is measured."""
        if self.measured is None or self.measured.peak <= 0:
            return None
        peak = self.measured.peak
        return (peak - min(max(peak, self.low), self.p50)) / peak


@dataclass(frozen=True)
class Residual:
    """By what the guessed terms are to be multiplied: for the middle and for the upper end. n: jobs that say so."""

    n: int = 0
    middle: float = 1.0
    upper: float = 1.0


def foresee(store: Store, verb: str, spec: dict[str, Any]) -> Forecast | None:
    """The forecast of a job that is about to be submitted. None where its kind has none, or where it cannot be made: a
    forecast never holds up a job."""
    from backend.memory import planned

    if verb not in planned.VERBS:
        return None
    try:
        made = planned.of_job(store.workspace, verb, spec, snapshot())
        if made is None:
            return None
        with opened(store) as memory:
            return of_plan(made, verb, residual(store, memory, verb, made.engine, made.kind))
    except (PanelError, OSError, ArithmeticError, LookupError, TypeError, ValueError):
        return None


def keep(job_dir: Path, found: Forecast) -> None:
    """Write ``found`` into the folder of its job. On a full disk it is lost, and nothing else."""
    with contextlib.suppress(PanelError):
        folder.write(job_dir, FILE, {"format": FORMAT, **asdict(found)})


def of_plan(made: Planned, verb: str, found: Residual) -> Forecast:
    """The forecast of a plan, corrected by what was measured here."""
    from backend.memory import planned

    estimate = corrected(made.estimate, found)
    return Forecast(
        verb=verb,
        engine=made.engine,
        kind=made.kind,
        host=socket.gethostname(),
        at=time.time(),
        low=planned.at_once(estimate, made.later),
        p50=int(estimate.p50),
        p95=int(estimate.p95),
        parts=tuple(
            Part(term.name, int(term.p50), int(term.p95), term.name in made.later) for term in made.estimate.terms
        ),
    )


def read(job_dir: Path) -> Forecast | None:
    """The forecast of the job whose folder this is; None where there is none that can be read."""
    data = folder.read(job_dir, FILE)
    if data is None or data.pop("format", None) != FORMAT:
        return None
    try:
        measured = data.pop("measured", None)
        parts = tuple(Part(**part) for part in data.pop("parts"))
        return Forecast(**data, parts=parts, measured=Measured(**measured) if measured else None)
    except (TypeError, KeyError, AttributeError):
        return None  # edited by hand, or by another TuneDeck


def settled(store: Store, memory: MemoryStore | None, row: JobRow) -> Forecast | None:
    """The forecast of ``row`` with what was measured, where it has ended and something was; kept in its folder from then
    on, so that it outlives the record of the memory."""
    found = read(store.job_dir(row.id))
    if found is None or found.measured is not None or not row.done or memory is None:
        return found
    try:
        peaks = [
            peak for peak in memory.peaks(row.id, _foreseen_until(store, row)) if (peak.place != HOST) == found.on_gpu
        ]
    except PanelError:
        return found
    if not peaks:
        return found
    most = max(peaks, key=lambda peak: peak.peak)  # a forecast is for one card: the fullest of several
    reached = row.progress.get("phase") in REACHED if row.service else row.state == "succeeded"
    # What a training program says that it has allocated is less than what its process has: another figure.
    counts = reached and most.source != "trainer"
    measured = Measured(int(most.peak), int(most.steady), most.t, most.source, counts)
    found = replace(found, measured=measured)
    keep(store.job_dir(row.id), found)
    return found


def _foreseen_until(store: Store, row: JobRow) -> float | None:
    """When the work ended that the forecast of ``row`` is of; None where it is of the whole job."""
    phase = BEFORE.get(row.verb)
    if phase is None:
        return None
    found, _ = read_events(store.job_dir(row.id))
    return min((float(one["t"]) for one in found if one.get("phase") == phase), default=None)


def history(store: Store, memory: MemoryStore | None, verb: str | None = None) -> list[Forecast]:
    """The forecasts of this host that a measured peak can be held against, newest first."""
    from backend.memory import planned

    host = socket.gethostname()
    rows = [row for row in store.list(states=DONE, verb=verb, limit=LOOKED_AT) if row.verb in planned.VERBS]
    found = (settled(store, memory, row) for row in rows)
    return [
        one
        for one in found
        if one and one.host == host and one.measured and one.measured.counts and one.off is not None
    ]


def within(store: Store, memory: MemoryStore | None) -> tuple[int, float]:
    """(n, per cent): each of the last ``n`` (at most :data:`LAST`) forecasts on this machine was off by no more than that."""
    offs = [abs(one.off) for one in history(store, memory)[:LAST] if one.off is not None]
    return len(offs), 100 * max(offs, default=0.0)


def residual(store: Store, memory: MemoryStore | None, verb: str, engine: str, kind: str) -> Residual:
    """What earlier jobs of this kind say about the guessed terms; nothing from fewer than :data:`LEAST` of them."""
    alike = [one for one in history(store, memory, verb) if (one.engine, one.kind) == (engine, kind)][:LAST]
    return from_ratios([ratio for one in alike if (ratio := _ratio(one)) is not None])


def from_ratios(ratios: Sequence[float]) -> Residual:
    """The robust middle and upper end of how many times the guess the guessed part really was."""
    if len(ratios) < LEAST:
        return Residual(len(ratios))
    ordered = sorted(min(BOUND, max(1 / BOUND, ratio)) for ratio in ratios)
    middle = ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
    # With few rows the highest of them is no upper end yet: the fewer, the more is added.
    spread = ordered[math.ceil(0.95 * len(ordered)) - 1] / middle
    return Residual(len(ordered), middle, middle * max(NARROWEST, spread * (1 + 0.5 / len(ordered))))


def _ratio(one: Forecast) -> float | None:
    """Measured over guessed, for the guessed part alone. What was not used yet explains a lower peak."""
    if one.measured is None:
        return None
    peak = one.measured.peak
    for parts in (one.parts, [part for part in one.parts if not part.later]):
        guess = sum(part.p50 for part in parts if part.name not in COUNTED)
        sure = sum(part.p50 for part in parts) - guess
        if guess > 0 and (peak > sure + guess) == (parts is one.parts):
            return max(0.0, peak - sure) / guess
    return 1.0


def corrected(estimate: Estimate, found: Residual) -> Estimate:
    """``estimate`` with its guessed terms as ``found`` says; as it is where too little was measured."""
    from backend.memory.forecast.terms import together

    if found.n < LEAST:
        return estimate
    terms = tuple(term if term.name in COUNTED else _scaled(term, found) for term in estimate.terms)
    p50, p95 = together([(term.p50, term.p95) for term in terms])
    return replace(estimate, terms=terms, p50=p50, p95=p95)


def _scaled(term: Term, found: Residual) -> Term:
    middle = int(term.p50 * found.middle)
    return replace(term, p50=middle, p95=max(middle, int(term.p50 * found.upper)))


@contextlib.contextmanager
def opened(store: Store) -> Iterator[MemoryStore | None]:
    """The record of the memory beside ``store``; None where nothing was recorded yet, or it cannot be opened."""
    from backend.memory.series import open_memory

    memory = None
    if store.workspace.memory_db.exists():
        with contextlib.suppress(PanelError):
            memory = open_memory(store.workspace)
    try:
        yield memory
    finally:
        if memory is not None:
            memory.close()
