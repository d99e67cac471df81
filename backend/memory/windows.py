"""A window of the past as a grid of cells, from the blocks of the tier that fits it and the seconds since the last block."""

from __future__ import annotations

import math
import sqlite3
import zlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from backend.memory.compaction import unpack_second
from backend.memory.sample import Series, SeriesKey, Window
from backend.memory.tiers import TIERS, Tier

if TYPE_CHECKING:
    import numpy as np

    Cells = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MOST_POINTS = 10_000
SLACK = 0.05
"""A window that is a trifle longer than it was meant to be is not drawn with half the points."""


def read(db: sqlite3.Connection, start: float, end: float, points: int, keys: Collection[SeriesKey] | None) -> Window:
    """See :meth:`backend.memory.series.MemoryStore.window`."""
    points = max(1, min(points, MOST_POINTS))
    end = max(end, start + 1)
    tier = choose(db, start, (end - start) / points)
    step = tier.step * max(1, math.ceil((end - start) / points / tier.step - SLACK))
    # On a grid of its own, not from ``start``: the same second falls into the same cell in every window of this width.
    first = math.floor(start / step) * step
    count = max(1, math.ceil((end - first) / step))
    names = names_of(db, tier, first, first + count * step, keys)
    grid = _Grid(tier, first, count * step // tier.step, sorted(names))
    grid.read_blocks(db)
    grid.read_tail(db)
    series = {names[number]: found for number, found in grid.series(step // tier.step)}
    return Window(float(first), float(first + count * step), float(step), series)


def choose(db: sqlite3.Connection, start: float, wanted: float) -> Tier:
    """The widest tier that is not too coarse, among those that reach back to ``start`` or to the beginning."""
    row = db.execute("SELECT value FROM meta WHERE key = 'began'").fetchone()
    since = max(start, float(row[0])) if row else start
    fitting = [tier for tier in TIERS if tier.step <= wanted] or [TIERS[0]]
    coarser = TIERS[len(fitting) :]
    for tier in (*reversed(fitting), *coarser):
        oldest = db.execute("SELECT min(start) FROM blocks WHERE step = ?", (tier.step,)).fetchone()[0]
        if oldest is None or oldest <= since:
            return tier
    return TIERS[-1]


def names_of(
    db: sqlite3.Connection, tier: Tier, start: float, end: float, keys: Collection[SeriesKey] | None
) -> dict[int, SeriesKey]:
    """number -> name of the series among ``keys`` (None: all) that have something between ``start`` and ``end``."""
    known = {
        row[0]: SeriesKey(row[1], row[2], row[3]) for row in db.execute("SELECT id, place, name, subject FROM series")
    }
    if keys is not None:
        wanted = set(keys)
        return {number: key for number, key in known.items() if key in wanted}
    here = {
        row[0]
        for row in db.execute(
            "SELECT DISTINCT series FROM blocks WHERE step = ? AND start > ? AND start < ?",
            (tier.step, start - tier.span, end),
        )
    }
    for (data,) in db.execute("SELECT data FROM tail WHERE t >= ? AND t < ?", (start, end)):
        here.update(unpack_second(data)[0])
    return {number: known[number] for number in here if number in known}


class _Grid:
    """Cells of one tier: three arrays (mean, low, high) of shape (series, cells), NaN where nothing is."""

    def __init__(self, tier: Tier, first: int, cells: int, numbers: list[int]) -> None:
        import numpy as np

        self.tier, self.first, self.cells, self.numbers = tier, first, cells, numbers
        self.place = {number: place for place, number in enumerate(numbers)}
        self.mean, self.low, self.high = (np.full((len(numbers), cells), np.nan) for _ in range(3))

    def read_blocks(self, db: sqlite3.Connection) -> None:
        import numpy as np

        tier, end = self.tier, self.first + self.cells * self.tier.step
        count = tier.rows * tier.cells
        # Few series: each by its own; many: all of that time at once.
        for number in self.numbers:
            for start, data in db.execute(
                "SELECT start, data FROM blocks WHERE step = ? AND series = ? AND start > ? AND start < ?",
                (tier.step, number, self.first - tier.span, end),
            ):
                try:
                    planes = np.frombuffer(zlib.decompress(data), np.uint8)
                except zlib.error:
                    continue  # a bit fell over: a gap
                if len(planes) != 4 * count:
                    continue
                block = np.ascontiguousarray(planes.reshape(4, count).T).view("<f4").reshape(tier.rows, tier.cells)
                at = (start - self.first) // tier.step
                here = slice(max(0, at), min(self.cells, at + tier.cells))
                there = slice(here.start - at, here.stop - at)
                row = self.place[number]
                self.mean[row, here] = block[0, there]
                if tier.rows == 3:
                    self.low[row, here], self.high[row, here] = block[1, there], block[2, there]
        if tier.rows == 1:
            self.low, self.high = self.mean.copy(), self.mean.copy()

    def read_tail(self, db: sqlite3.Connection) -> None:
        """The seconds of the tail into the cells that they fall into, beside what blocks say of those cells."""
        import numpy as np

        end = self.first + self.cells * self.tier.step
        found = [
            (t, np.frombuffer(data, np.int32, len(data) // 12), np.frombuffer(data, np.float64, -1, len(data) // 3))
            for t, data in db.execute("SELECT t, data FROM tail WHERE t >= ? AND t < ?", (self.first, end))
        ]
        if not found or not self.numbers:
            return
        numbers = np.concatenate([ids for _, ids, _ in found])
        values = np.concatenate([each for _, _, each in found])
        cells = np.repeat([(t - self.first) // self.tier.step for t, _, _ in found], [len(ids) for _, ids, _ in found])
        order = np.array(self.numbers)
        rows = np.minimum(np.searchsorted(order, numbers), len(order) - 1)
        ours = order[rows] == numbers
        at, values = (rows[ours], cells[ours]), values[ours]
        count, total = np.zeros(self.mean.shape), np.zeros(self.mean.shape)
        low, high = np.full(self.mean.shape, np.inf), np.full(self.mean.shape, -np.inf)
        np.add.at(count, at, 1)
        np.add.at(total, at, values)
        np.minimum.at(low, at, values)
        np.maximum.at(high, at, values)
        told = count > 0
        before = np.where(np.isnan(self.mean), 0, np.maximum(self.tier.step - count, 1))
        total += np.where(before > 0, np.nan_to_num(self.mean) * before, 0)
        self.mean[told] = (total / np.maximum(count + before, 1))[told]
        self.low[told] = np.fmin(self.low, low)[told]
        self.high[told] = np.fmax(self.high, high)[told]

    def series(self, ratio: int) -> list[tuple[int, Series]]:
        """Each series with ``ratio`` cells made one; those without a value are left out."""
        import numpy as np

        shape = (len(self.numbers), self.cells // ratio, ratio)
        known = ~np.isnan(self.mean).reshape(shape)
        count = known.sum(axis=2)
        total = np.nansum(self.mean.reshape(shape), axis=2)
        gap = count == 0
        mean = total / np.maximum(count, 1)
        low = np.where(known, self.low.reshape(shape), np.inf).min(axis=2)
        high = np.where(known, self.high.reshape(shape), -np.inf).max(axis=2)
        told = [_told(values, gap) for values in (mean, low, high)]
        return [
            (number, Series(*(tuple(values[row]) for values in told)))
            for row, number in enumerate(self.numbers)
            if not gap[row].all()
        ]


def _told(values: Cells, gap: Cells) -> list[list[float | None]]:
    """As Python's own numbers, None where nothing is."""
    found = values.astype(object)
    found[gap] = None
    told: list[list[float | None]] = found.tolist()
    return told
