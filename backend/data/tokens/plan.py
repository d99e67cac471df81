"""What a training makes of a dataset, told before it begins: packed rows, iterations, optimizer steps, warm-up.

XTuner (0.2.0, mmengine 0.10.6): ``Packer`` joins rows of a batch of 1,000 and cuts them at the length limit, so that the rest of
the last batch is lost; an iteration is one batch, a step takes ``accumulation`` of them; a warm-up in parts of the training is
``int(ratio * epochs * iterations)``, and none at all kills it ("end should be larger than begin"). transformers' Trainer counts
steps, the last one of an epoch with what is left, and its warm-up is rounded up. Rows are joined there whole, never cut.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from backend.engines.xtuner_config import MIN_WARMUP_ITERATIONS
from backend.i18n import N_, _

PACKER_ROWS = 1_000
"""Rows that XTuner's Packer sees at once (the batch of ``datasets.map``)."""
FEW_STEPS = 10
MOST_EPOCHS = 1_000


@dataclass(frozen=True)
class Wish:
    """A training. max_length: tokens of a row, more is cut off. packing: short rows are joined up to that. batch_size: rows of
    one iteration on one GPU. warmup_ratio: the part of the training in which the learning rate rises."""

    engine: Literal["peft", "xtuner"] = "xtuner"
    max_length: int = 2048
    packing: bool = True
    batch_size: int = 1
    accumulation: int = 16
    epochs: int = 3
    gpus: int = 1
    warmup_ratio: float = 0.03


PROBLEMS = {
    "no_rows": N_("There is no row to train with: the split 'train' is empty, or the chat template refuses all rows."),
    "no_warmup": N_(
        "XTuner would stop at its start with “end should be larger than begin”: {ratio} % of {iterations} iterations is less "
        "than one iteration of warm-up."
    ),
    "short_warmup": N_(
        "A warm-up of a single iteration would leave the learning rate near zero for good: {ratio} % of {iterations} iterations."
    ),
    "few_steps": N_("Only {steps} optimizer steps: the model will have hardly learned anything."),
    "rest_lost": N_("{tokens} tokens at the end of the packed rows are left out, {share} % of all."),
}
"""What is wrong with a plan: code -> sentence. Of these, ``few_steps`` and ``rest_lost`` do not keep it from running."""
SETTINGS = {
    "epochs": N_("epochs: {value}"),
    "warmup_ratio_zero": N_("warm-up: none"),
    "packing": N_("packing: off"),
    "accumulation": N_("gradient accumulation: {value}"),
}


@dataclass(frozen=True)
class Setting:
    """A setting with which a plan runs: the same plan with one value changed."""

    name: str
    value: Any
    wish: Wish

    def words(self) -> str:
        name = "warmup_ratio_zero" if self.name == "warmup_ratio" else self.name
        return _(SETTINGS[name]).format(value=self.value)


@dataclass(frozen=True)
class Problem:
    """One of :data:`PROBLEMS`. fatal: the training cannot run. settings: each of them alone mends it, the mildest first."""

    code: str
    values: dict[str, Any]
    fatal: bool
    settings: tuple[Setting, ...] = ()

    def message(self) -> str:
        return _(PROBLEMS[self.code]).format(**self.values)


@dataclass(frozen=True)
class Forecast:
    """What a plan comes to. rows: of the split 'train'. tokens: of them, cut off at the limit. packed_rows: what the training
    sees as rows. iterations and steps: of the whole training, and of an epoch. warmup: in iterations (XTuner) or steps."""

    wish: Wish
    rows: int
    truncated: int
    tokens: int
    packed_rows: int
    iterations_per_epoch: int
    iterations: int
    steps_per_epoch: int
    steps: int
    warmup: int
    problems: tuple[Problem, ...]

    @property
    def runs(self) -> bool:
        return not any(problem.fatal for problem in self.problems)


def forecast(counts: Counter[int], wish: Wish, scale: float = 1.0) -> Forecast:
    """The plan ``wish`` for rows of these lengths (tokens -> rows). scale: rows of the dataset for each one of a sample."""
    found = _counted(counts, wish, scale)
    problems = list(_problems(found, counts, scale))
    return replace(found, problems=tuple(problems))


def _counted(counts: Counter[int], wish: Wish, scale: float) -> Forecast:
    rows = round(counts.total() * scale)
    cut = sum(n for tokens, n in counts.items() if tokens > wish.max_length)
    tokens = round(sum(min(length, wish.max_length) * n for length, n in counts.items()) * scale)
    packed = _packed(counts, wish, rows, tokens, scale)
    per_epoch = math.ceil(packed / (wish.batch_size * wish.gpus))
    iterations = per_epoch * wish.epochs
    if wish.engine == "xtuner":
        # mmengine also steps at the very last iteration, whatever is left of an accumulation.
        steps, per_epoch_steps = math.ceil(iterations / wish.accumulation), math.ceil(per_epoch / wish.accumulation)
        warmup = int(wish.warmup_ratio * iterations)
    else:
        per_epoch_steps = math.ceil(per_epoch / wish.accumulation)
        steps = per_epoch_steps * wish.epochs
        warmup = math.ceil(steps * wish.warmup_ratio)
    return Forecast(
        wish, rows, round(cut * scale), tokens, packed, per_epoch, iterations, per_epoch_steps, steps, warmup, ()
    )


