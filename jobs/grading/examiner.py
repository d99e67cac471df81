"""A loaded model under examination: how surprised it is by each row, how far it is from the base there, and what it answers.

The base's distributions lie on the disk meanwhile, as numbers of 32 bits, so that there is never more than one model in memory
(llama.cpp's ``perplexity --kl-divergence-base`` does it the same way).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.data.tokens.encoded import Encoded
from backend.quantize.report_records import Heard
from jobs.finetuning.asking import LOGITS, Asker, Watch

STRETCH = 32
"""Rows that are sorted by length at a time: whenever time ends it, those before are a fair sample."""
MOST_BYTES = 4 << 30
"""Of distributions on the disk; and never more than a quarter of what is free there."""


@dataclass(frozen=True)
class Reading:
    """What one model made of one row. loss: summed over the tokens that count, in nats. divergence: summed, of the base's
    distribution from the model's; same: at how many of them both find the same token likeliest; None for the base itself."""

    loss: float
    divergence: float | None = None
    same: int | None = None


class Distributions:
    """The base's log-probabilities of the next token, (tokens, vocabulary), at every token of the rows that counts.

    lengths: such tokens of each row. It is a file that is used for one job and removed after it.
    """

    def __init__(self, path: Path, lengths: Sequence[int], vocabulary: int) -> None:
        self.path, self.vocabulary = path, vocabulary
        self.begins = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
        self._shape = (int(self.begins[-1]), vocabulary)
        self._numbers: Any = None

    def write(self, row: int, numbers: torch.Tensor) -> None:
        """Keep those of ``row``."""
        if self._numbers is None:
            self._numbers = np.memmap(self.path, np.float32, "w+", shape=self._shape)
        self._numbers[self.begins[row] : self.begins[row + 1]] = numbers.float().cpu().numpy()

    def of(self, row: int) -> torch.Tensor:
        """Those of ``row``."""
        if self._numbers is None:
            self._numbers = np.memmap(self.path, np.float32, "r", shape=self._shape)
        return torch.from_numpy(np.array(self._numbers[self.begins[row] : self.begins[row + 1]]))

    def close(self) -> None:
        """Everything written is on the disk, and the file may be read by others."""
        if self._numbers is not None and self._numbers.mode != "r":
            self._numbers.flush()
        self._numbers = None


def fitting(lengths: Sequence[int], vocabulary: int, folder: Path) -> int:
    """How many of the rows, with so many tokens that count, may be kept as distributions in ``folder``."""
    most = min(MOST_BYTES, shutil.disk_usage(folder).free // 4)
    kept, total = 0, 0
    for length in lengths:
        total += 4 * length * vocabulary
        if total > most:
            break
        kept += 1
    return kept


class Examiner(Asker):
    """See the module; what an :class:`Asker` answers is here a :class:`Heard`, with the first token."""

    def read(
        self,
        rows: Sequence[Encoded],
        watch: Watch,
        *,
        keep: Distributions | None = None,
        against: Distributions | None = None,
        until: float = float("inf"),
    ) -> list[Reading]:
        """Each row; fewer where the time ended before. keep: filled, for the base. against: that of the base. until: of
        ``time.monotonic()``. watch: called with the number of rows so far; what it raises ends the reading."""
        found: list[Reading] = []
        for start in range(0, len(rows), STRETCH):
            if time.monotonic() > until:
                break
            places = list(range(start, min(len(rows), start + STRETCH)))
            found += self._stretch(rows, places, keep, against)
            watch(len(found))
        return found

    def _stretch(
        self, rows: Sequence[Encoded], places: list[int], keep: Distributions | None, against: Distributions | None
    ) -> list[Reading]:
        known: dict[int, Reading] = {}
        order = sorted(places, key=lambda place: len(rows[place].ids))
        while order:
            longest = len(rows[order[min(len(order), self.batch) - 1]].ids)
            some = order[: max(1, min(self.batch, LOGITS // (longest * self.vocabulary)))]
            readings = self._tried(partial(self._readings, rows, some, keep, against))
            if readings is None:
                continue
            known.update(zip(some, readings, strict=True))
            order = order[len(some) :]
        return [known[place] for place in places]

    @torch.inference_mode()
    def _readings(
        self, rows: Sequence[Encoded], some: list[int], keep: Distributions | None, against: Distributions | None
    ) -> list[Reading]:
        width = max(len(rows[place].ids) for place in some)
        ids, mask = torch.zeros((len(some), width), dtype=torch.long), torch.zeros((len(some), width), dtype=torch.long)
        for at, place in enumerate(some):
            ids[at, : len(rows[place].ids)] = torch.tensor(rows[place].ids)
            mask[at, : len(rows[place].ids)] = 1
        device = self.model.device
        logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
        found = []
        for at, place in enumerate(some):
            where = torch.tensor([n for n, counts in enumerate(rows[place].trained[1:]) if counts])
            chances = logits[at, where.to(device)].float().log_softmax(-1)
            wanted = torch.tensor(rows[place].ids)[where + 1].to(device)
            loss = -float(chances.gather(1, wanted[:, None]).double().sum())
            if keep is not None:
                keep.write(place, chances)
            found.append(Reading(loss) if against is None else _compared(loss, chances, against.of(place).to(device)))
        return found

    def _reply(self, made: list[int], limit: int) -> Any:
        reply = super()._reply(made, limit)
        return Heard(reply.text, reply.ended, made[0] if made else -1)


def _compared(loss: float, found: torch.Tensor, base: torch.Tensor) -> Reading:
    if found.shape != base.shape:
        return Reading(loss)
    # What has no chance at all adds nothing, however unlikely the other finds it.
    chance = base.exp()
    divergence = torch.where(chance > 0, chance * (base - found), torch.zeros_like(chance))
    return Reading(loss, float(divergence.double().sum()), int((found.argmax(-1) == base.argmax(-1)).sum()))
