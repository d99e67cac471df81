"""What verdicts on a training are made of, and what they are: the curves, cut into stretches, and fields for a next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any, Literal

Level = Literal["good", "info", "warn", "bad"]
Points = Sequence[tuple[float, float]]

STRETCHES = 12
"""Pieces into which a curve is cut; of each, the median counts."""
FEWEST = 8
"""Points below which nothing is said of a curve."""


@dataclass(frozen=True)
class Signs:
    """What verdicts are made of. curves: metric -> (step, value), oldest first. no_number: the metric that is NaN or infinite
    now. steps: in all. expected_step_s: seconds of a step with the longest rows. spec: fields of the FinetuneSpec."""

    curves: Mapping[str, Points]
    no_number: str = ""
    step: int = 0
    steps: int | None = None
    live: bool = True
    expected_step_s: float | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One thing that the curves say. message, suggestion: in the reader's language. fields: of the spec, what to change in the
    next run; empty where nothing needs to. stop: it is time to stop and keep the best."""

    code: str
    level: Level
    message: str
    suggestion: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    stop: bool = False


def stretches(points: Points) -> list[tuple[float, float]]:
    """At most :data:`STRETCHES` (last step, median) of ``points``; none where there are too few."""
    if len(points) < FEWEST:
        return []
    count = min(STRETCHES, len(points) // 2)
    cuts = [round(n * len(points) / count) for n in range(count + 1)]
    pieces = [points[a:b] for a, b in pairwise(cuts)]
    return [(piece[-1][0], median(value for _step, value in piece)) for piece in pieces]


def until(signs: Signs, step: float) -> dict[str, Any]:
    """The fields that end the next run at about ``step``."""
    if int(number(signs, "max_steps", 0)):
        return {"max_steps": max(1, round(step))}
    if not signs.steps:
        return {}
    return {"epochs": max(0.1, float(f"{number(signs, 'epochs', 3.0) * step / signs.steps:.2g}"))}


def more_dropout(signs: Signs) -> dict[str, Any]:
    """More dropout for an add-on, where there is room for it."""
    dropout = number(signs, "lora_dropout", 0.1)
    return {"lora_dropout": 0.2} if signs.spec.get("method", "lora") != "full" and dropout < 0.2 else {}


def rate(signs: Signs, times: float) -> float:
    """The learning rate, ``times`` as large."""
    return float(f"{number(signs, 'learning_rate', 2e-4) * times:.2g}")


def number(signs: Signs, name: str, default: float) -> float:
    """The number that the spec has as ``name``."""
    value = signs.spec.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def figure(value: float) -> str:
    """A loss or a time, as people read it."""
    return f"{value:.1g}" if value < 0.001 else f"{value:.3g}"
