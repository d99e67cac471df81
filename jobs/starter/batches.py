"""From dialogues to batches: text in the chat template's form, packed into rows of a few fixed widths.

Several dialogues share a row, each with its own positions and blind to the others. So nearly no place is padding, and
the sums of a step have one of a few shapes, which is what makes them quick (see docs/starter-model.md).
"""

from __future__ import annotations

import bisect
import itertools
import json
import multiprocessing
import random
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from backend.errors import PanelError
from backend.i18n import N_
from jobs.starter import corpus
from jobs.starter import tokenizer as tok
from jobs.starter.dialogue import Dialogue

POOL = 4096
"""Dialogues that are packed together."""
WIDTHS = (256, 512, 1024, 2048, 3072)
"""Widths of rows, in tokens. A dialogue goes into the narrowest that holds it, or into a gap of a wider one; one that is
longer than the widest is left out of the training data."""

LEAST = 8
"""From the second stage of the curriculum on an answer counts like one of at least so many tokens: else the single letter of a
multiple choice, one token among thousands, is hardly heard."""


def render(dialogue: Dialogue) -> str:
    """``dialogue`` as the chat template writes it, without the template engine, which takes ten times as long."""
    parts = [tok.BOS]
    system = dialogue.system.strip()
    if dialogue.tools:
        block = "\n".join([tok.TOOLS_LEAD, *(json.dumps(tool, ensure_ascii=False) for tool in dialogue.tools)])
        system = f"{system}\n\n{block}" if system else block
    turns = [("system", system), *dialogue.turns] if system else list(dialogue.turns)
    for role, text in turns:
        parts.append(f"{tok.HEADER}{role}{tok.HEADER_END}\n\n{text.strip()}{tok.EOT}")
    return "".join(parts)


