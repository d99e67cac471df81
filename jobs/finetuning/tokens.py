"""Rows as tokens, made once and kept in the job's folder: an interrupted job does not make them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.data.rows import Row
from backend.data.tokens import mask
from backend.data.tokens.model import TokenModel
from backend.errors import DataError

SAY_EVERY = 500


@dataclass(frozen=True)
class Tokens:
    """ids: all rows, one after the other. learned: whether each is. edges: where each row begins, and where the last one ends.
    left_out: rows that the template refuses, or of which nothing is learned. cut: rows that were longer than the limit."""

    ids: np.ndarray
    learned: np.ndarray
    edges: np.ndarray
    left_out: int = 0
    cut: int = 0

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        place = slice(int(self.edges[number]), int(self.edges[number + 1]))
        return self.ids[place], self.learned[place]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        found: list[int] = np.diff(self.edges).tolist()
        return found

    def only(self, rows: list[int]) -> Tokens:
        """Some of the rows, in this order."""
        pieces = [self[number] for number in rows]
        edges = np.cumsum([0, *(len(ids) for ids, _ in pieces)])
        return Tokens(np.concatenate([i for i, _ in pieces]), np.concatenate([f for _, f in pieces]), edges)


def kept(
    file: Path,
    model: TokenModel,
    rows: Callable[[], Iterable[Row]],
    limit: int,
    said: Callable[[int], None] = lambda done: None,
) -> Tokens:
    """The tokens of ``rows``, each cut off at ``limit``: from ``file`` where it holds those of this tokenizer and this limit."""
    key = f"{model.fingerprint}/{limit}"
    try:
        with np.load(file) as held:
            if str(held["key"]) == key:
                return Tokens(held["ids"], held["learned"], held["edges"], int(held["left_out"]), int(held["cut"]))
    except (OSError, ValueError, KeyError, EOFError):
        pass
    made = encode(model, rows(), limit, said)
    temporary = file.with_name(f".{file.name}.new")
    with temporary.open("wb") as out:
        np.savez(
            out, key=key, ids=made.ids, learned=made.learned, edges=made.edges, left_out=made.left_out, cut=made.cut
        )
    temporary.replace(file)
    return made


def encode(
    model: TokenModel, rows: Iterable[Row], limit: int, said: Callable[[int], None] = lambda done: None
) -> Tokens:
    """``rows`` as :func:`backend.data.tokens.mask.encode` makes them; those without anything to learn are left out.

    Raises:
        ModelError: the model has no template, or it is broken.
    """
    ids, learned, edges, left_out, cut = list[np.ndarray](), list[np.ndarray](), [0], 0, 0
    for number, row in enumerate(rows, start=1):
        if number % SAY_EVERY == 0:
            said(number)
        try:
            found = mask.encode(model, row, limit)
        except DataError:
            left_out += 1
            continue
        if not any(found.trained[1:]):
            left_out += 1
            continue
        cut += found.total > limit
        ids.append(np.array(found.ids, dtype=np.int32))
        learned.append(np.array(found.trained, dtype=bool))
        edges.append(edges[-1] + len(found.ids))
    nothing = np.zeros(0, dtype=np.int32)
    return Tokens(
        np.concatenate(ids) if ids else nothing,
        np.concatenate(learned) if learned else nothing.astype(bool),
        np.array(edges, dtype=np.int64),
        left_out,
        cut,
    )
