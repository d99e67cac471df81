"""From what was measured of each model to the figures of the report card, with how sure they are.

Perplexity is the exponential of the mean loss per token. The divergence is Kullback and Leibler's (1951), of the next token's
distribution from the base's, in nats per token: 0 where both foresee the same. Both come from the same tokens, those of the
answers in rows that no model learned from. Rows are drawn for the intervals, not tokens, and in pairs where two models are
compared; shares of questions have Wilson's and Newcombe's (:mod:`backend.finetune.intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, isfinite
from typing import Any

from backend.catalog import ModelCard, weights_bytes
from backend.errors import PanelError
from backend.finetune import intervals
from backend.i18n import N_
from backend.quantize.report_records import UNITS, Cell, Heard, Raw, Serving, Speed

AS_FLOATS = PanelError(
    "report_as_floats",
    N_("Measured with its weights taken back to plain numbers: what a GPU that serves it would compute with."),
)
NOT_ASKED = PanelError(
    "report_not_asked", N_("It was not to be measured."), N_("Make another report card with this switched on.")
)
OTHER_TOKENS = PanelError(
    "report_other_tokens",
    N_("It cuts text into other tokens than the base, so the two cannot be compared token by token."),
    N_("Compare it by the score and by the answers side by side."),
)
WEIGHTS_ALONE = PanelError(
    "report_weights_alone", N_("Its weights alone; what serves it needs more, and that was not measured here.")
)
SERVED = ("load_s", "memory_steady_bytes", "memory_peak_bytes", "ttft_s", "tokens_s", "tokens_s_many")
READ, COMPARED = ("perplexity",), ("divergence", "agreement")
HEARD = ("first_tokens", "score")
Told = Sequence[bool | None]


def cells(
    card: ModelCard, raw: Raw, base: Raw, size: int, right: Told, base_right: Told, people: int
) -> tuple[Cell, ...]:
    """All figures of the model of ``card`` that are known by now. raw: what was measured of it. base: of the base, which is
    the same object where it is that itself. size: bytes of all files that it takes. right, base_right: whether each of the
    answers was right. people: at once in the second load."""
    itself = raw is base
    found = [_cell("size_bytes", float(size), n=1)]
    found += _served(card, raw, people)
    found += _read(raw, base, itself)
    found += _heard(raw, base, right, base_right, itself)
    return tuple(found)


def against(cell: Cell, base: Cell | None) -> Cell:
    """``cell`` with how far it is from the base's, as a share of that; one that has a change already keeps it."""
    if cell.change is not None or cell.value is None or base is None or not base.value or cell.name in COMPARED + HEARD:
        return cell
    if cell.source != base.source or cell.name == "perplexity":
        return cell
    return replace(cell, change=cell.value / base.value - 1)


def mean(values: Sequence[float], tokens: Sequence[int]) -> intervals.Interval | None:
    """The interval of the mean per token of what was summed over rows."""
    return intervals.per_token([0.0] * len(values), values, tokens)


def _served(card: ModelCard, raw: Raw, people: int) -> list[Cell]:
    problem = raw.problems.get("serve")
    if raw.serving is None:
        if problem is None:
            return []
        return [_memory_of_weights(card) or _cannot(name, problem) if name == SERVED[1] else _cannot(name, problem) for name in SERVED]  # fmt: skip
    serving = raw.serving
    found = [_cell("load_s", serving.load_s, n=1)]
    for name, value in (("memory_steady_bytes", serving.steady), ("memory_peak_bytes", serving.peak)):
        found.append(_cell(name, value, n=1) if value else _cannot(name, problem or NOT_ASKED.to_dict()))
    one, many = _speed(serving, 1), _speed(serving, people)
    for name, speed in (("ttft_s", one), ("tokens_s", one), ("tokens_s_many", many)):
        found.append(_timed(name, speed) if speed is not None else _cannot(name, problem or NOT_ASKED.to_dict()))
    return found


def _speed(serving: Serving, people: int) -> Speed | None:
    return next((one for one in serving.speeds if one.people == people and one.n), None)


def _timed(name: str, speed: Speed) -> Cell:
    if name == "ttft_s":
        return _cell(name, speed.ttft_s, low=speed.ttft_low, high=speed.ttft_high, n=speed.n)
    return _cell(name, speed.tokens_s, low=speed.tokens_low, high=speed.tokens_high, n=speed.n)


def _memory_of_weights(card: ModelCard) -> Cell | None:
    weights = weights_bytes(card.served)
    if weights is None and card.served.tensor_bytes:
        return _cell(SERVED[1], float(card.served.tensor_bytes), source="estimated", note=WEIGHTS_ALONE.to_dict())
    if weights is None:
        return None
    return _cell(SERVED[1], float(weights.bytes), source="estimated", note=WEIGHTS_ALONE.to_dict())


