"""All that XTuner needs before it is started: its environment, rows, config, and where it begins."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.data.tokens import open_listed
from backend.data.tokens.model import TokenModel
from backend.engines import xtuner_edit
from backend.engines.xtuner_config import Settings
from backend.envs.status import Status
from backend.errors import PanelError
from backend.finetune import deepspeed, files, xtuner
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace
from jobs.finetuning import rows, xtuner_data
from jobs.finetuning.xtuner_child import environment
from jobs.finetuning.xtuner_data import Prepared
from jobs.harness import Job


@dataclass(frozen=True)
class Setup:
    """home: where XTuner is started. base: folder of the model. resume: a checkpoint of another run to go on from."""

    home: Path
    spec: FinetuneSpec
    found: Status
    model: TokenModel
    base: Path
    settings: Settings
    made: Prepared
    resume: Path | None = None

    @property
    def work(self) -> Path:
        return self.home / xtuner.WORK


def set_up(job: Job, plan: Any) -> Setup:
    """Write rows, config and what is to be watched; what an earlier attempt wrote stays. ``plan``: see
    :class:`backend.finetune.plan.Plan`.

    Raises:
        PanelError: the environment is not ready, the settings or the rows cannot be, or the checkpoint is none of XTuner's.
    """
    spec: FinetuneSpec = plan.spec
    workspace = open_workspace()
    found, model = environment(workspace), open_listed(workspace, spec.model)
    home, base = job.dir / files.XTUNER, Path(plan.model_folder)
    made = xtuner_data.prepared(home)
    if made is None:
        chosen = rows.prepare(job.dir, spec)
        made = xtuner_data.prepare(home, spec, model, chosen.rows("train"), chosen.validation, chosen.questions)
    resume, load_from = beginning(spec)
    settings = xtuner.settings(spec, base, Path(xtuner.ROWS), plan, layout=xtuner.layout_of(model), load_from=load_from)
    if resume is not None:
        settings, resume = _going_on(job, settings, resume)
    settings = write(home, spec, settings)
    _watch(home, spec, settings, model, made)
    return Setup(home, spec, found, model, base, settings, made, resume)


def write(home: Path, spec: FinetuneSpec, settings: Settings) -> Settings:
    """Write the config, the one that a person edited where there is one, and DeepSpeed's settings. Returns what it says.

    Raises:
        PanelError: ``xtuner_settings``: XTuner would not take them.
    """
    if problems := xtuner.problems(settings, spec):
        raise PanelError(
            "xtuner_settings",
            N_("XTuner cannot train with these settings: {problem}"),
            N_("Correct them on the Fine-tune page and start again."),
            problem=" ".join(one.message for one in problems),
            problems=[{"field": one.field, "message": one.message} for one in problems],
        )
    (home / xtuner.CONFIG).write_text(spec.config_text or xtuner.config(settings), encoding="utf-8")
    if (spread := deepspeed.of(spec)) is not None:
        (home / deepspeed.FILE).write_text(json.dumps(spread, indent=1), encoding="utf-8")
    if spec.config_text:
        edited = xtuner_edit.read(spec.config_text)
        return replace(settings, steps=edited.steps, accumulation=edited.accumulation)
    return settings


def beginning(spec: FinetuneSpec) -> tuple[Path | None, Path | None]:
    """(checkpoint to go on from with everything, checkpoint to take the weights of) that ``spec`` names.

    Raises:
        PanelError: ``checkpoint_other_engine``.
    """
    if not spec.start_from:
        return None, None
    found = xtuner.checkpoint_in(Path(spec.start_from).expanduser())
    if found is None:
        raise PanelError(
            "checkpoint_other_engine",
            N_("{folder} holds no checkpoint of XTuner."),
            N_("Begin from a checkpoint of a run with XTuner, or choose the engine that made this one."),
            folder=spec.start_from,
        )
    return (found, None) if spec.start_mode == "continue" else (None, found)


def _going_on(job: Job, settings: Settings, checkpoint: Path) -> tuple[Settings, Path | None]:
    """XTuner counts iterations: where a step takes another number of them now, its place and its optimizer's do not fit any
    more, and what is left is learned from the weights."""
    iterations = int(checkpoint.stem.removeprefix("iter_"))
    known = files.read(checkpoint.parent / files.COMPLETE, files.Checkpoint)
    step = known.step if known is not None else iterations // settings.accumulation
    if step >= settings.steps:
        raise PanelError(
            "xtuner_nothing_left",
            N_("The checkpoint is at step {step} already, and the training ends at step {steps}."),
            N_("Take more epochs, or begin from the weights only."),
            step=step,
            steps=settings.steps,
        )
    if -(-iterations // settings.accumulation) == step:
        return settings, checkpoint
    left = settings.steps - step
    job.log(f"a step takes another number of iterations than in the checkpoint: {left} steps from its weights")
    fewer = min(settings.warmup_steps, left - 1)
    return replace(settings, steps=left, warmup_steps=max(0, fewer), load_from=checkpoint), None


def _watch(home: Path, spec: FinetuneSpec, settings: Settings, model: TokenModel, made: Prepared) -> None:
    saved = xtuner.save_every(spec, settings.steps)
    evaluated = spec.eval_every or saved
    xtuner_data.watch(
        home,
        spec,
        model,
        made,
        every=evaluated * settings.accumulation,
        samples_every=(spec.sample_every or evaluated) * settings.accumulation,
        accumulation=settings.accumulation,
    )
