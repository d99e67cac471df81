"""What one training needs, in memory: its rows as tokens, and the model, ready to learn. Rehearsal, training and each further process open one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from backend.data.tokens.model import TokenModel, open_listed
from backend.errors import DataError
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace
from jobs.finetuning import devices, loading, memory, rows, tokens
from jobs.finetuning.devices import Place
from jobs.finetuning.loading import Loaded
from jobs.finetuning.packing import FILL, Collate, Packed, pack
from jobs.finetuning.running_out import Phases
from jobs.finetuning.tokens import Tokens
from jobs.harness import Job


@dataclass
class Session:
    """What one training needs, in memory. learned, measured: tokens of the rows; measured is empty where nothing is held out.
    load_s: seconds that the model took; before_bytes: of the process before it. threads: on a processor, once they were chosen."""

    job: Job
    spec: FinetuneSpec
    folder: str
    place: Place
    model: TokenModel
    prepared: rows.Prepared
    learned: Tokens
    measured: Tokens
    loaded: Loaded
    load_s: float = 0.0
    before_bytes: int = 0
    threads: int = 0

    @property
    def pad(self) -> int:
        """A token to fill with; nothing is ever learned of it."""
        text = self.model.special.get("pad_token") or self.model.special.get("eos_token") or ""
        return self.model.tokenizer.token_to_id(text) or 0

    @property
    def collate(self) -> Collate:
        return Collate(self.pad, FILL if self.place.kind == "cuda" else 1)

    def packed(self, of: Tokens) -> Packed:
        """Rows as the training sees them."""
        joined = self.spec.packing and self.loaded.apart
        return Packed(
            of, pack(of.lengths, self.spec.max_length, self.spec.seed) if joined else [[n] for n in range(len(of))]
        )


def opened(job: Job, spec: FinetuneSpec, folder: str, phases: Phases) -> Session:
    """A session of ``job``. folder: of the model.

    Raises:
        PanelError: see :func:`session`.
    """
    job.phase("prepare")
    prepared = rows.prepare(job.dir, spec)
    model = open_listed(open_workspace(), folder)
    learned = _tokens(job, spec, model, prepared, "train")
    measured = _tokens(job, spec, model, prepared, "validation")
    _say_rows(job, spec, prepared, learned, measured)
    job.check_stop()
    job.phase("load")
    place = devices.settle(spec)
    devices.prepare(spec, place)
    before, began = memory.now_bytes("cpu"), time.monotonic()
    with phases("load"):
        loaded = loading.load(folder, spec, place)
    took = time.monotonic() - began
    if spec.packing and not loaded.apart:
        job.log("this kind of model reads on over the edges of packed rows: rows are not packed")
    _say_model(job, loaded, place)
    job.check_stop()
    return Session(job, spec, folder, place, model, prepared, learned, measured, loaded, took, before)


def _tokens(job: Job, spec: FinetuneSpec, model: TokenModel, prepared: rows.Prepared, part: str) -> Tokens:
    total = prepared.train_rows if part == "train" else prepared.validation_rows

    def said(done: int) -> None:
        job.check_stop()
        job.progress("prepare", done, total)

    file = prepared.folder / f"{part}.npz"
    return tokens.kept(file, model, lambda: prepared.rows(part), spec.max_length, said)


def _say_rows(job: Job, spec: FinetuneSpec, prepared: rows.Prepared, learned: Tokens, measured: Tokens) -> None:
    if not len(learned):
        raise DataError(
            "finetune_nothing_learned",
            N_(
                "In none of the {rows} rows of '{dataset}' anything is left to learn: no answer, or all cut off at {limit} tokens."
            ),
            N_("Let the doctor on the page Datasets look at them, or allow longer rows."),
            rows=prepared.train_rows,
            dataset=spec.dataset,
            limit=spec.max_length,
        )
    job.log(
        f"{len(learned)} rows to learn from ({prepared.general_rows} general ones), {int(learned.edges[-1])} tokens; "
        f"{len(measured)} to measure; {learned.cut} cut off at {spec.max_length} tokens, {learned.left_out} left out"
    )


def _say_model(job: Job, loaded: Loaded, place: Place) -> None:
    learns = sum(one.numel() for one in loaded.model.parameters() if one.requires_grad)
    whole = sum(one.numel() for one in loaded.model.parameters())
    job.log(
        f"{learns:,} of {whole:,} numbers learn; computing on {place.name} in {str(place.compute).removeprefix('torch.')}"
    )