@dataclass(frozen=True)
class Batch:
    """Rows of packed dialogues; every tensor has the shape (rows, width).

    tokens: int64. weights: float, how much the loss on *predicting* that token counts: 1 in answers and their end (more
    in very short ones, see :data:`LEAST`), ``prompt_weight`` elsewhere, 0 on padding and on the first token of a dialogue. positions: int64, counted from the
    dialogue's first token. dialogues: int64, number of the dialogue within its row, -1 on padding.
    """

    tokens: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    dialogues: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``."""
        if self.tokens.device == device:
            return self
        return Batch(*(getattr(self, each.name).pin_memory().to(device, non_blocking=True) for each in fields(self)))


class Batches:
    """An endless stream of steps, each a list of batches; ``pool`` and ``at`` say where in the stream it stands.

    workers: processes that make pools ahead of time, where one core cannot feed what computes; 0: made when they are due.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        seed: int,
        batch_tokens: int,
        micro_batches: int,
        prompt_weight: float,
        workers: int = 0,
    ) -> None:
        self._workers = workers
        self._tokenizer = tokenizer
        self._seed = seed
        self._limit = batch_tokens // micro_batches
        self._micro = micro_batches
        self._prompt_weight = prompt_weight
        self._least = 0
        self._ids = {name: tok.number(tokenizer, name) for name in tok.SPECIAL}
        self._assistant = tokenizer.encode("assistant", add_special_tokens=False).ids
        self.pool = 0
        self.at = 0
        self.dialogues = 0

    def __iter__(self) -> Iterator[list[Batch]]:
        with closing(self._pools(self.pool)) as pools:
            for steps in pools:
                while self.at < len(steps):
                    step, dialogues = steps[self.at]
                    self.at += 1
                    self.dialogues += dialogues
                    yield step
                self.pool += 1
                self.at = 0

    def _pools(self, first: int) -> Generator[Sequence[tuple[list[Batch], int]], None, None]:
        """The steps of the pools from ``first`` on, each with the number of its dialogues."""
        if not self._workers:
            for pool in itertools.count(first):
                yield _Lazily(self, self._steps(pool))
            return
        # Forked, so that nothing of the tokenizer has to be packed; they never touch a GPU. One that is killed ends the run, where
        # multiprocessing's own pool would wait for it for ever.
        workers = ProcessPoolExecutor(self._workers, multiprocessing.get_context("fork"), _begin_worker)
        try:
            ahead: deque[Future[Packed]] = deque()
            for pool in itertools.count(first):
                while len(ahead) < 2 * self._workers:
                    ahead.append(workers.submit(self._packed, pool + len(ahead)))
                yield [
                    ([_unpacked(batch) for batch in step], dialogues) for step, dialogues in ahead.popleft().result()
                ]
        except BrokenProcessPool as error:
            raise PanelError(
                "data_worker_killed",
                N_(
                    "A process that made the training's rows was ended from outside, most likely because memory ran out."
                ),
                N_("Resume goes on from the last checkpoint. Where memory is short, set 'data_workers' lower first."),
            ) from error
        finally:
            workers.shutdown(cancel_futures=True)

    def _packed(self, pool: int) -> Packed:
        """The steps of ``pool`` as arrays of small numbers, which are quicker to hand on."""
        return [
            ([_small(self._batch(width, rows)) for width, rows in step], _count(step)) for step in self._steps(pool)
        ]

    def skip(self, dialogues: int) -> None:
        """Begin with the pool that holds dialogue number ``dialogues``."""
        self.pool, self.at, self.dialogues = dialogues // POOL, 0, 0

    def state(self) -> dict[str, int]:
        """Where the stream stands; give it to :meth:`seek`."""
        return {"pool": self.pool, "at": self.at, "dialogues": self.dialogues}

    def seek(self, state: dict[str, int]) -> None:
        """Go on from a :meth:`state`."""
        self.pool, self.at, self.dialogues = state["pool"], state["at"], state["dialogues"]

    def _steps(self, pool: int) -> list[list[tuple[int, list[Row]]]]:
        """The steps of one pool: each a list of (width, rows)."""
        self._least = LEAST if corpus.stage(pool * POOL) > 0 else 0
        texts = [render(corpus.dialogue(self._seed, pool * POOL + i)) for i in range(POOL)]
        rng = random.Random(f"{self._seed}/pool/{pool}")  # noqa: S311 - the order of the data, which must repeat
        parts: list[tuple[int, list[Row]]] = []
        for width, rows in pack([e.ids for e in self._tokenizer.encode_batch(texts, add_special_tokens=False)]).items():
            rng.shuffle(rows)
            high = max(1, self._limit // width)
            parts += [(width, rows[i : i + high]) for i in range(0, len(rows), high)]
        rng.shuffle(parts)
        return [parts[i : i + self._micro] for i in range(0, len(parts) - self._micro + 1, self._micro)]

    def _batch(self, width: int, rows: list[Row]) -> Batch:
        shape = (max(1, self._limit // width), width)
        tokens = torch.full(shape, self._ids[tok.PAD])
        weights, positions = torch.zeros(shape), torch.zeros(shape, dtype=torch.long)
        dialogues = torch.full(shape, -1)
        for number, row in enumerate(rows):
            at = 0
            for index, ids in enumerate(row):
                place = slice(at, at + len(ids))
                tokens[number, place] = torch.tensor(ids)
                weights[number, place] = torch.tensor(self._weights(ids))
                positions[number, place] = torch.arange(len(ids))
                dialogues[number, place] = index
                at += len(ids)
        return Batch(tokens, weights, positions, dialogues)

    def _weights(self, ids: list[int]) -> list[float]:
        header, header_end, eot = self._ids[tok.HEADER], self._ids[tok.HEADER_END], self._ids[tok.EOT]
        lead = [header, *self._assistant, header_end]
        weights = [0.0] + [self._prompt_weight] * (len(ids) - 1)
        position = 0
        while position < len(ids):
            if ids[position] == header and ids[position : position + len(lead)] == lead:
                position += len(lead) + 1  # and the line breaks, one token
                end = ids.index(eot, position) + 1
                weights[position:end] = [max(1.0, self._least / (end - position))] * (end - position)
                position = end
            else:
                position += 1
        return weights


Row = list[list[int]]
"""The dialogues of one row, each as its tokens."""
Packed = list[tuple[list[tuple[np.ndarray[Any, Any], ...]], int]]
_KINDS = (np.int16, np.float32, np.int16, np.int16)


class _Lazily(Sequence[tuple[list[Batch], int]]):
    """The steps of a pool, each made when it is asked for."""

    def __init__(self, batches: Batches, steps: list[list[tuple[int, list[Row]]]]) -> None:
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, at: Any) -> Any:
        step = self._steps[at]
        return [self._batches._batch(width, rows) for width, rows in step], _count(step)


def _begin_worker() -> None:
    """A process that makes data: one thread, and a stop is its parent's business."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _count(step: list[tuple[int, list[Row]]]) -> int:
    """Dialogues of a step."""
    return sum(len(row) for _, rows in step for row in rows)


def _small(batch: Batch) -> tuple[np.ndarray[Any, Any], ...]:
    return tuple(
        getattr(batch, each.name).numpy().astype(kind) for each, kind in zip(fields(batch), _KINDS, strict=True)
    )


def _unpacked(arrays: tuple[np.ndarray[Any, Any], ...]) -> Batch:
    tokens, weights, positions, dialogues = (torch.from_numpy(array) for array in arrays)
    return Batch(tokens.long(), weights, positions.long(), dialogues.long())


def pack(dialogues: list[list[int]]) -> dict[int, list[Row]]:
    """width -> rows, packed by the best-fit-decreasing rule: the longest first, each into the fullest row that has room.

    Raises nothing for a dialogue longer than the widest row: it is left out.
    """
    found: dict[int, list[Row]] = {width: [] for width in WIDTHS}
    gaps: list[tuple[int, int, Row]] = []  # (room, number, row), the tightest first; the number breaks ties
    for ids in sorted((d for d in dialogues if len(d) <= WIDTHS[-1]), key=len, reverse=True):
        at = bisect.bisect_left(gaps, (len(ids),))
        if at < len(gaps):
            room, number, row = gaps.pop(at)
        else:
            room = next(width for width in WIDTHS if width >= len(ids))
            number, row = sum(map(len, found.values())), []
            found[room].append(row)
        row.append(ids)
        bisect.insort(gaps, (room - len(ids), number, row))
    return found
