"""Splitting a dataset into training, validation and test rows, so that no question is on two sides.

Rows that belong together (:mod:`backend.data.alike`) go to one part, as one block. Blocks are dealt the largest first, each to
the part that lacks most, in an order that the seed decides; where the parts are to be alike, one kind of rows after the other,
and what one kind left uneven the next one evens out. So every part gets its share to within the size of the largest block
(twice that, and per kind, where there are kinds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backend.data import alike, traits
from backend.data.alike import Numbers
from backend.data.rows import SPLITS, Row, split_of
from backend.errors import DataError
from backend.i18n import N_

DEFAULT = {"train": 0.8, "validation": 0.1, "test": 0.1}
SHOWN = 20
MOST_KINDS = 1_000
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Plan:
    """Which part each row goes to.

    parts: for each row its place in :data:`backend.data.rows.SPLITS`. groups: blocks of rows that stay together, single rows
    included. largest: rows of the largest one. kinds: rows of each part, for each kind that was to be spread evenly.
    """

    parts: np.typing.NDArray[np.uint8]
    groups: int
    largest: int
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each part."""
        return _counts(self.parts)


@dataclass(frozen=True)
class Leaks:
    """Questions that stand in several parts. groups: how many. rows: of these. examples: numbers of rows (from 1) by group."""

    groups: int
    rows: int
    examples: list[list[int]]


def checked(shares: Mapping[str, float]) -> dict[str, float]:
    """``shares`` of all three parts, as fractions of 1 that add up to 1; 80, 10, 10 is taken as 0.8, 0.1, 0.1.

    Raises:
        DataError: ``split_shares``.
    """
    unknown = set(shares) - set(SPLITS)
    found = {name: float(shares.get(name) or 0.0) for name in SPLITS}
    total = sum(found.values())
    bad = unknown or not np.isfinite(total) or min(found.values()) < 0 or total <= 0
    if not bad and not any(abs(total - whole) <= 0.005 * whole for whole in (1.0, 100.0)):
        bad = True
    if bad:
        raise DataError(
            "split_shares",
            N_("The shares {shares} do not add up to 100 %."),
            N_("Give the shares of train, validation and test, none below 0, that are 100 % together."),
            shares=", ".join(f"{name} {value:g}" for name, value in shares.items()) or "0",
        )
    return {name: value / total for name, value in found.items()}


def plan(
    rows: Iterable[Row],
    shares: Mapping[str, float],
    seed: int = 0,
    stratify: str = "",
    *,
    keep_test: bool = False,
    near: bool = True,
    tick: Tick | None = None,
) -> Plan:
    """Deal ``rows`` (read once).

    Args:
        shares: of ``train``, ``validation``, ``test``.
        stratify: spread the kinds of rows evenly; see :func:`backend.data.traits.trait`. Empty: do not.
        keep_test: rows that are test rows already stay so, and with them what belongs together with them.
        near: whether questions that are nearly the same belong together.
        tick: called with the number of rows read, now and then; may raise to stop.

    Raises:
        DataError: ``split_shares``; ``split_too_small``: fewer blocks of rows than parts that were asked for.
    """
    wanted = checked(shares)
    kinds: dict[str, int] = {}
    kind_of: list[int] = []
    held: list[bool] = []

    def seen() -> Iterator[Row]:
        for row in rows:
            kind_of.append(kinds.setdefault(traits.trait(row, stratify) if stratify else "", len(kinds)))
            held.append(keep_test and split_of(row) == "test")
            yield row

    root = alike.groups(seen(), near=near, tick=tick)
    if len(kinds) > MOST_KINDS:
        raise DataError(
            "split_kinds",
            N_("'{field}' has {kinds} different values in these rows: too many to spread each evenly."),
            N_("Choose a field that tells kinds of rows, such as a topic, not single rows."),
            field=stratify,
            kinds=len(kinds),
        )
    firsts, block_of, sizes = np.unique(root, return_inverse=True, return_counts=True)
    block_kind = np.asarray(kind_of, np.int64)[firsts] if len(firsts) else np.zeros(0, np.int64)
    block_held = np.zeros(len(firsts), bool)
    np.logical_or.at(block_held, block_of, np.asarray(held, bool))
    blocks = _deal(sizes, block_kind, block_held, [wanted[name] for name in SPLITS], seed)
    parts = blocks[block_of].astype(np.uint8)
    spread = {}
    if stratify:
        codes = np.asarray(kind_of, np.int64)
        spread = {name: _counts(parts[codes == code]) for name, code in kinds.items()}
    return Plan(parts, len(firsts), int(sizes.max(initial=0)), spread)


