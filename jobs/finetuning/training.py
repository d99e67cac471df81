"""Fine-tuning with transformers and peft, from the rows to the state that is kept."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backend.data.tokens.model import TokenModel, open_listed
from backend.errors import DataError, PanelError
from backend.finetune import counting, files
from backend.finetune.files import Rehearsal
from backend.finetune.plan import Plan
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace
from jobs.finetuning import checkpoints, devices, loading, memory, recipes, rows, tokens
from jobs.finetuning.boards import Board
from jobs.finetuning.callbacks import Watch
from jobs.finetuning.devices import Place
from jobs.finetuning.learner import Learner, arguments
from jobs.finetuning.loading import Loaded
from jobs.finetuning.packing import FILL, Collate, Packed, pack
from jobs.finetuning.running_out import Phases, watching
from jobs.finetuning.sampling import MOST_TOKENS, Sampler
from jobs.finetuning.tokens import Tokens
from jobs.finetuning.types import Trained
from jobs.harness import Job, Stopped


@dataclass
class Session:
    """What one training needs, in memory. learned, measured: tokens of the rows; measured is empty where nothing is held out.
    load_s: seconds that the model took; before_bytes: of the process before it."""

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


_open: Session | None = None


def session(job: Job, plan: Plan, phases: Phases) -> Session:
    """The session of ``job``: rehearsal and training share one, so that a model is loaded once.

    Raises:
        PanelError: the rows, the model or the device cannot be used.
    """
    global _open
    if _open is not None and _open.job is job:
        return _open
    spec = plan.spec
    job.phase("prepare")
    prepared = rows.prepare(job.dir, spec)
    model = open_listed(open_workspace(), plan.model_folder)
    learned = _tokens(job, spec, model, prepared, "train")
    measured = _tokens(job, spec, model, prepared, "validation")
    _say_rows(job, spec, prepared, learned, measured)
    job.check_stop()
    job.phase("load")
    place = devices.settle(spec)
    devices.prepare(spec, place)
    before, began = memory.now_bytes("cpu"), time.monotonic()
    with phases("load"):
        loaded = loading.load(plan.model_folder, spec, place)
    took = time.monotonic() - began
    if spec.packing and not loaded.apart:
        job.log("this kind of model reads on over the edges of packed rows: rows are not packed")
    _say_model(job, loaded, place)
    job.check_stop()
    _open = Session(job, spec, plan.model_folder, place, model, prepared, learned, measured, loaded)
    _open.load_s, _open.before_bytes = took, before
    return _open


def close() -> None:
    """Let go of the model, for what comes after the training."""
    global _open
    _open = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rehearse(job: Job, plan: Plan) -> Rehearsal:
    """Three steps with the longest rows, and what a training does besides; kept in ``rehearsal.json``."""
    from jobs.finetuning import rehearsal

    with watching(job.dir, device=plan.spec.device) as phases:
        return rehearsal.rehearse(session(job, plan, phases), phases)


def train(job: Job, plan: Plan) -> Trained:
    """Learn, from the newest checkpoint on where there is one.

    Raises:
        Stopped: a person asked to stop, and the state is saved. PanelError: why it cannot go on.
    """
    with watching(job.dir, device=plan.spec.device) as phases:
        current = session(job, plan, phases)
        board = Board(job.dir / files.TENSORBOARD)
        try:
            trained = _train(current, phases, board)
        finally:
            board.close()
    close()
    return trained


def _train(current: Session, phases: Phases, board: Board) -> Trained:
    job, spec = current.job, current.spec
    learned = current.packed(current.learned)
    measured = current.packed(current.measured) if len(current.measured) else None
    steps, warmup = steps_of(spec, len(learned))
    resume = _resume(current, steps)
    job.phase("train")
    sampler = Sampler(
        job.dir, current.model, current.prepared.questions, _longest_question(current.loaded.model), current.pad
    )
    watch = Watch(job, spec, current.place.kind, sampler, board, phases)
    given = arguments(job.dir, spec, current.place, steps, warmup)
    collate = current.collate
    recipes.note(job.dir, spec, current.place, current.loaded, given, collate.pad, collate.multiple)
    learner = Learner(
        job.dir,
        current.loaded,
        given,
        learned,
        measured,
        collate,
        current.model.folder,
        spec.keep,
        [watch],
    )
    watch.learner = learner
    # Sums are said by us; the Trainer's own printer would say them again.
    learner.pop_callback(_printer())
    torch.manual_seed(spec.seed)
    with phases("train"):
        try:
            learner.train(resume_from_checkpoint=str(resume) if resume else None)
        except (ValueError, RuntimeError, KeyError) as error:
            if resume is not None and learner.seen == 0 and spec.start_from and "memory" not in str(error):
                raise loading.start_unfit(spec, str(error)) from error
            raise
    if watch.ended == "stopped":
        raise Stopped
    return _keep(current, steps, watch.ended)


def steps_of(spec: FinetuneSpec, packed: int) -> tuple[int, int]:
    """(optimizer steps, of which so many warm up) for ``packed`` rows; as transformers' Trainer counts them."""
    batches = math.ceil(packed / (spec.batch_size * spec.gpus))
    per_epoch = math.ceil(batches / spec.accumulation)
    steps = math.ceil(per_epoch * spec.epochs - 1e-9)
    if spec.max_steps:
        steps = min(steps, spec.max_steps)
    return steps, counting.warmup(spec, steps)


