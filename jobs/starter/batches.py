"""From dialogues to batches: text in the chat template's form, token numbers, and which of them are answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from jobs.starter import corpus
from jobs.starter import tokenizer as tok
from jobs.starter.dialogue import Dialogue

POOL = 2048
"""Dialogues that are sorted by length together, so that a batch holds little padding."""
LONGEST = 640
"""Longer dialogues (in tokens) are left out of the training data."""


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
    """tokens: (rows, length) int64, padded on the right; weights: the same shape, how much the loss on *predicting* that
    token counts: 1 in answers and their end, ``prompt_weight`` elsewhere, 0 on padding."""

    tokens: torch.Tensor
    weights: torch.Tensor


class Batches:
    """An endless stream of steps, each a list of batches; ``pool`` and ``at`` say where in the stream it stands."""

    def __init__(
        self, tokenizer: Tokenizer, seed: int, batch_tokens: int, micro_batches: int, prompt_weight: float
    ) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._limit = batch_tokens // micro_batches
        self._micro = micro_batches
        self._prompt_weight = prompt_weight
        self._ids = {name: tokenizer.token_to_id(name) for name in tok.SPECIAL}
        self._assistant = tokenizer.encode("assistant", add_special_tokens=False).ids
        self.pool = 0
        self.at = 0
        self.dialogues = 0

    def __iter__(self) -> Iterator[list[Batch]]:
        while True:
            steps = self._steps(self.pool)
            while self.at < len(steps):
                step = steps[self.at]
                self.at += 1
                self.dialogues += sum(len(rows) for rows in step)
                yield [self._batch(rows) for rows in step]
            self.pool += 1
            self.at = 0

    def state(self) -> dict[str, int]:
        """Where the stream stands; give it to :meth:`seek`."""
        return {"pool": self.pool, "at": self.at, "dialogues": self.dialogues}

    def seek(self, state: dict[str, int]) -> None:
        """Go on from a :meth:`state`."""
        self.pool, self.at, self.dialogues = state["pool"], state["at"], state["dialogues"]

    def _steps(self, pool: int) -> list[list[list[list[int]]]]:
        """The steps of one pool: each a list of micro-batches of different lengths, each a list of rows."""
        texts = [render(corpus.dialogue(self._seed, pool * POOL + i)) for i in range(POOL)]
        rows = [e.ids for e in self._tokenizer.encode_batch(texts, add_special_tokens=False)]
        rows = sorted((row for row in rows if len(row) <= LONGEST), key=len)
        batches: list[list[list[int]]] = [[]]
        for row in rows:
            # rows come shortest first, so this row is the width of the batch that it joins
            if batches[-1] and len(row) * (len(batches[-1]) + 1) > self._limit:
                batches.append([])
            batches[-1].append(row)
        random.Random(f"{self._seed}/pool/{pool}").shuffle(batches)  # noqa: S311 - the order of the data, which must repeat
        return [batches[i : i + self._micro] for i in range(0, len(batches) - self._micro + 1, self._micro)]

    def _batch(self, rows: list[list[int]]) -> Batch:
        width = max(len(row) for row in rows)
        pad = self._ids[tok.PAD]
        tokens = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        weights = torch.tensor([self._weights(row) + [0.0] * (width - len(row)) for row in rows])
        return Batch(tokens, weights)

    def _weights(self, row: list[int]) -> list[float]:
        header, header_end, eot = self._ids[tok.HEADER], self._ids[tok.HEADER_END], self._ids[tok.EOT]
        lead = [header, *self._assistant, header_end]
        weights = [self._prompt_weight] * len(row)
        position = 0
        while position < len(row):
            if row[position] == header and row[position : position + len(lead)] == lead:
                position += len(lead) + 1  # and the line breaks, one token
                while position < len(row):
                    weights[position] = 1.0
                    position += 1
                    if row[position - 1] == eot:
                        break
            else:
                position += 1
        return weights
