"""How a series lies on disk: blocks of cells, in five widths of cell, each kept for its own time.

    width     a block holds    kept
    1 s       5 minutes        a day
    10 s      an hour          30 days
    1 min     6 hours          a year
    15 min    4 days           a year      so that a month is drawn from few blocks
    6 h       90 days          a year      so that a year is

A cell of 1 s is a value; a wider one is the mean, the lowest and the highest of its seconds, so a peak of one second is
still there after a year. A cell without a sample is NaN: a gap. Cells are 32-bit floats: of 80 GiB the last 8 KiB are lost.
A block's bytes are put plane by plane (first all first bytes, then all second ones) and deflated: neighbours are alike.

Pure Python: the recorder lives in the watcher, which stays small. Reading many blocks at once is in :mod:`windows`.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY = 86400
NAN = math.nan


@dataclass(frozen=True, slots=True)
class Tier:
    """step: seconds a cell. span: seconds a block. keep: seconds for which it is kept. rows: 1 (the value) or 3."""

    step: int
    span: int
    keep: int

    @property
    def cells(self) -> int:
        return self.span // self.step

    @property
    def rows(self) -> int:
        return 1 if self.step == 1 else 3


TIERS = (
    Tier(1, 300, DAY),
    Tier(10, 3600, 30 * DAY),
    Tier(60, 6 * 3600, 366 * DAY),
    Tier(900, 4 * DAY, 366 * DAY),
    Tier(6 * 3600, 90 * DAY, 366 * DAY),
)
SECOND, TEN, MINUTE, QUARTER, SHIFT = TIERS

Rows = list["array[float]"]
"""The rows of a block: ``[values]``, or ``[means, lows, highs]``."""


def empty(tier: Tier) -> Rows:
    """A block without a sample."""
    return [array("f", [NAN]) * tier.cells for _ in range(tier.rows)]


def pack(rows: Rows) -> bytes:
    """A block as it lies on disk."""
    raw = b"".join(row.tobytes() for row in rows)
    return zlib.compress(b"".join(raw[plane::4] for plane in range(4)), 2)


def unpack(data: bytes, tier: Tier) -> Rows:
    """What :func:`pack` was given.

    Raises:
        ValueError: it is not a block of this tier.
    """
    planes, count = zlib.decompress(data), tier.rows * tier.cells
    if len(planes) != 4 * count:
        raise ValueError(f"a block of {len(planes)} bytes, not {4 * count}")
    raw = bytearray(4 * count)
    for plane in range(4):
        raw[plane::4] = planes[plane * count : (plane + 1) * count]
    whole = array("f", bytes(raw))
    return [whole[row * tier.cells : (row + 1) * tier.cells] for row in range(tier.rows)]


def narrow(rows: Rows, ratio: int) -> list[tuple[float, float, float]]:
    """Every ``ratio`` cells of a block as one: (mean, low, high), NaN where all of them are."""
    means, lows, highs = rows if len(rows) == 3 else (rows[0], rows[0], rows[0])
    cells = []
    for at in range(0, len(means), ratio):
        known = [value for value in means[at : at + ratio] if value == value]
        if not known:
            cells.append((NAN, NAN, NAN))
            continue
        low = min(value for value in lows[at : at + ratio] if value == value)
        high = max(value for value in highs[at : at + ratio] if value == value)
        cells.append((math.fsum(known) / len(known), low, high))
    return cells


def put(rows: Rows, at: int, cells: Iterable[Sequence[float]]) -> None:
    """Write ``cells`` into a block from cell ``at`` on; a cell that says nothing leaves what is there."""
    for place, cell in enumerate(cells, at):
        if cell[0] == cell[0]:
            for row, value in zip(rows, cell, strict=True):
                row[place] = value
