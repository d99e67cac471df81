"""What became of the rows between two versions: which were added, which removed, and which of these belong together.

Rows are compared by 64-bit sums of their lines, so a million of them are a few megabytes and a second; only what differs
is read. A removed row and an added one are *a change* where they ask the same, or stand at the same place between rows that
stayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson
import xxhash

from backend.data.rows import Row
from backend.data.versions import Version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indexes = NDArray[np.int64]

PAIR_LIMIT = 100_000
"""Where more rows than this differ on a side, they are paired by their place alone: to ask what they say would take long."""


@dataclass(frozen=True)
class Change:
    """One row that differs; ``before`` and ``after`` are indexes from 0 into the older and the newer version."""

    kind: Literal["added", "removed", "changed"]
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Diff:
    """same: rows that both have. The changes come in the order of the newer version, each removed row where it had been."""

    same: int
    added: int
    removed: int
    changed: int
    _before: Indexes
    _after: Indexes

    def __len__(self) -> int:
        return len(self._before)

    def changes(self, start: int, stop: int) -> list[Change]:
        """Some of the changes."""
        return [_change(int(a), int(b)) for a, b in zip(self._before[start:stop], self._after[start:stop], strict=True)]


def diff(older: Version, newer: Version) -> Diff:
    """From ``older`` to ``newer``, which may be versions of different datasets.

    Raises:
        DataError: ``dataset_damaged``.
    """
    import numpy as np

    a, b = _keys(older), _keys(newer)
    order = np.argsort(b)
    at = np.searchsorted(b[order], a)
    at[at == len(b)] = 0
    partner = order[at] if len(b) else np.zeros(len(a), np.int64)
    found = b[partner] == a if len(b) else np.zeros(len(a), bool)
    partner = np.where(found, partner, -1)
    gone = np.flatnonzero(~found)
    stays = np.zeros(len(b), bool)
    stays[partner[found]] = True
    new = np.flatnonzero(~stays)

    twin = np.full(len(a), -1, np.int64)
    taken = np.zeros(len(b), bool)
    if 0 < len(gone) <= PAIR_LIMIT and 0 < len(new) <= PAIR_LIMIT:
        asked: dict[int, list[int]] = {}
        for index in new[::-1]:
            asked.setdefault(_question(newer, int(index)), []).append(int(index))
        for index in gone:
            waiting = asked.get(_question(older, int(index)))
            if waiting:
                twin[index] = waiting.pop()
                taken[twin[index]] = True
    # Which row stays before a removed one, told as its index in the newer version: its place there.
    before = _last(partner, gone)
    here = _last(np.where(stays, np.arange(len(b)), -1), new)
    places: dict[int, list[int]] = {}
    for index, place in zip(new[::-1], here[::-1], strict=True):
        if not taken[index]:
            places.setdefault(int(place), []).append(int(index))
    for index, place in zip(gone, before, strict=True):
        waiting = places.get(int(place))
        if twin[index] < 0 and waiting:
            twin[index] = waiting.pop()
            taken[twin[index]] = True

    before = _last(np.where(twin >= 0, twin, partner), gone)
    pairs = [(int(twin[index]), 1, int(index), int(twin[index])) for index in gone if twin[index] >= 0]
    alone = [(int(place), 2, int(index), -1) for index, place in zip(gone, before, strict=True) if twin[index] < 0]
    added = [(int(index), 1, -1, int(index)) for index in new if not taken[index]]
    told = sorted([*pairs, *alone, *added])
    return Diff(
        same=int(found.sum()),
        added=len(added),
        removed=len(alone),
        changed=len(pairs),
        _before=np.array([entry[2] for entry in told], np.int64),
        _after=np.array([entry[3] for entry in told], np.int64),
    )


def _change(before: int, after: int) -> Change:
    if before < 0:
        return Change("added", None, after)
    if after < 0:
        return Change("removed", before, None)
    return Change("changed", before, after)


def _keys(version: Version) -> NDArray[np.uint64]:
    """A number for each row: equal lines have equal ones, and so have the n-th copies of equal lines, not the first and second."""
    import numpy as np

    sums = np.fromiter(map(xxhash.xxh3_64_intdigest, version.lines()), np.uint64, len(version))
    order = np.argsort(sums, kind="stable")
    first = np.searchsorted(sums[order], sums[order])
    copy = np.empty(len(sums), np.uint64)
    copy[order] = (np.arange(len(sums)) - first).astype(np.uint64)
    keys: NDArray[np.uint64] = sums + copy * np.uint64(0x9E3779B97F4A7C15)
    return keys


def _last(partner: Indexes, wanted: Indexes) -> Indexes:
    """For each of ``wanted`` the newest entry of ``partner`` that is not -1 and stands before it."""
    import numpy as np

    seen = np.maximum.accumulate(np.where(partner >= 0, np.arange(len(partner)), -1)) if len(partner) else partner
    at = seen[wanted] if len(wanted) else wanted
    return np.where(at >= 0, partner[at], -1) if len(partner) else wanted


def _question(version: Version, index: int) -> int:
    row: Row = version[index]
    said = [message["content"] for message in row["messages"] if message["role"] in ("system", "user")]
    return xxhash.xxh3_64_intdigest(orjson.dumps(said))
