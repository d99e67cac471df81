"""From the lengths of rows to optimizer steps: what is held out, how rows are packed, how long a warm-up is.

The engine of peft joins whole rows and counts steps as transformers' Trainer does, the last one of an epoch with what is left;
XTuner cuts rows where they are full (:mod:`backend.data.tokens.plan`).

Which rows are held out, and which general ones are mixed in, is drawn when the job begins. Where that decides how rows can be
joined, the number of steps is told with the band in which it will lie; without packing only the number of rows counts.
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
SIGMAS = 3.0
"""Half of a band, in standard deviations of a mean."""


@dataclass(frozen=True)
class Counted:
    """rows: that are learned from. validation_rows: that are measured, of those that are held out here or in the dataset. general_rows: bundled ones
    that are mixed in. tokens: of an epoch, cut off at the limit. steps: in all; not fewer than ``steps_low``, not more than
    ``steps_high``. longest: tokens of the longest row, uncut. exact: every row was counted."""

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
    steps_low: int = 0
    steps_high: int = 0


def held_out(rows: int, validation: int, share: float) -> int:
    """Rows of the split ``train`` that are held out where the dataset has no validation rows of its own: a share of them, one at
    least, and never all."""
    if validation or not share or rows < 2:
        return 0
    return min(rows - 1, max(1, round(rows * share)))


def general(rows: int, replay: float) -> int:
    """Bundled rows among ``rows`` of the dataset so that they are the part ``replay`` of all."""
    return round(rows * replay / (1 - replay)) if rows else 0


def count(
    spec: FinetuneSpec,
    counts: Counter[int],
    train: int,
    validation: int,
    *,
    exact: bool,
    mixed: Counter[int] | None = None,
    alike: int = 1,
    lost: int = 0,
) -> Counted:
    """What ``spec`` makes of ``train`` rows of these lengths (tokens -> rows, of all or of a sample).

    mixed: lengths of some of the general rows; without, they are taken to be like those of the dataset. alike: so many rows
    at most ask the same, and are held out together or not at all. lost: rows of which nothing is learned, so that they are left out.
    """
    kept = held_out(train, validation, spec.validation_share)
    rows = train - kept
    more = general(rows, spec.replay)
    found = forecast(_like(counts, rows) + _like(mixed or counts, more), wish(spec))
    steps = fewest = most = _steps(spec, found.steps_per_epoch, rows)
    # Long rows were held out and short ones mixed in, or the other way round; by half of those that ask the same more, or fewer.
    most_taken, least_taken = min(2 * kept, kept + alike // 2), max(0, kept - (alike - 1) // 2)
    for taken, gone, sign in ((most_taken, lost, -1), (least_taken, 0, 1)):
        left = train - taken - gone
        doubt = _doubt(counts, taken // max(1, alike)) * taken / max(1, left)
        doubt += 0.0 if exact else _doubt(counts, counts.total())
        many = general(left, spec.replay)
        drawn = mixed or counts
        others = _stretched(drawn, _doubt(drawn, min(many, drawn.total())), sign)
        joined = forecast(_like(_stretched(counts, doubt, sign), left) + _like(others, many), wish(spec))
        other = _steps(spec, joined.steps_per_epoch, left)
        fewest, most = min(fewest, other), max(most, other)
    return Counted(
        rows=rows,
        validation_rows=min(MOST_VALIDATION, validation or kept),
        general_rows=more,
        tokens=found.tokens,
        rows_cut=found.truncated,
        packed_rows=found.packed_rows,
        steps_per_epoch=found.steps_per_epoch,
        steps=steps,
        warmup_steps=warmup(spec, steps),
        longest=max(counts, default=0),
        exact=exact,
        steps_low=fewest,
        steps_high=most,
    )


def _steps(spec: FinetuneSpec, per_epoch: int, rows: int) -> int:
    steps = math.ceil(per_epoch * spec.epochs - 1e-9) if rows > 0 else 0
    return min(steps, spec.max_steps) if spec.max_steps else steps


def _like(counts: Counter[int], rows: int) -> Counter[int]:
    """So many rows, of each length the same part as in ``counts``; what rounding leaves goes to the lengths that lost most."""
    total = counts.total()
    if not total or rows <= 0:
        return Counter()
    parts = {tokens: divmod(number * rows, total) for tokens, number in counts.items()}
    found = Counter({tokens: whole for tokens, (whole, _rest) in parts.items()})
    for tokens in sorted(parts, key=lambda tokens: (-parts[tokens][1], tokens))[: rows - found.total()]:
        found[tokens] += 1
    return +found


def _doubt(counts: Counter[int], number: int) -> float:
    """By what part the mean length of ``number`` rows of this kind may be another one."""
    total = counts.total()
    if not total or number <= 0:
        return 0.0
    mean = sum(tokens * rows for tokens, rows in counts.items()) / total
    spread = math.sqrt(sum(rows * (tokens - mean) ** 2 for tokens, rows in counts.items()) / total)
    return min(0.5, SIGMAS * spread / max(1.0, mean) / math.sqrt(number))


def _stretched(counts: Counter[int], part: float, sign: int) -> Counter[int]:
    """``counts`` with every row longer or shorter by ``part``."""
    found: Counter[int] = Counter()
    for tokens, rows in counts.items():
        found[max(1, round(tokens * (1 + sign * part)))] += rows
    return found


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


def long_enough(counts: Counter[int] | None) -> int:
    """Tokens that 99 of 100 rows have at most, rounded up to a multiple of 64; 0 where there are none."""
    total, seen = sum((counts or {}).values()), 0
    for tokens, number in sorted((counts or {}).items()):
        seen += number
        if seen >= 0.99 * total:
            return 64 * math.ceil(tokens / 64)
    return 0