def split(
    rows: Iterable[Row], shares: Mapping[str, float], seed: int = 0, stratify: str = "", **how: Any
) -> Iterator[Row]:
    """``rows`` in their order, each with its part in ``meta.split``. They are read twice: a list or a version, no iterator.

    Raises:
        DataError: see :func:`plan`; raised before the first row comes.
    """
    found = plan(rows, shares, seed, stratify, **how)
    return apply(rows, found)


def apply(rows: Iterable[Row], found: Plan) -> Iterator[Row]:
    """``rows``, each in the part that ``found`` gives it."""
    for row, part in zip(rows, found.parts.tolist(), strict=True):
        yield traits.with_meta(row, "split", SPLITS[part])


def leaks(rows: Iterable[Row], *, near: bool = True, tick: Tick | None = None) -> Leaks:
    """Which questions of ``rows`` (read once) stand in several parts."""
    part_of: list[int] = []

    def seen() -> Iterator[Row]:
        for row in rows:
            part_of.append(SPLITS.index(split_of(row)))
            yield row

    root = alike.groups(seen(), near=near, tick=tick)
    if not len(root):
        return Leaks(0, 0, [])
    parts = np.asarray(part_of)
    low, high = np.full(len(root), len(SPLITS)), np.full(len(root), -1)
    np.minimum.at(low, root, parts)
    np.maximum.at(high, root, parts)
    torn = np.flatnonzero(high > low)
    inside = np.isin(root, torn)
    examples = [(np.flatnonzero(root == first) + 1)[:SHOWN].tolist() for first in torn[:SHOWN]]
    return Leaks(len(torn), int(inside.sum()), examples)


def _counts(parts: np.typing.NDArray[np.uint8]) -> dict[str, int]:
    found = np.bincount(parts, minlength=len(SPLITS))
    return {name: int(found[place]) for place, name in enumerate(SPLITS)}


def _deal(sizes: Numbers, kinds: Numbers, held: np.typing.NDArray[np.bool_], shares: list[float], seed: int) -> Numbers:
    """The part of each block."""
    count = len(sizes)
    asked = [part for part, share in enumerate(shares) if share > 0]
    out = np.full(count, SPLITS.index("test"))
    free = np.flatnonzero(~held)
    _refuse_too_few(count, len(free), bool(held.any()), asked)
    order = np.random.default_rng(seed).permutation(free)
    order = order[np.lexsort((-sizes[order], kinds[order]))]
    lacks = [0.0] * len(shares)
    kind = -1
    for block in order.tolist():
        if kinds[block] != kind:
            kind = int(kinds[block])
            of_kind = kinds == kind
            total, kept = int(sizes[of_kind].sum()), int(sizes[of_kind & held].sum())
            for part, rows in enumerate(_wanted(shares, total, kept)):
                lacks[part] += rows
        part = max(asked, key=lacks.__getitem__)
        out[block] = part
        lacks[part] -= float(sizes[block])
    return _filled(out, sizes, held, asked)


def _wanted(shares: list[float], total: int, kept: int) -> list[float]:
    """Rows that each part lacks of ``total``, of which ``kept`` are test rows already; where these are more than its share, the
    others share what is left."""
    test = SPLITS.index("test")
    if kept <= shares[test] * total:
        return [share * total - (kept if part == test else 0) for part, share in enumerate(shares)]
    others = sum(shares) - shares[test]
    if not others:
        return [total - kept if part == test else 0.0 for part in range(len(shares))]
    return [0.0 if part == test else share / others * (total - kept) for part, share in enumerate(shares)]


def _filled(out: Numbers, sizes: Numbers, held: np.typing.NDArray[np.bool_], asked: list[int]) -> Numbers:
    """``out`` with a block in every part that was asked for: from the part that has most of them, its smallest one."""
    for part in asked:
        if not len(out) or (out == part).any():
            continue
        givers = [
            other for other in asked if ((out == other) & ~held).sum() > (0 if ((out == other) & held).any() else 1)
        ]
        giver = max(givers, key=lambda other: int(sizes[out == other].sum()))
        mine = np.flatnonzero((out == giver) & ~held)
        out[mine[np.argmin(sizes[mine])]] = part
    return out


def _refuse_too_few(blocks: int, free: int, held: bool, asked: list[int]) -> None:
    needed = len([part for part in asked if not (held and SPLITS[part] == "test")])
    if not blocks or free >= needed:
        return
    raise DataError(
        "split_too_small",
        N_("{parts} parts need at least {needed} different questions; here are {groups} that may be dealt."),
        N_("Ask for fewer parts, or add rows. Rows that ask the same count as one: they must stay on one side."),
        parts=len(asked),
        needed=needed,
        groups=free,
    )
