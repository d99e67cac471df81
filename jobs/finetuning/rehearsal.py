"""Three real steps before the long run: with the longest rows, one evaluation, one save and one load of what was saved.

What would end a training after hours ends it after a minute, and memory and time are measured instead of foreseen. Afterwards
the model is as it was: an adapter gets its first weights back, a whole model is loaded once more.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from backend.errors import PanelError
from backend.finetune import files
from backend.finetune.files import Rehearsal
from backend.i18n import N_
from jobs.finetuning import checkpoints, loading, memory, thread_count
from jobs.finetuning.callbacks import not_a_number
from jobs.finetuning.learner import Learner, arguments
from jobs.finetuning.packing import Packed
from jobs.finetuning.running_out import Phases
from jobs.finetuning.session import Session
from jobs.finetuning.tokens import Tokens
from jobs.harness import Job

STEPS = 3
MOST_ACCUMULATION = 2
"""Batches to a step: from two on memory is the same, and the time is in proportion."""
MOST_EVALUATED = 32
FOLDER = ".rehearsal"


class _Clock(TrainerCallback):
    """How long each step took; and that nobody waits for three steps who asked to stop."""

    def __init__(self, job: Job, phases: Phases) -> None:
        self.job, self.phases = job, phases
        self.began, self.steps = 0.0, list[float]()
        self.losses = list[float]()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Now."""
        self.job.check_stop()
        self.began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """It took so long."""
        self.steps.append(time.monotonic() - self.began)
        self.job.progress("rehearse", state.global_step, STEPS)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """The loss of a step."""
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def rehearse(current: Session, phases: Phases) -> Rehearsal:
    """Try the training of ``current``; the record is kept in the job's folder.

    Raises:
        PanelError: ``finetune_nan``, ``checkpoint_disk_full``, or whatever would have ended the training itself.
    """
    job, spec, kind = current.job, current.spec, current.place.kind
    job.phase("rehearse")
    first = _weights(current)
    memory.reset(kind)
    before = memory.now_bytes(kind)
    few = min(spec.accumulation, MOST_ACCUMULATION)
    rows = _longest(current, STEPS * spec.batch_size * few)
    clock = _Clock(job, phases)
    trial = spec.model_copy(update={"accumulation": few, "scheduler": "constant"})
    given = arguments(job.dir, trial, current.place, STEPS, 0)
    learner = Learner(job.dir, current.loaded, given, rows, None, current.collate, current.model.folder, 1, [clock])
    with phases("rehearse"):
        thread_count.settle(current, learner)
        learner.train()
        _check(job, clock.losses, "loss")
        evaluated, eval_s = _evaluate(current, learner)
        save_s, restore_s, size = _save_and_load(current, learner)
    peak, held = memory.peak_bytes(kind), memory.held_bytes(kind)
    later = clock.steps[1:] or clock.steps
    found = Rehearsal(
        step_s=sum(later) / len(later) * spec.accumulation / few,
        peak_bytes=peak,
        held_bytes=held,
        before_bytes=current.before_bytes if kind == "cpu" else 0,
        tokens_per_step=round(learner.seen / STEPS * spec.accumulation / few),
        longest=max(len(rows[number].ids) for number in range(len(rows))),
        load_s=round(current.load_s, 3),
        eval_s=round(eval_s, 3),
        eval_rows=evaluated,
        save_s=round(save_s, 3),
        restore_s=round(restore_s, 3),
        checkpoint_bytes=size,
        device=current.place.name,
        losses=[round(loss, 5) for loss in clock.losses],
        made=time.time(),
        settings=spec.model_dump(mode="json", exclude={"config_text"}),
    )
    del learner
    _put_back(current, first)
    memory.reset(kind)
    files.write(job.dir / files.REHEARSAL, found)
    job.log(
        f"rehearsed: {found.step_s:.2f} s a step of {found.tokens_per_step} tokens, at most {peak / (1 << 20):.0f} MiB "
        f"({(peak - before) / (1 << 20):.0f} MiB more than with the model alone), a checkpoint of {size / (1 << 20):.1f} MiB"
    )
    return found


def _longest(current: Session, count: int) -> Packed:
    """The ``count`` longest rows as the training sees them, the longest of all in each step."""
    packed = current.packed(current.learned)
    lengths = [sum(current.learned.lengths[number] for number in group) for group in packed.groups]
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    chosen = [order[number % len(order)] for number in range(count)]
    return Packed(current.learned, [packed.groups[number] for number in chosen])


def _evaluate(current: Session, learner: Learner) -> tuple[int, float]:
    of = current.measured if len(current.measured) else current.learned
    order = sorted(range(len(of)), key=lambda number: -of.lengths[number])[:MOST_EVALUATED]
    some: Tokens = of.only(order)
    began = time.monotonic()
    loss = learner.measure(current.packed(some))
    _check(current.job, [loss], "eval_loss")
    return len(order), time.monotonic() - began


def _save_and_load(current: Session, learner: Learner) -> tuple[float, float, int]:
    """(seconds to save, seconds to load, bytes); the folder is gone afterwards."""
    folder = current.job.dir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    try:
        folder.mkdir()
        learner.write_state(folder)
        saved = time.monotonic() - began
        size = checkpoints.size(folder)
        began = time.monotonic()
        _load(learner, folder)
        return saved, time.monotonic() - began, size
    except Exception as error:
        if checkpoints.is_full(error):
            raise checkpoints.disk_full(current.job.dir, learner.state.global_step) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _load(learner: Learner, folder: Path) -> None:
    """As a resume does it; what was loaded must be what was saved."""
    name, parameter = next((n, p) for n, p in learner.model.named_parameters() if p.requires_grad)
    was = parameter.detach().clone()
    learner._load_from_checkpoint(str(folder))
    learner._load_optimizer_and_scheduler(str(folder))
    found = dict(learner.model.named_parameters())[name]
    if not torch.equal(found.detach(), was):
        raise PanelError(
            "finetune_checkpoint_differs",
            N_(
                "A checkpoint was saved and loaded again, and '{name}' is not what it was: an interrupted run could not go on."
            ),
            N_("Take another precision or method for this model; the log names the versions of transformers and peft."),
            name=name,
        )


def _check(job: Job, losses: list[float], name: str) -> None:
    for number, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            raise not_a_number(job, number, name)


def _weights(current: Session) -> dict[str, torch.Tensor] | None:
    """What learns, as it is before; None where that is a whole model."""
    if not current.loaded.adapted:
        return None
    learning = current.loaded.model.named_parameters()
    return {name: copy.deepcopy(one.detach()) for name, one in learning if one.requires_grad}


def _put_back(current: Session, first: dict[str, torch.Tensor] | None) -> None:
    current.loaded.model.zero_grad(set_to_none=True)
    if first is None:
        current.loaded.model = None
        memory.reset(current.place.kind)
        current.loaded = loading.load(current.folder, current.spec, current.place)
        return
    with torch.no_grad():
        for name, one in current.loaded.model.named_parameters():
            if name in first:
                one.copy_(first[name])
