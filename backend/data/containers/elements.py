"""Where the elements of a JSON array end, found without parsing it: exact, by the megabyte, in memory for one element.

All brackets, commas and quotation marks of a chunk are found at once (numpy); a running parity of the quotation marks that are
not escaped says which stand inside a text, a running sum of the brackets says how deep the rest stand. What is between two
commas at depth 0 is an element, whatever it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

QUOTE, BACKSLASH, COMMA = 34, 92, 44
_MARKS = np.zeros(256, dtype=bool)
_MARKS[[ord(c) for c in '"{}[],']] = True
_STEP = np.zeros(256, dtype=np.int64)
_STEP[[ord("{"), ord("[")]] = 1
_STEP[[ord("}"), ord("]")]] = -1


class Cuts(NamedTuple):
    """Offsets in a chunk. ``commas``: between elements. ``end``: of the bracket that ends the array, or None. ``closed``: where a
    bracket returned to depth 0 (elements that follow each other without a comma)."""

    commas: list[int]
    end: int | None
    closed: list[int]


class Scanner:
    """Where elements end, chunk after chunk; feed it everything after the array's opening bracket."""

    def __init__(self) -> None:
        self.depth = 0
        self.inside = False
        self._escape = False

    def scan(self, chunk: bytes) -> Cuts:
        """The cuts in the next ``chunk``; nothing counts after the end of the array."""
        codes = np.frombuffer(chunk, dtype=np.uint8)
        marks = _MARKS[codes]
        if self._escape or b"\\" in chunk:
            escaped = self._escaped(codes)
            marks[escaped] = False
        at = np.flatnonzero(marks)
        kinds = codes[at]
        quotes = kinds == QUOTE
        parity = np.cumsum(quotes) + self.inside
        outside = ~quotes & (parity % 2 == 0)
        self.inside = bool(parity[-1] % 2) if len(parity) else self.inside
        at, kinds = at[outside], kinds[outside]
        depth = np.cumsum(_STEP[kinds]) + self.depth
        over = np.flatnonzero(depth < 0)
        end = None
        if len(over):
            end = int(at[over[0]])
            at, kinds, depth = at[: over[0]], kinds[: over[0]], depth[: over[0]]
        self.depth = int(depth[-1]) if len(depth) else self.depth
        ground = depth == 0
        commas = kinds == COMMA
        return Cuts(at[ground & commas].tolist(), end, at[ground & ~commas].tolist())

    def _escaped(self, codes: np.ndarray) -> np.ndarray:
        """Offsets of characters after an odd number of backslashes."""
        carried, self._escape = self._escape, False
        slashes = np.flatnonzero(codes == BACKSLASH)
        if not len(slashes):
            return np.zeros(min(1, len(codes)) if carried else 0, dtype=np.int64)
        breaks = np.flatnonzero(np.diff(slashes) != 1)
        starts = slashes[np.concatenate(([0], breaks + 1))]
        ends = slashes[np.concatenate((breaks, [len(slashes) - 1]))] + 1
        lengths = ends - starts
        first = np.zeros(0, dtype=np.int64)
        if carried:
            if starts[0] == 0:
                lengths[0] += 1
            else:
                first = np.zeros(1, dtype=np.int64)
        escaped = ends[lengths % 2 == 1]
        if len(escaped) and escaped[-1] == len(codes):
            self._escape = True
            escaped = escaped[:-1]
        return np.concatenate((first, escaped))
