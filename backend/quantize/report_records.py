"""A report card as it is kept: ``report-card.json`` in the job's folder, and beside it what the figures were made of.

::

    report-card.json         :class:`Report`: figures, answers, and where they come from; grows while it is measured
    report-card/             what is measured: material.json (the same rows and questions for all), and one file a model
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from backend.finetune.files import build
from backend.workspace import read_json, write_json

FILE, PARTS = "report-card.json", "report-card"
Source = Literal["measured", "estimated", "cannot"]
NAMES = (
    "size_bytes",
    "load_s",
    "memory_steady_bytes",
    "memory_peak_bytes",
    "ttft_s",
    "tokens_s",
    "tokens_s_many",
    "perplexity",
    "divergence",
    "agreement",
    "first_tokens",
    "score",
)
"""What is told of each model, in this order."""
UNITS = {
    "size_bytes": "B",
    "load_s": "s",
    "memory_steady_bytes": "B",
    "memory_peak_bytes": "B",
    "ttft_s": "s",
    "tokens_s": "1/s",
    "tokens_s_many": "1/s",
    "divergence": "nat",
}
"""Of the values; the others are plain numbers, and shares from 0 to 1."""


@dataclass(frozen=True)
class Cell:
    """One figure of one model. name: of :data:`NAMES`. value: None where it cannot be told; reason: why then, as
    ``PanelError.to_dict`` has it. low, high: 95 % interval. n: rows, tokens, questions or requests that it rests on. source:
    measured here, estimated from the files, or not to be had. change, change_low, change_high: against the base, with the
    interval of the pairs: a share of the base's value (0.02: 2 % more), of ``score`` the difference of the shares. note: how it
    was measured where that was otherwise than for the rest, as ``PanelError.to_dict``."""

    name: str
    value: float | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int = 0
    source: Source = "measured"
    reason: dict[str, Any] | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    note: dict[str, Any] | None = None


@dataclass(frozen=True)
class Subject:
    """One model. about: how its weights are kept, such as ``float16`` or ``awq 4 bit``. bits: of a weight; 0: not said.
    served: whether something on this machine serves it; None: it was not tried yet."""

    name: str
    folder: str
    about: str = ""
    bits: int = 0
    cells: tuple[Cell, ...] = ()
    served: bool | None = None

    def cell(self, name: str) -> Cell | None:
        """The figure ``name``; None where it was not looked at (yet)."""
        return next((one for one in self.cells if one.name == name), None)

    def value(self, name: str) -> float | None:
        """Its value; None where there is none."""
        found = self.cell(name)
        return found.value if found is not None else None


@dataclass(frozen=True)
class Said:
    """What one model answered. ended: by itself, before the limit. right: None where that cannot be told."""

    text: str
    ended: bool = True
    right: bool | None = None


@dataclass(frozen=True)
class Answer:
    """One question, and what each model said to it, in the order of the report; None: it was not asked (yet)."""

    question: str
    expected: str
    language: str
    said: tuple[Said | None, ...] = ()


@dataclass(frozen=True)
class Report:
    """models: the base first. rows, questions: that were measured with. dataset, version: where they are from; empty: bundled.
    split: of the dataset; empty where it has none held out. people: that asked at once. busy: the largest share of the processor that
    others took while speed was measured. device: as torch names it. seconds:
    spent so far. made: epoch seconds. complete: nothing more is to come. problem: why it ended early, as
    ``PanelError.to_dict``."""

    models: tuple[Subject, ...] = ()
    answers: tuple[Answer, ...] = ()
    rows: int = 0
    tokens: int = 0
    questions: int = 0
    dataset: str = ""
    version: str = ""
    split: str = ""
    people: int = 0
    busy: float = 0.0
    device: str = ""
    seconds: float = 0.0
    made: float = 0.0
    complete: bool = False
    problem: dict[str, Any] | None = None

    @property
    def base(self) -> Subject:
        return self.models[0]

    @property
    def copies(self) -> tuple[Subject, ...]:
        return self.models[1:]


@dataclass(frozen=True)
class Heard:
    """An answer as it came. first: id of its first token."""

    text: str
    ended: bool
    first: int


@dataclass(frozen=True)
class Speed:
    """Of one load. people: at once. n: requests that were answered. ttft_s, ttft_low, ttft_high: mean wait for the first token and
    its interval. tokens_s, tokens_low, tokens_high: completion tokens per second over all, and its interval. failed: requests
    without an answer."""

    people: int
    n: int
    ttft_s: float
    tokens_s: float
    ttft_low: float | None = None
    ttft_high: float | None = None
    tokens_low: float | None = None
    tokens_high: float | None = None
    failed: int = 0


@dataclass(frozen=True)
class Serving:
    """How it was to serve it. engine: that did. steady, peak: bytes, of the GPU where it ran on one. busy: share of the processor that
    others took just before."""

    load_s: float
    steady: float | None
    peak: float | None
    speeds: tuple[Speed, ...] = ()
    engine: str = ""
    device: str = ""
    busy: float = 0.0


@dataclass(frozen=True)
class Raw:
    """What was measured of one model so far; a part that is None is still to be done. mark: of its files, so that another
    model in the same folder is measured anew. tokens: of each row. losses: summed over them, in nats. divergences, same: summed
    divergence from the base, and tokens at which both find the same one likeliest. heard: None for each question that there
    was no time for. way: how it was loaded (``as_stored``, or ``as_floats``: taken back to plain numbers). problems: part ->
    why it cannot be done."""

    mark: str = ""
    tokens: list[int] | None = None
    losses: list[float] | None = None
    divergences: list[float] | None = None
    same: list[int] | None = None
    heard: list[Heard | None] | None = None
    serving: Serving | None = None
    way: str = ""
    problems: dict[str, dict[str, Any]] = field(default_factory=dict)


def write(job_dir: Path, report: Report) -> None:
    """Keep it; the file appears whole or not at all.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    write_json(job_dir / FILE, asdict(report))


def read(job_dir: Path) -> Report | None:
    """The report in the folder of a job; None where there is none that can be read."""
    data = _object(job_dir / FILE)
    found = build(data, Report)
    if found is None:
        return None
    models = [build(one, Subject) for one in found.models]
    answers = [build(one, Answer) for one in found.answers]
    return replace(
        found,
        models=tuple(replace(one, cells=_all(one.cells, Cell)) for one in models if one is not None),
        answers=tuple(
            replace(one, said=tuple(build(each, Said) for each in one.said)) for one in answers if one is not None
        ),
    )


def write_raw(job_dir: Path, place: int, raw: Raw) -> None:
    """Keep what was measured of the model at ``place``.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    write_json(_raw_file(job_dir, place), asdict(raw))


def read_raw(job_dir: Path, place: int) -> Raw:
    """What was measured of it; nothing where that cannot be read."""
    found = build(_object(_raw_file(job_dir, place)), Raw)
    if found is None:
        return Raw()
    heard = None if found.heard is None else [build(one, Heard) for one in found.heard]
    serving = build(found.serving, Serving)
    if serving is not None:
        serving = replace(serving, speeds=_all(serving.speeds, Speed))
    return replace(found, heard=heard, serving=serving)


def _raw_file(job_dir: Path, place: int) -> Path:
    return job_dir / PARTS / f"model-{place}.json"


def _object(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _all(some: Any, kind: type[Any]) -> tuple[Any, ...]:
    return tuple(found for one in some if (found := build(one, kind)) is not None)
