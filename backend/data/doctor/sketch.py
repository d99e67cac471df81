"""Texts that are nearly the same, found without comparing each with each: MinHash over runs of 8 bytes, in numpy.

What is compared: the folded UTF-8 of a text (small letters, no blanks), as the set of its runs of 8 bytes (8 letters, or a
little less than 3 Chinese characters). Two texts are near when these sets overlap by ``NEAR`` (Jaccard). A row is sketched in
two pieces, what was asked (12 minima) and what was answered (8), 16 bits each: 40 bytes a row.

A long text is sampled: runs whose hash is below ``SAMPLE / length`` count, about ``SAMPLE`` of them whatever its length, and
nested, so that texts of nearly the same length keep the same runs. The hash that samples is not one of those that are minimised.

Candidates share a band: 3 minima of the question and, for near duplicates, 2 of the answer; there are 4 bands. So a pair is found
with 1 - (1 - q^3 a^2)^4, q and a being the overlaps: 0.9/0.9 in 97 of 100, 0.95/0.95 in 99.7, 1.0/0.9 in 99.9, at the threshold
itself, 0.8/0.8, in 80. Questions alone, from 0.9 on: in 99.5. Within a band each row is held against the first one only. What is
found is then compared exactly, so nothing below the threshold is reported (see ``together.CONFIRMED`` for the limit of that).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RUN = 8
ASKED, ANSWERED = 12, 8
WIDTH = ASKED + ANSWERED
BANDS = 4
NEAR = 0.8
NEAR_QUESTION = 0.9
"""Of questions alone, where a training row could give a test away. Higher than where a split keeps questions together
(:mod:`backend.data.alike`, an estimate around 0.8), so that the doctor does not accuse what a split has just made."""
SAMPLE = 96
MAX_BYTES = 100_000
"""A longer text is compared by its beginning."""
Array = npt.NDArray[Any]

_SPREAD, _AGAIN, _SHORT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint32(0x85EBCA6B)
_HALF = np.uint64(32)
_DRAWN = np.random.default_rng(1997)
_TIMES = _DRAWN.integers(1, 2**31, ASKED, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_PLUS = _DRAWN.integers(1, 2**32, ASKED, dtype=np.uint32)
_FOLD = bytes(b + 32 if 65 <= b <= 90 else b for b in range(256))
_BLANKS = b" \t\r\n\v\f"


def fold(text: str) -> bytes:
    """The UTF-8 of ``text`` without what makes no other text of it: case of Latin letters, and blanks."""
    return text.encode("utf-8", "replace").translate(_FOLD, _BLANKS)


def sketches(asked: Sequence[bytes], answered: Sequence[bytes]) -> Array:
    """(rows, WIDTH) uint16: the minima of each row; both sequences hold one folded text a row."""
    return np.concatenate([_minima(asked, ASKED), _minima(answered, ANSWERED)], axis=1)


def _minima(texts: Sequence[bytes], count: int) -> Array:
    # Zeros behind each text: no run holds bytes of two, and each text has one run at least.
    data = (b"\0" * RUN).join([*(text[:MAX_BYTES] for text in texts), b""])
    lengths = np.fromiter((min(len(text), MAX_BYTES) + RUN for text in texts), np.int64, len(texts))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    # Runs that do not reach into the zeros; of a text shorter than a run the only one.
    inside = np.maximum(lengths - 2 * RUN + 1, 1)
    runs: Array = np.ndarray((len(data) - RUN + 1,), "<u8", data, 0, (1,)) * _SPREAD
    limits = (np.minimum(SAMPLE / lengths, 1.0) * (2**32 - 1)).astype(np.uint32)
    spans = np.stack([inside, lengths - inside], axis=1)
    spans[-1, 1] -= RUN - 1
    most = np.repeat(np.stack([limits, np.zeros_like(limits)], axis=1).ravel(), spans.ravel())
    # Of a product the upper half depends on all of its factors' bits.
    kept = np.flatnonzero((runs >> _HALF).astype(np.uint32) <= most)
    # Behind each text stands one run of zeros alone, whose hash is 0: it is always kept, so no text has none.
    starts = np.searchsorted(kept, starts)
    runs = runs[kept]
    runs ^= runs >> _HALF
    few = ((runs * _AGAIN) >> _HALF).astype(np.uint32)
    out = np.empty((len(texts), count), np.uint16)
    for number in range(count):
        least = np.minimum.reduceat(few * _TIMES[number] + _PLUS[number], starts)
        out[:, number] = (least * _SHORT) >> np.uint32(16)
    return out


def question_bands(minima: Array) -> list[Array]:
    """For each band one uint64 a row: equal where its minima of the question are."""
    return [_joined(minima, [3 * band, 3 * band + 1, 3 * band + 2]) for band in range(BANDS)]


def row_bands(minima: Array) -> list[Array]:
    """For each band one uint64 a row: equal where its minima of question and answer are."""
    return [
        _joined(minima, [3 * band, 3 * band + 1, 3 * band + 2, ASKED + 2 * band, ASKED + 2 * band + 1])
        for band in range(BANDS)
    ]


def _joined(minima: Array, columns: list[int]) -> Array:
    key = minima[:, columns[0]].astype(np.uint64)
    for column in columns[1:]:
        key = key * _SPREAD + minima[:, column]
        key ^= key >> np.uint64(31)
    return key


def overlap(one: bytes, other: bytes) -> float:
    """The overlap of two folded texts, exactly: shared runs of 8 bytes by all of them (Jaccard). Two empty texts: 1."""
    if one == other:
        return 1.0
    a, b = _runs(one), _runs(other)
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def _runs(text: bytes) -> Array:
    data = text[:MAX_BYTES].ljust(RUN, b"\0")
    return np.unique(np.ndarray((len(data) - RUN + 1,), "<u8", data, 0, (1,)))
