"""Rows as a model is fed with them: joined whole up to a length, each blind to the others.

Blindness is by positions: every row counts its own from 0, and no mask is given. transformers then lets a token see only its
own run of positions (``find_packed_sequence_indices`` in its masking_utils.py), with every attention that it has. What a model
makes of that is tried before it learns (:mod:`jobs.finetuning.loading`): a kind that ignores it gets its rows one by one.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from backend.data.tokens.encoded import IGNORE
from jobs.finetuning.tokens import Tokens

FILL = 8
"""On a GPU widths are a multiple of this, which its matrix units like."""


def pack(lengths: Sequence[int], width: int, seed: int) -> list[list[int]]:
    """Numbers of rows, joined by the best-fit-decreasing rule: the longest first, each into the fullest place that has room.
    Which of equally long rows come together is left to ``seed``."""
    order = list(range(len(lengths)))
    random.Random(f"{seed}/packing").shuffle(order)  # noqa: S311 - an order that must repeat
    order.sort(key=lambda number: -lengths[number])
    found: list[list[int]] = []
    rooms: list[int] = []  # of places that have any, ascending, each once
    places: dict[int, list[int]] = {}
    for number in order:
        long = min(lengths[number], width)
        at = bisect.bisect_left(rooms, long)
        if at < len(rooms):
            room = rooms[at]
            place = places[room].pop()
            if not places[room]:
                del rooms[at]
        else:
            room, place = width, len(found)
            found.append([])
        found[place].append(number)
        if room > long:
            left = places.setdefault(room - long, [])
            if not left:
                bisect.insort(rooms, room - long)
            left.append(place)
    return found


@dataclass(frozen=True)
class Joined:
    """Some rows as one. ids, positions, labels: of each token; a label is the token itself where it is learned."""

    ids: np.ndarray
    positions: np.ndarray
    labels: np.ndarray


class Packed(Dataset[Joined]):
    """The rows of ``tokens``, joined as ``groups`` says."""

    def __init__(self, tokens: Tokens, groups: Sequence[Sequence[int]]) -> None:
        self.tokens, self.groups = tokens, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Joined:
        rows = [self.tokens[number] for number in self.groups[index]]
        labels = [np.where(learned, ids, IGNORE) for ids, learned in rows]
        for each in labels:
            each[:1] = IGNORE  # nothing of its own row stands before it
        return Joined(
            np.concatenate([ids for ids, _ in rows]),
            np.concatenate([np.arange(len(ids)) for ids, _ in rows]),
            np.concatenate(labels),
        )


class Collate:
    """Batches of joined rows.

    Makes ``input_ids`` and ``position_ids`` (rows, width); ``keep`` (places,): from which places of a row a token is predicted
    that is learned, of any row of the batch; ``targets`` (rows, places): that token, -100 where it is not; and ``seen``: tokens
    that are no filling. Logits are computed at these places only: the vocabulary is the widest matrix of all.
    """

    def __init__(self, pad: int, multiple: int = 1) -> None:
        self.pad, self.multiple = pad, multiple

    def __call__(self, rows: Sequence[Joined]) -> dict[str, Any]:
        width = max(len(row.ids) for row in rows)
        width += -width % self.multiple
        ids = np.full((len(rows), width), self.pad, dtype=np.int64)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        positions = np.empty((len(rows), width), dtype=np.int64)
        for number, row in enumerate(rows):
            long = len(row.ids)
            ids[number, :long], labels[number, :long] = row.ids, row.labels
            positions[number, :long], positions[number, long:] = row.positions, np.arange(width - long)
        keep = np.flatnonzero((labels[:, 1:] != IGNORE).any(axis=0))
        return {
            "input_ids": torch.from_numpy(ids),
            "position_ids": torch.from_numpy(positions),
            "keep": torch.from_numpy(keep),
            "targets": torch.from_numpy(labels[:, keep + 1]),
            "seen": sum(len(row.ids) for row in rows),
        }