def _read(raw: Raw, base: Raw, itself: bool) -> list[Cell]:
    problem = raw.problems.get("read")
    if raw.losses is None or raw.tokens is None:
        names = READ if itself else READ + COMPARED
        return [_cannot(name, problem) for name in names] if problem is not None else []
    note = AS_FLOATS.to_dict() if raw.way == "as_floats" else None
    alike = raw.tokens == base.tokens and raw.divergences is not None
    found = [_perplexity(raw, base if alike and not itself else None, note)]
    if itself:
        return found
    if raw.divergences is None or raw.same is None or not alike:
        return found + [_cannot(name, problem or OTHER_TOKENS.to_dict()) for name in COMPARED]
    total = sum(raw.tokens)
    if not isfinite(sum(raw.divergences)):
        return found + [_cannot(name, _NOT_A_NUMBER.to_dict()) for name in COMPARED]
    low, high = mean(raw.divergences, raw.tokens) or (None, None)
    # What is rounded away lies below nothing.
    low = max(0.0, low) if low is not None else None
    found.append(
        _cell("divergence", max(0.0, sum(raw.divergences) / total), low=low, high=high, n=len(raw.tokens), note=note)
    )
    low, high = _agreement(raw.same, raw.tokens) or (None, None)
    found.append(_cell("agreement", sum(raw.same) / total, low=low, high=high, n=len(raw.tokens), note=note))
    return found


def _perplexity(raw: Raw, base: Raw | None, note: dict[str, Any] | None) -> Cell:
    assert raw.losses is not None
    assert raw.tokens is not None
    total = sum(raw.tokens)
    if not isfinite(sum(raw.losses)):
        return _cannot("perplexity", _NOT_A_NUMBER.to_dict())
    interval = mean(raw.losses, raw.tokens)
    low, high = map(_exp, interval) if interval else (None, None)
    cell = _cell("perplexity", _exp(sum(raw.losses) / total), low=low, high=high, n=len(raw.tokens), note=note)
    if base is None or base.losses is None:
        return cell
    pair = intervals.per_token(base.losses, raw.losses, raw.tokens)
    change = _exp((sum(raw.losses) - sum(base.losses)) / total) - 1
    if pair is None:
        return replace(cell, change=change)
    return replace(cell, change=change, change_low=_exp(pair[0]) - 1, change_high=_exp(pair[1]) - 1)


def _agreement(same: Sequence[int], tokens: Sequence[int]) -> intervals.Interval | None:
    """Of the share of tokens; where all are the same, no draw of rows would show another, and each row counts once."""
    if sum(same) == sum(tokens):
        return intervals.wilson(len(tokens), len(tokens)) if len(tokens) >= intervals.LEAST_ROWS else None
    found = mean([float(one) for one in same], tokens)
    return (max(0.0, found[0]), min(1.0, found[1])) if found else None


def _heard(raw: Raw, base: Raw, right: Told, base_right: Told, itself: bool) -> list[Cell]:
    problem = raw.problems.get("ask")
    if raw.heard is None:
        names = HEARD[1:] if itself else HEARD
        return [_cannot(name, problem) for name in names] if problem is not None else []
    note = AS_FLOATS.to_dict() if raw.way == "as_floats" else None
    found = []
    if not itself:
        found.append(_first_tokens(raw.heard, base.heard or [], raw.tokens == base.tokens, note))
    found.append(_score(right, None if itself else base_right, note))
    return found


def _first_tokens(
    heard: Sequence[Heard | None], base: Sequence[Heard | None], alike: bool, note: dict[str, Any] | None
) -> Cell:
    pairs = [(one, other) for one, other in zip(heard, base, strict=False) if one is not None and other is not None]
    if not alike or not pairs:
        return _cannot("first_tokens", (OTHER_TOKENS if not alike else NOT_ASKED).to_dict())
    same = sum(one.first == other.first for one, other in pairs)
    low, high = intervals.wilson(same, len(pairs))
    return _cell("first_tokens", same / len(pairs), low=low, high=high, n=len(pairs), note=note)


def _score(right: Told, base_right: Told | None, note: dict[str, Any] | None) -> Cell:
    told = [one for one in right if one is not None]
    if not told:
        return _cannot("score", _NOTHING_TOLD.to_dict() if right else NOT_ASKED.to_dict())
    low, high = intervals.wilson(sum(told), len(told))
    cell = _cell("score", sum(told) / len(told), low=low, high=high, n=len(told), note=note)
    pairs = [(a, b) for a, b in zip(base_right or (), right, strict=False) if a is not None and b is not None]
    if not pairs:
        return cell
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    base, other = pairs.count((True, False)), pairs.count((False, True))
    low, high = intervals.paired(both, base, other, neither)
    return replace(cell, change=(other - base) / len(pairs), change_low=low, change_high=high)


_NOTHING_TOLD = PanelError(
    "report_nothing_told",
    N_("None of the questions has an answer that can be checked by itself."),
    N_("Read some of the answers side by side."),
)


def _exp(value: float) -> float:
    return exp(value) if value < 700 else float("inf")


def _cell(name: str, value: float | None, **more: Any) -> Cell:
    if value is not None and not isfinite(value):
        return _cannot(name, _NOT_A_NUMBER.to_dict())
    return Cell(name, value, UNITS.get(name, ""), **more)


_NOT_A_NUMBER = PanelError(
    "report_not_a_number",
    N_("It computes no numbers (NaN or infinity): its weights are damaged, or too small numbers were cut off."),
    N_("Do not use it. Make the copy again with another method, or with more bits."),
)


def _cannot(name: str, reason: dict[str, Any] | None) -> Cell:
    return Cell(name, unit=UNITS.get(name, ""), source="cannot", reason=reason)
