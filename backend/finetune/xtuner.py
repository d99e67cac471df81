"""A fine-tuning with XTuner: from the spec to its settings, its config file and its commands, and what is wrong with them.

Its job (``jobs/finetuning/xtuner_train.py``) works in ``xtuner/`` of the job folder, where XTuner is started::

    config.py            what is trained; its data is rows.jsonl beside it
    rows.jsonl           the rows, pinned: messages as XTuner reads them
    validation.jsonl     held-out rows as tokens and labels
    watch.json           what the hooks in jobs/shims/xtuner_watch.py evaluate and ask; they answer in watch.jsonl
    stop                 a wish to save and end, see the hook
    deepspeed.json       where DeepSpeed is used
    output.log, work/    what XTuner says and writes
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from backend.data.tokens.model import TokenModel
from backend.data.tokens.xtuner_templates import LAYOUTS, layout_name
from backend.engines import xtuner_config, xtuner_edit, xtuner_run
from backend.engines.base import FOLDER, Problem
from backend.engines.xtuner_config import Settings, Template
from backend.finetune import deepspeed, files
from backend.finetune.counting import every
from backend.specs.finetune import FinetuneSpec

CONFIG, ROWS, VALIDATION, OUTPUT, WORK = "config.py", "rows.jsonl", "validation.jsonl", "output.log", "work"
WATCH, WATCHED, STOP = "watch.json", "watch.jsonl", "stop"
HOOKS = ("default_hooks.tokens.type=xtuner_watch.Tokens", "default_hooks.watch.type=xtuner_watch.Watch")
"""Put beside the hooks of a config, whoever wrote it: it stays one that runs without TuneDeck."""
FIELDS = {
    "steps": "epochs",
    "warmup_steps": "warmup_ratio",
    "max_norm": "max_grad_norm",
    "pack": "packing",
    "data": "dataset",
    "template": "model",
    "rows": "dataset",
}
"""Setting of XTuner's -> field of the spec that it comes from, where they have other names."""


class Counted(Protocol):
    """A plan, as far as it counts. steps, warmup_steps: optimizer steps."""

    @property
    def steps(self) -> int: ...
    @property
    def warmup_steps(self) -> int: ...


def settings(
    spec: FinetuneSpec,
    folder: Path,
    data: Path,
    numbers: Counted,
    layout: Template = xtuner_config.LLAMA3,
    load_from: Path | None = None,
) -> Settings:
    """``spec``, whose device and precision have been settled, as XTuner takes it. folder: of the base model. data: the rows;
    :data:`ROWS` for those beside the config. layout: see :func:`layout_of`. load_from: a checkpoint to begin with."""
    everything = spec.target_modules == ["all-linear"]
    return Settings(
        model=folder,
        data=data,
        method=spec.method,
        device="cpu" if spec.device == "cpu" else "cuda",
        dtype="float32" if spec.dtype == "auto" else spec.dtype,
        gpus=spec.gpus,
        deepspeed=f"deepspeed_{spec.deepspeed}" if spec.deepspeed else "",
        template=layout,
        max_length=spec.max_length,
        pack=spec.packing,
        steps=numbers.steps,
        # None is none: a warm-up of one iteration would never end.
        warmup_steps=numbers.warmup_steps,
        batch_size=spec.batch_size,
        accumulation=spec.accumulation,
        learning_rate=spec.learning_rate,
        scheduler=spec.scheduler,
        weight_decay=spec.weight_decay,
        max_norm=spec.max_grad_norm,
        lora_rank=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules=() if everything else tuple(spec.target_modules),
        save_every=save_every(spec, numbers.steps),
        # The job takes them away as they come, and keeps those that are to be kept.
        keep=spec.keep,
        gradient_checkpointing=spec.gradient_checkpointing,
        seed=spec.seed,
        load_from=load_from,
        shuffle=not in_order(spec),
    )


def in_order(spec: FinetuneSpec) -> bool:
    """Whether the rows are put in order for XTuner (see :func:`jobs.finetuning.xtuner_data.ordered`), which then leaves it as it is.
    Rows of a batch are filled up to the longest of them, and what is filled in is computed like the rest: with short rows and batches
    of 8 that was more than half of all. On a CPU this is most of the time."""
    return spec.device == "cpu" and not spec.packing and spec.batch_size > 1


def save_every(spec: FinetuneSpec, steps: int) -> int:
    """Steps from one checkpoint to the next."""
    return spec.save_every or every(spec.eval_every, steps)


def layout_of(model: TokenModel) -> Template:
    """How XTuner writes turns for ``model``: told from its chat template."""
    return LAYOUTS[layout_name(model)]


def config(found: Settings) -> str:
    """The whole config file."""
    return xtuner_config.text(found)


def problems(found: Settings, spec: FinetuneSpec, context_length: int | None = None) -> list[Problem]:
    """All that XTuner would refuse late, by the fields of the spec. The rows are looked at elsewhere: they are written when
    the job begins."""
    named = xtuner_config.problems(found, context_length)
    told = [Problem(FIELDS.get(one.field, one.field), one.message) for one in named if one.field != "data"]
    if spec.config_text:
        told += check_text(spec.config_text, found.model, spec.device, found.load_from)
    return told


def check_text(
    text: str, model: Path | None = None, device: str = "cuda", load_from: Path | None = None
) -> list[Problem]:
    """What is wrong with a config that a person edited; nothing of it is run. model: the folder that it has to train."""
    return xtuner_edit.problems(
        text,
        model=str(model.absolute()) if model else "",
        data=ROWS,
        device=device,
        load_from=str(load_from.absolute()) if load_from else None,
    )


def command(python: Path, spec: FinetuneSpec, home: Path | None = None, resume: Path | None = None) -> list[str]:
    """The command that trains, started in ``home``, the folder ``xtuner`` of the job. resume: a checkpoint of this run."""
    home = home or FOLDER / files.XTUNER
    spread = str(home / deepspeed.FILE) if spec.deepspeed else ""
    return xtuner_run.train(
        python, home / CONFIG, home / WORK, gpus=spec.gpus, deepspeed=spread, resume=resume, options=HOOKS
    )


def conversion(python: Path, home: Path, checkpoint: Path, out: Path) -> list[str]:
    """The command that makes an adapter, or after a full fine-tuning a model, of ``checkpoint``."""
    return xtuner_run.to_hf(python, home / CONFIG, checkpoint, out)


def checkpoint_in(folder: Path) -> Path | None:
    """XTuner's own checkpoint in the folder of one of a run's checkpoints; None where another engine made it."""
    return next(iter(sorted(folder.glob("iter_*.pth"))), None)
