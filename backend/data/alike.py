"""Which rows of a dataset belong together, so that a split never tears them apart: the same question, exactly or nearly, and
rows that were made from one piece of a document.

A question is all that is said before the last answer, with its pictures; of a longer conversation what the user says first is
one, too. Two are the same when they differ in case, blanks and punctuation alone. They are nearly the same when the sets of their runs of three characters overlap by three quarters (Jaccard),
told by MinHash: 48 minima a question, 12 bands of 4 (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4). The overlap
is an estimate, with a standard error of 0.06: pairs well above are found, those at the border by luck. It is
lower than the doctor's measure for near duplicates, so that no pair which that names is torn apart.

Covered: any order of rows, any number of them (about 250 bytes a row), chains (A like B, B like C). Not covered: questions
that mean the same in other words, or in another language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import xxhash

from backend.data.rows import Row, row_hash

HASHES, BANDS = 48, 12
RUN = 3
NEAR = 0.75
"""From this share of equal minima on, two questions are nearly the same."""
NEAR_FROM_CHARS = 12
"""A shorter question is compared exactly: one character more or less makes it another one."""
MAX_CHARS = 2_000
"""A longer question is compared by its beginning."""
BATCH = 512
_LOWER = bytes(range(256)).lower()
_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())
Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_NONE = np.uint64(0)


def question(row: Row) -> str:
    """What ``row`` asks: all that is said before its last answer, with its pictures. Where nothing is asked, the row itself."""
    turns = [message for message in row["messages"] if message["role"] != "system"]
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
    said = [part for turn in turns[:last] for part in (turn["content"], *(turn.get("images") or ())) if part]
    return "\n".join(said) or f"{row_hash(row):016x}"


def opening(row: Row) -> str:
    """What the user says first, with its pictures."""
    for message in row["messages"]:
        if message["role"] == "user":
            return "\n".join([message["content"], *(message.get("images") or ())])
    return ""


def same(text: str) -> str:
    """``text`` without what does not make another question of it: case, width, blanks, punctuation.

    A text of signs alone is kept as it is: ``?`` and ``!`` are two questions.
    """
    if text.isascii():  # the same, many times faster
        return text.encode().translate(_LOWER, _SIGNS).decode() or text.strip()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded)) or folded.strip()


def chunk(row: Row) -> str:
    """The piece of a document that ``row`` was made from; empty where it was made from none."""
    meta = row.get("meta") or {}
    piece = meta.get("chunk")
    return "" if piece is None or piece == "" else f"{meta.get('source', '')}\0{piece}"


def groups(rows: Iterable[Row], *, near: bool = True, tick: Callable[[int], None] | None = None) -> Numbers:
    """For each row the number of the first one that it belongs together with, its own where there is none.

    Args:
        rows: read once.
        near: whether questions that are nearly the same belong together.
        tick: called with the number of rows read, now and then; may raise to stop.
    """
    asked: list[Hashes] = []
    opened: list[Hashes] = []
    pieces: list[Hashes] = []
    minima: list[npt.NDArray[np.uint16]] = []
    read = 0
    for batch in _batches(rows):
        texts = [same(question(row)) for row in batch]
        asked.append(_hashes(texts))
        begun = [same(opening(row)) if len(row["messages"]) > 2 else "" for row in batch]
        # Many conversations begin with "Hello"; that makes them no more alike than any two.
        opened.append(_hashes([text if len(text) >= NEAR_FROM_CHARS else "" for text in begun]))
        pieces.append(_hashes([chunk(row) for row in batch]))
        if near:
            minima.append(_minima(texts))
        read += len(batch)
        if tick is not None:
            tick(read)
    if not asked:
        return np.zeros(0, np.int64)
    questions = np.concatenate([*asked, *opened])
    return _joined(read, [questions, np.concatenate(pieces)], np.concatenate(minima) if near else None)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _hashes(texts: list[str]) -> Hashes:
    """64 bits of each text; 0 for an empty one, which is like no other."""
    found = (xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) if text else 0 for text in texts)
    return np.fromiter(found, np.uint64, len(texts))


def _minima(texts: list[str]) -> npt.NDArray[np.uint16]:
    """(texts, HASHES): the minima of each text; all 0 for one that is too short to be nearly like another."""
    out = np.zeros((len(texts), HASHES), np.uint16)
    long = [place for place, text in enumerate(texts) if len(text) >= NEAR_FROM_CHARS]
    if not long:
        return out
    cut = [texts[place][:MAX_CHARS] for place in long]
    lengths = np.array([len(text) for text in cut])
    codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    count = len(codes) - RUN + 1
    runs = np.zeros(count, np.uint64)
    for place in range(RUN):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + count] + np.uint64(1)
    runs ^= runs >> np.uint64(29)
    ends = np.cumsum(lengths)
    # Runs that begin at the end of one text and reach into the next are of neither.
    across = (ends[:-1, None] - np.arange(1, RUN)).ravel()
    starts = np.concatenate([[0], ends[:-1]])
    found = np.empty((len(cut), HASHES), np.uint16)
    for number, (times, plus) in enumerate(zip(_TIMES, _PLUS, strict=True)):
        mixed = ((runs * times + plus) >> np.uint64(32)).astype(np.uint32)
        mixed[across] = np.uint32(0xFFFFFFFF)
        least = np.minimum.reduceat(mixed, starts)
        # The least of many numbers is a small one: only its own hash fills 16 bits.
        found[:, number] = (least * np.uint32(0x85EBCA6B)) >> np.uint32(16)
    out[long] = np.maximum(found, 1)
    return out


_DRAWN = np.random.default_rng(1997)
_TIMES = _DRAWN.integers(1, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_PLUS = _DRAWN.integers(0, 2**63, HASHES, dtype=np.uint64)


def _joined(count: int, keys: list[Hashes], minima: npt.NDArray[np.uint16] | None) -> Numbers:
    """The first row of each row's group: rows that share a key, or a band of minima and most of the minima, and on from those.

    A row may have several keys of one sort: one array then holds the first of each row, then the second.
    """
    pairs = [_pairs(key) % count for key in keys]
    if minima is not None:
        width = HASHES // BANDS
        for band in range(BANDS):
            part = minima[:, band * width : (band + 1) * width].astype(np.uint64)
            key = part[:, 0].copy()
            for column in range(1, width):
                key = key * np.uint64(0x9E3779B97F4A7C15) + part[:, column]
            key[part[:, 0] == 0] = _NONE
            pairs.append(_near(_pairs(key), minima))
    return _roots(count, np.concatenate(pairs))


def _pairs(key: Hashes) -> Numbers:
    """(pairs, 2): each row with the one before it, and with the first one, that has the same key."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    here = np.flatnonzero(~begins & (ordered != _NONE))
    before = np.stack([order[here], order[here - 1]], axis=1)
    with_first = np.stack([order[here], order[first[here]]], axis=1)
    return np.concatenate([before, with_first[first[here] != here - 1]]).astype(np.int64)


def _near(pairs: Numbers, minima: npt.NDArray[np.uint16]) -> Numbers:
    keep = [
        (minima[part[:, 0]] == minima[part[:, 1]]).mean(axis=1) >= NEAR
        for part in np.array_split(pairs, max(1, len(pairs) // 100_000))
    ]
    return pairs[np.concatenate(keep)]


def _roots(count: int, pairs: Numbers) -> Numbers:
    """Union-find by numbers: every row hangs itself to the smallest one that it is paired with, until nothing moves."""
    root = np.arange(count)
    while True:
        a, b = root[pairs[:, 0]], root[pairs[:, 1]]
        differ = a != b
        if not differ.any():
            return root
        high, low = np.maximum(a, b)[differ], np.minimum(a, b)[differ]
        np.minimum.at(root, high, low)
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
