"""Fine-tuning with transformers and peft, from the rows to the state that is kept."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from backend.errors import PanelError
from backend.finetune import counting, files
from backend.finetune.files import Rehearsal
from backend.finetune.plan import Plan
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from jobs.finetuning import checkpoints, loading, ranks, recipes, thread_count
from jobs.finetuning.boards import Board
from jobs.finetuning.callbacks import Watch
from jobs.finetuning.learner import Learner, arguments
from jobs.finetuning.running_out import Phases, watching
from jobs.finetuning.sampling import MOST_TOKENS, Sampler
from jobs.finetuning.session import Session, opened
from jobs.finetuning.types import Trained
from jobs.harness import Job, Stopped

_open: Session | None = None


def session(job: Job, plan: Plan, phases: Phases) -> Session:
    """The session of ``job``: rehearsal and training share one, so that a model is loaded once.

    Raises:
        PanelError: the rows, the model or the device cannot be used.
    """
    global _open
    if _open is None or _open.job is not job:
        _open = opened(job, plan.spec, plan.model_folder, phases)
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
    steps, warmup = steps_of(spec, len(current.packed(current.learned)))
    resume = _resume(current, steps)
    part = ranks.Part(spec, current.folder, str(resume or ""), steps, warmup)
    job.phase("train")
    sampler = Sampler(
        job.dir, current.model, current.prepared.questions, _longest_question(current.loaded.model), current.pad
    )
    watch = Watch(job, spec, current.place.kind, sampler, board, phases)
    with ranks.together(job, part, current.place.kind):
        learner = watch.learner = learner_of(current, part, [watch])
        collate = current.collate
        with phases("train"):
            thread_count.settle(current, learner)
        recipes.note(job.dir, spec, current.place, current.loaded, learner.args, collate.pad, collate.multiple)
        with phases("train"):
            try:
                learn(learner, part)
            except (ValueError, RuntimeError, KeyError) as error:
                if resume is not None and learner.seen == 0 and spec.start_from and "memory" not in str(error):
                    raise loading.start_unfit(spec, str(error)) from error
                raise
    if watch.ended == "stopped":
        raise Stopped
    return _keep(current, steps, watch.ended)


def learner_of(current: Session, part: ranks.Part, callbacks: list[TrainerCallback]) -> Learner:
    """The learner of ``current``; where several train together it must have met the others."""
    learner = Learner(
        current.job.dir,
        current.loaded,
        arguments(current.job.dir, part.spec, current.place, part.steps, part.warmup),
        current.packed(current.learned),
        current.packed(current.measured) if len(current.measured) else None,
        current.collate,
        current.model.folder,
        part.spec.keep,
        [*callbacks, ranks.Agree()],
    )
    # Sums are said by us; the Trainer's own printer would say them again.
    learner.pop_callback(PrinterCallback)
    return learner


def learn(learner: Learner, part: ranks.Part) -> None:
    """From the first step, or the checkpoint, to the end that the callbacks decide."""
    torch.manual_seed(part.spec.seed)
    learner.train(resume_from_checkpoint=part.resume or None)


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


def _longest_question(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", 0) or 4096) - MOST_TOKENS