def _resume(current: Session, steps: int) -> Path | None:
    """The checkpoint to go on from: the newest of this job, else the one in the spec."""
    job, spec = current.job, current.spec
    checkpoints.clear(job.dir)
    own = checkpoints.newest(job.dir)
    if own is not None:
        job.log(f"going on from step {own.step}")
        return Path(own.path)
    if not spec.start_from or spec.start_mode != "continue":
        return None
    folder = Path(spec.start_from)
    marked = files.read(folder / files.COMPLETE, files.Checkpoint)
    if marked is None or not (folder / "trainer_state.json").is_file():
        raise loading.start_unfit(spec, "it is not a whole checkpoint of this engine")
    if marked.step >= steps:
        raise PanelError(
            "finetune_nothing_left",
            N_(
                "The checkpoint has {done} steps behind it, and this training has {steps} in all: nothing is left to learn."
            ),
            N_("Take more epochs: they count from the beginning, those that were done included."),
            done=marked.step,
            steps=steps,
        )
    return folder


def _keep(current: Session, steps: int, ended: str) -> Trained:
    """The best state as what was made."""
    job = current.job
    best = checkpoints.best(job.dir)
    if best is None:
        raise PanelError(
            "finetune_no_checkpoint",
            N_("The training came to its end, and no checkpoint of it is left in {folder}."),
            N_("Start it again; what lies in the folder of a running job must not be deleted."),
            folder=str(job.dir / files.CHECKPOINTS),
        )
    name = files.ADAPTER if current.loaded.adapted else MODEL
    target, fresh = job.dir / name, job.dir / f".{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        for file in Path(best.path).iterdir():
            if file.name not in STATE and not file.name.startswith("rng_state"):
                checkpoints.copy(file, fresh / file.name)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise checkpoints.result_unsaved(error, target) from error
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    for file in target.glob("*.safetensors"):
        file.chmod(0o644)  # written for its owner alone; a model is shared
    adapted = current.loaded.adapted
    return Trained(
        target if adapted else None, None if adapted else target, best.step, steps, best.loss, best.eval_loss, ended
    )


MODEL = "model"
"""The folder of what a full fine-tuning made."""
STATE = ("optimizer.pt", "scheduler.pt", "scaler.pt", "trainer_state.json", files.COMPLETE)
"""Of a checkpoint, what is only needed to go on."""


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


def _longest_question(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", 0) or 4096) - MOST_TOKENS


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback
