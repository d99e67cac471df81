"""Several datasets in one, so much of each; one dataset balanced; a sample of one: all are a choice of rows by weights and a seed.

What is chosen of a set keeps its order, the sets are shuffled into one another, and everything is read from front to back:
any size takes the memory of a few bytes a row. A row that does not say where it comes from (``meta.source``) says so afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from backend.data import traits
from backend.data.rows import Row
from backend.errors import DataError
from backend.i18n import N_


class Rows(Protocol):
    """Rows that can be read several times: a version, or what a step makes of one. dataset: the name of their set."""

    dataset: str

    def __iter__(self) -> Iterator[Row]: ...
    def __len__(self) -> int: ...


Weighted = Sequence[tuple[Rows, float]]
Tick = Callable[[int], None]
Chosen = npt.NDArray[np.int64]
"""How often each row of a set is taken."""
_TICK = 2_000


@dataclass(frozen=True)
class Shares:
    """What a mix would hold. rows: of each set, in the order they were given. there: rows that each set offers. most: of a
    mix in which no row stands twice."""

    rows: list[int]
    there: list[int]
    most: int

    @property
    def total(self) -> int:
        return sum(self.rows)

    @property
    def repeated(self) -> list[int]:
        """Places of the sets whose rows stand there more than once."""
        return [place for place, rows in enumerate(self.rows) if rows > self.there[place]]


def shares(
    sizes: Sequence[int],
    weights: Sequence[float],
    size: int | None = None,
    *,
    repeat: bool = False,
    names: Sequence[str] = (),
) -> Shares:
    """How many rows of each set a mix takes, by the weights to within one row.

    Args:
        sizes: rows that each set offers.
        size: of the mix; None: as much as there is without taking a row twice.
        repeat: whether a set that is too small for its weight is taken several times.
        names: of the sets, for what is said; default: their numbers.

    Raises:
        DataError: ``mix_empty``, ``mix_weights``; ``mix_not_enough``: a set is too small, and nothing may be repeated.
    """
    if not sizes or not any(sizes):
        raise DataError("mix_empty", N_("There are no rows to choose from."), N_("Choose a dataset that holds rows."))
    array = np.asarray(weights, float)
    if len(array) != len(sizes) or not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise DataError(
            "mix_weights",
            N_("The weights {weights} do not fit: one number for each dataset, none below 0, not all 0."),
            N_("A weight of 2 beside 1 means twice as many rows."),
            weights=", ".join(f"{weight:g}" for weight in weights) or "-",
        )
    array = array / array.max()  # of which the sum is finite, however large the weights are
    part = array / array.sum()
    # The smallest of what each set allows; a hair more, so that 300 / 0.3 is 1000. Python's division, whose inf is no limit.
    most = int(min(there / share for there, share in zip(sizes, part.tolist(), strict=True) if share > 0) + 1e-6)
    if size is None:
        size = most
    rows = _rounded(size, part)
    found = Shares(rows, list(sizes), most)
    short = found.repeated
    if any(not sizes[place] for place in short) or (short and not repeat):
        place = short[0]
        raise DataError(
            "mix_not_enough",
            N_("A mix of {size} rows takes {needed} from '{dataset}', which offers {there}."),
            N_("Ask for at most {most} rows, lower its weight, or allow that its rows stand there several times."),
            size=size,
            needed=rows[place],
            dataset=names[place] if names else str(place + 1),
            there=sizes[place],
            most=most,
        )
    return found


def mix(
    parts: Weighted,
    size: int | None = None,
    seed: int = 0,
    balance_by: str = "",
    *,
    repeat: bool = False,
    tick: Tick | None = None,
) -> Iterator[Row]:
    """Rows of several versions by weight.

    Args:
        parts: versions and their weights; the same version may stand there once only.
        balance_by: take as many rows of each kind from each set; see :func:`backend.data.traits.trait`. Without a size only
            as many as the rarest kind has.
        size, repeat: see :func:`shares`.
        tick: called with the number of rows given, now and then; may raise to stop.

    Raises:
        DataError: see :func:`shares`; raised before the first row comes.
    """
    versions = [version for version, _weight in parts]
    kinds = [_kinds(version, balance_by) if balance_by else None for version in versions]
    offers = [
        len(version) if known is None or size is not None else _balanced_most(known)
        for version, known in zip(versions, kinds, strict=True)
    ]
    found = shares(
        offers,
        [weight for _version, weight in parts],
        size,
        repeat=repeat,
        names=[version.dataset for version in versions],
    )
    rng = np.random.default_rng(seed)
    taken = [
        _choose(rows, len(version), known, rng)
        for rows, version, known in zip(found.rows, versions, kinds, strict=True)
    ]
    order = rng.permutation(np.repeat(np.arange(len(versions), dtype=np.uint8), found.rows))
    return _interleaved(versions, taken, order, tick)


def sample(version: Rows, size: int, seed: int = 0, balance_by: str = "", **how: Tick | None) -> Iterator[Row]:
    """``size`` rows of ``version``, each at most once, in their order.

    Raises:
        DataError: ``mix_not_enough``, ``mix_empty``.
    """
    return mix([(version, 1.0)], size, seed, balance_by, tick=how.get("tick"))


def balance(version: Rows, by: str, seed: int = 0, **how: Tick | None) -> Iterator[Row]:
    """As many rows of each kind as the rarest has.

    Raises:
        DataError: ``mix_empty``.
    """
    return mix([(version, 1.0)], None, seed, by, tick=how.get("tick"))


def kind_counts(version: Rows, by: str) -> dict[str, int]:
    """How many rows of each kind there are."""
    counts: dict[str, int] = {}
    for row in version:
        kind = traits.trait(row, by)
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def named(row: Row, source: str) -> Row:
    """``row``, saying that it comes from ``source``; one that says where it comes from stays as it is."""
    meta: Mapping[str, object] = row.get("meta") or {}
    if meta.get("source") not in (None, ""):
        return row
    new: Row = {**row, "meta": {**meta, "source": source}}
    return new


def _rounded(size: int, part: npt.NDArray[np.float64]) -> list[int]:
    """``size`` by ``part`` in whole numbers that add up: the largest remainders get what is left."""
    exact = part * size
    rows = np.floor(exact + 1e-9).astype(int)
    left = size - int(rows.sum())
    order = np.argsort(-(exact - rows), kind="stable")
    rows[order[: max(0, left)]] += 1
    return [int(value) for value in rows]


def _kinds(version: Rows, by: str) -> Chosen:
    """A number for the kind of each row."""
    codes: dict[str, int] = {}
    found = (codes.setdefault(traits.trait(row, by), len(codes)) for row in version)
    return np.fromiter(found, np.int64, len(version))


def _balanced_most(kinds: Chosen) -> int:
    counts = np.bincount(kinds)
    return int(len(counts) * counts.min()) if len(counts) else 0


def _choose(rows: int, there: int, kinds: Chosen | None, rng: np.random.Generator) -> Chosen:
    """How often each of ``there`` rows is taken, ``rows`` in all: each kind as often as its number allows."""
    times = np.zeros(there, np.int64)
    if not rows:
        return times
    whole, rest = divmod(rows, there)
    times += whole
    if kinds is None:
        times[rng.permutation(there)[:rest]] += 1
        return times
    counts = np.bincount(kinds)
    if whole:
        times[:] = 0
        quota = _level(np.full(len(counts), rows), rows, rng)
    else:
        quota = _level(counts, rows, rng)
    for kind, wanted in enumerate(quota.tolist()):
        mine = rng.permutation(np.flatnonzero(kinds == kind))
        full, more = divmod(wanted, len(mine))
        times[mine] += full
        times[mine[:more]] += 1
    return times


def _level(counts: Chosen, rows: int, rng: np.random.Generator) -> Chosen:
    """``rows`` spread over kinds as evenly as ``counts`` allows."""
    quota = np.zeros(len(counts), np.int64)
    left = rows
    while left > 0:
        open_ = np.flatnonzero(quota < counts)
        each = left // len(open_)
        if not each:
            quota[rng.permutation(open_)[:left]] += 1
            break
        given = np.minimum(counts[open_] - quota[open_], each)
        quota[open_] += given
        left -= int(given.sum())
    return quota


def _interleaved(
    versions: Sequence[Rows], taken: Sequence[Chosen], order: npt.NDArray[np.uint8], tick: Tick | None
) -> Iterator[Row]:
    streams = [_taken(version, times) for version, times in zip(versions, taken, strict=True)]
    for count, place in enumerate(order.tolist(), 1):
        yield named(next(streams[place]), versions[place].dataset)
        if tick is not None and count % _TICK == 0:
            tick(count)


def _taken(version: Rows, times: Chosen) -> Iterator[Row]:
    for row, count in zip(version, times.tolist(), strict=True):
        for _again in range(count):
            yield row
