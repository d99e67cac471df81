"""How many tokens the rows of a dataset have: counted in batches, summed up as a distribution, kept as JSON."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from backend.data.rows import SPLITS, Row, split_of
from backend.data.tokens.model import TokenModel
from backend.data.tokens.template import render
from backend.errors import DataError

BATCH = 256
"""Rows that are tokenized at once, in threads of the tokenizer's own."""
BATCH_CHARS = 2_000_000
"""And no more text than that, whatever the rows are: memory stays bounded."""
LONGEST = 1_000
"""Rows of which the number is kept, the longest ones."""
FAILED = 100
Z = 1.959964
"""Of a two-sided interval that holds 95 times of 100 (normal distribution)."""


@dataclass
class Lengths:
    """A distribution. total: rows of the dataset. counts: split -> tokens -> rows. longest: (tokens, row from 1), the longest
    first. failed: (row from 1, why) of the first ones that a template refuses; refused: how many there were. start: the row
    (from 0) to go on with, in a count that is under way."""

    total: int
    counts: dict[str, Counter[int]] = field(default_factory=dict)
    longest: list[tuple[int, int]] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    refused: int = 0
    start: int = 0

    @property
    def counted(self) -> int:
        """Rows that were looked at, those that a template refuses included."""
        return self.refused + sum(counter.total() for counter in self.counts.values())

    @property
    def exact(self) -> bool:
        """Every row was counted."""
        return self.counted >= self.total

    def of(self, split: str = "") -> Counter[int]:
        """Tokens -> rows, of one split or of all."""
        if split:
            return self.counts.get(split, Counter())
        return sum(self.counts.values(), Counter[int]())

    def add(self, number: int, split: str, tokens: int) -> None:
        """Row ``number`` (from 1) has ``tokens``."""
        self.counts.setdefault(split, Counter())[tokens] += 1
        entry = (tokens, number)
        if len(self.longest) < LONGEST:
            heapq.heappush(self.longest, entry)
        elif entry > self.longest[0]:
            heapq.heapreplace(self.longest, entry)

    def refuse(self, number: int, why: str) -> None:
        """The template takes row ``number`` not."""
        self.refused += 1
        if len(self.failed) < FAILED:
            self.failed.append((number, why))

    def too_long(self, cutoff: int) -> list[tuple[int, int]]:
        """(row from 1, tokens) of those known to have more than ``cutoff``, the longest first; at most :data:`LONGEST`."""
        return [(number, tokens) for tokens, number in sorted(self.longest, reverse=True) if tokens > cutoff]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` takes it back."""
        return {
            "total": self.total,
            "counts": {split: sorted(counter.items()) for split, counter in self.counts.items()},
            "longest": sorted(self.longest, reverse=True),
            "failed": self.failed,
            "refused": self.refused,
            "start": self.start,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Lengths:
        """What :meth:`to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        longest = [(int(tokens), int(number)) for tokens, number in data["longest"]]
        heapq.heapify(longest)
        return cls(
            total=int(data["total"]),
            counts={
                str(split): Counter({int(tokens): int(rows) for tokens, rows in pairs})
                for split, pairs in data["counts"].items()
                if split in SPLITS
            },
            longest=longest,
            failed=[(int(number), str(why)) for number, why in data["failed"]],
            refused=int(data["refused"]),
            start=int(data["start"]),
        )


def count(model: TokenModel, rows: Iterable[tuple[int, Row]], into: Lengths) -> Iterator[int]:
    """Count the tokens of ``rows`` (number from 1, row) as the chat template of ``model`` renders them; yields after each batch
    the number of its last row.

    Raises:
        ModelError: there is no template, or it is broken.
    """
    rows = iter(rows)
    model.template()  # says at once that there is none
    while batch := list(islice(rows, BATCH)):
        for part in _rendered(model, batch, into):
            encodings = model.tokenizer.encode_batch_fast([text for _, _, text in part], add_special_tokens=False)
            for (number, split, _text), encoding in zip(part, encodings, strict=True):
                into.add(number, split, len(encoding))
        yield batch[-1][0]


def _rendered(
    model: TokenModel, batch: Sequence[tuple[int, Row]], into: Lengths
) -> Iterator[list[tuple[int, str, str]]]:
    part, chars = list[tuple[int, str, str]](), 0
    for number, row in batch:
        try:
            text = render(model, row)
        except DataError as error:
            into.refuse(number, str(error.params.get("problem", "")))
            continue
        if part and chars + len(text) > BATCH_CHARS:
            yield part
            part, chars = [], 0
        part.append((number, split_of(row), text))
        chars += len(text)
    if part:
        yield part


@dataclass(frozen=True)
class Share:
    """A share of rows, 0 to 1, and the interval that holds the true one 95 times of 100. rows: in the whole dataset, about."""

    share: float
    low: float
    high: float
    rows: int


def truncated(lengths: Lengths, cutoff: int, split: str = "") -> Share:
    """The share of rows with more than ``cutoff`` tokens.

    Of a sample: Wilson's interval (E. B. Wilson 1927) over the sample's effective size, which counts that it was drawn without
    putting back; of all rows: exact.
    """
    counts = lengths.of(split)
    n = counts.total()
    if not n:
        return Share(0.0, 0.0, 0.0 if lengths.exact else 1.0, 0)
    share = sum(rows for tokens, rows in counts.items() if tokens > cutoff) / n
    # A split of a sample is itself a sample of about this many rows.
    whole = max(n, round(n * lengths.total / lengths.counted))
    if lengths.exact or whole <= n:
        return Share(share, share, share, round(share * n))
    size = n * (whole - 1) / (whole - n)
    middle = (share + Z * Z / (2 * size)) / (1 + Z * Z / size)
    half = Z / (1 + Z * Z / size) * math.sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    return Share(share, max(0.0, middle - half), min(1.0, middle + half), round(share * whole))


@dataclass(frozen=True)
class Quantile:
    """So many tokens have at most ``q`` of the rows; low, high: the interval that holds the true one 95 times of 100."""

    q: float
    tokens: int
    low: int
    high: int


def quantiles(lengths: Lengths, at: Sequence[float] = (0.5, 0.9, 0.99)) -> list[Quantile]:
    """Quantiles, of a sample with the interval of its order statistics; empty where nothing was counted."""
    counts = lengths.of()
    n = counts.total()
    if not n:
        return []
    ordered = sorted(counts.items())
    found = []
    for q in at:
        half = 0.0 if lengths.exact else Z * math.sqrt(n * q * (1 - q))
        tokens, low, high = (_at(ordered, n, rank) for rank in (n * q, n * q - half, n * q + half))
        found.append(Quantile(q, tokens, low, high))
    return found


def _at(ordered: Sequence[tuple[int, int]], n: int, rank: float) -> int:
    """The length of the row at ``rank`` (from 1), rounded up."""
    wanted, seen = min(n, max(1, math.ceil(rank))), 0
    for tokens, rows in ordered:
        seen += rows
        if seen >= wanted:
            return tokens
    return ordered[-1][0]


def bins(counts: Counter[int], most: int = 40) -> tuple[int, list[int]]:
    """Width of a bin in tokens, and rows in each, the first one from 0; at most about ``most``."""
    longest = max(counts, default=0)
    width = _round_up(max(1, math.ceil((longest + 1) / most)))
    found = [0] * (longest // width + 1)
    for tokens, rows in counts.items():
        found[tokens // width] += rows
    return width, found


def _round_up(width: int) -> int:
    """1, 2, 5, 10, 20, 50, …"""
    power = 10 ** int(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width)
