"""From the lengths of rows to optimizer steps: what is held out, how rows are packed, how long a warm-up is.

The engine of peft joins whole rows and counts steps as transformers' Trainer does, the last one of an epoch with what is left;
XTuner cuts rows where they are full (:mod:`backend.data.tokens.plan`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from backend.data.tokens.plan import Wish, forecast
from backend.specs.finetune import FinetuneSpec

MOST_VALIDATION = 1_000
"""Rows that are measured at each evaluation: more say little more, and take time."""
EVALUATIONS = 10
"""In all, where nobody says how often."""


@dataclass(frozen=True)
class Counted:
    """rows: that are learned from. validation_rows: that are measured, of those that are held out here or in the dataset. general_rows: bundled ones
    that are mixed in. tokens: of an epoch, cut off at the limit. longest: tokens of the longest row, uncut. exact: every row
    was counted."""

    rows: int
    validation_rows: int
    general_rows: int
    tokens: int
    rows_cut: int
    packed_rows: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    longest: int
    exact: bool


def held_out(rows: int, validation: int, share: float) -> int:
    """Rows of the split ``train`` that are held out where the dataset has no validation rows of its own: a share of them, one at
    least, and never all."""
    if validation or not share or rows < 2:
        return 0
    return min(rows - 1, max(1, round(rows * share)))


def general(rows: int, replay: float) -> int:
    """Bundled rows among ``rows`` of the dataset so that they are the part ``replay`` of all."""
    return round(rows * replay / (1 - replay)) if rows else 0


def count(spec: FinetuneSpec, counts: Counter[int], train: int, validation: int, *, exact: bool) -> Counted:
    """What ``spec`` makes of ``train`` rows of these lengths (tokens -> rows, of all or of a sample)."""
    kept = held_out(train, validation, spec.validation_share)
    rows = train - kept
    more = general(rows, spec.replay)
    scale = (rows + more) / max(1, counts.total())
    found = forecast(counts, wish(spec), scale)
    per_epoch = found.steps_per_epoch
    steps = math.ceil(per_epoch * spec.epochs - 1e-9) if rows else 0
    if spec.max_steps:
        steps = min(steps, spec.max_steps)
    return Counted(
        rows=rows,
        validation_rows=min(MOST_VALIDATION, validation or kept),
        general_rows=more,
        tokens=found.tokens,
        rows_cut=found.truncated,
        packed_rows=found.packed_rows,
        steps_per_epoch=per_epoch,
        steps=steps,
        warmup_steps=warmup(spec, steps),
        longest=max(counts, default=0),
        exact=exact,
    )


def wish(spec: FinetuneSpec) -> Wish:
    """One epoch of it."""
    return Wish(
        engine=spec.engine,
        max_length=spec.max_length,
        packing=spec.packing,
        batch_size=spec.batch_size,
        accumulation=spec.accumulation,
        epochs=1,
        gpus=spec.gpus,
        warmup_ratio=spec.warmup_ratio,
    )


def warmup(spec: FinetuneSpec, steps: int) -> int:
    """Steps in which the learning rate rises; rounded up, as transformers does, so that a wish for one is none only where
    there is but one step: that one learns."""
    return max(0, min(steps - 1, math.ceil(spec.warmup_ratio * steps - 1e-9)))


def every(asked: int, steps: int) -> int:
    """Steps from one evaluation to the next, of which there are about :data:`EVALUATIONS` where nobody says."""
    return asked or max(1, math.ceil(steps / EVALUATIONS))


def long_enough(counts: Counter[int] | None, share: float = 0.99) -> int:
    """Tokens that so many of the rows have at most, rounded up to a multiple of 64; 0 where there are none."""
    total, seen = sum((counts or {}).values()), 0
    for tokens, number in sorted((counts or {}).items()):
        seen += number
        if seen >= share * total:
            return 64 * math.ceil(tokens / 64)
    return 0