def _packed(counts: Counter[int], wish: Wish, rows: int, tokens: int, scale: float) -> int:
    if not wish.packing or not rows:
        return rows
    if wish.engine == "xtuner":
        return xtuner_packed(rows, tokens, wish.max_length)
    return min(rows, max(1, round(_joined(counts, wish.max_length) * scale)))


def xtuner_packed(rows: int, tokens: int, most: int) -> int:
    """As ``Packer`` counts: each batch with what the last one left over; a batch that does not fill one row becomes one."""
    found, left = 0, 0.0
    for begin in range(0, rows, PACKER_ROWS):
        left += tokens * min(PACKER_ROWS, rows - begin) / rows
        whole = int((left + 1e-6) // most)
        found += max(1, whole)
        left = left - whole * most if whole else 0.0
    return found


def _joined(counts: Counter[int], most: int) -> int:
    """How many rows come of joining whole ones (best fit, the longest first), each up to ``most`` tokens."""
    cut = Counter[int]()
    for tokens, n in counts.items():
        cut[min(tokens, most)] += n
    room: Counter[int] = Counter()  # tokens left -> joined rows with as much
    lefts: list[int] = []  # its keys, in order

    def put(left: int, rows: int) -> None:
        if rows and not room[left]:
            insort(lefts, left)
        room[left] += rows

    for length, wanted in sorted(cut.items(), reverse=True):
        while wanted:
            place = bisect_left(lefts, length)
            if place == len(lefts):
                each = most // max(1, length)  # as many of the same as one row holds
                full, rest = divmod(wanted, each)
                put(most - each * length, full)
                put(most - rest * length, bool(rest))
                break
            fits = lefts[place]
            # The fullest place that has room is filled before the next: what goes into one of them makes it fuller still.
            each = fits // max(1, length)
            places = min(room[fits], wanted // each)
            if not places:
                places, each = 1, wanted
            room[fits] -= places
            if not room[fits]:
                del lefts[place]
            put(fits - each * length, places)
            wanted -= places * each
    return room.total()


def _problems(found: Forecast, counts: Counter[int], scale: float) -> Iterator[Problem]:
    wish = found.wish
    if not found.rows:
        yield Problem("no_rows", {}, True)
        return
    if wish.engine == "xtuner" and wish.warmup_ratio > 0 and found.warmup < MIN_WARMUP_ITERATIONS:
        code = "no_warmup" if found.warmup < 1 else "short_warmup"
        values = {"ratio": f"{wish.warmup_ratio * 100:g}", "iterations": f"{found.iterations:,}"}
        yield Problem(code, values, True, _mending(found, counts, scale))
    elif found.steps < FEW_STEPS:
        more = replace(wish, epochs=math.ceil(FEW_STEPS / max(found.steps / wish.epochs, 1e-9)))
        settings = [Setting("epochs", more.epochs, more)] if more.epochs <= MOST_EPOCHS else []
        one = replace(wish, accumulation=1)
        if wish.accumulation > 1 and _counted(counts, one, scale).steps >= FEW_STEPS:
            settings.append(Setting("accumulation", 1, one))
        yield Problem("few_steps", {"steps": f"{found.steps:,}"}, False, tuple(settings))
    lost = found.tokens - found.packed_rows * wish.max_length
    if wish.engine == "xtuner" and wish.packing and lost > 0.05 * found.tokens:
        values = {"tokens": f"{lost:,}", "share": f"{lost / found.tokens * 100:.0f}"}
        off = replace(wish, packing=False)
        yield Problem("rest_lost", values, False, (Setting("packing", False, off),))


def _mending(found: Forecast, counts: Counter[int], scale: float) -> tuple[Setting, ...]:
    """Settings with which the warm-up has enough iterations; each was tried."""
    wish = found.wish
    least = math.ceil(MIN_WARMUP_ITERATIONS / (wish.warmup_ratio * max(1, found.iterations_per_epoch)) - 1e-9)
    tried: Sequence[Setting] = (
        Setting("packing", False, replace(wish, packing=False)),
        # One more where rounding down takes what was just enough.
        *(Setting("epochs", n, replace(wish, epochs=n)) for n in (least, least + 1) if n <= MOST_EPOCHS),
        Setting("warmup_ratio", 0.0, replace(wish, warmup_ratio=0.0)),
    )
    taken: dict[str, Setting] = {}
    for one in tried:
        made = _counted(counts, one.wish, scale)
        if one.wish != wish and (one.wish.warmup_ratio == 0 or made.warmup >= MIN_WARMUP_ITERATIONS):
            taken.setdefault(one.name, one)
    return tuple(taken.values())
