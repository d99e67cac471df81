"""Train with XTuner: a program of its own environment, followed step by step, stopped when asked, resumed where it was.

See :mod:`backend.finetune.xtuner` for what lies where. Every stage may be cut short and begun again: rows are written once,
checkpoints are moved into place when they are whole, and the adapter gets its name when it is.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.finetune import control, files, xtuner
from backend.finetune.files import Checkpoint
from backend.i18n import N_
from jobs.finetuning import xtuner_checkpoints as checkpoints
from jobs.finetuning.types import Trained
from jobs.finetuning.xtuner_child import Child, environ
from jobs.finetuning.xtuner_converting import convert
from jobs.finetuning.xtuner_failing import explained
from jobs.finetuning.xtuner_following import Following
from jobs.finetuning.xtuner_setting_up import Setup, set_up
from jobs.harness import Job, Stopped

MODEL = "model"
"""Folder of what a full fine-tuning made, for both engines."""
LOOK_S = 0.2
PATIENCE_S = 120.0
"""A wish to save and end is looked at after each step; after so long SIGINT is sent, which keeps what was saved before."""


def train(job: Job, plan: Any) -> Trained:
    """Learn, keep the best, and make an adapter (or model) of it. ``plan``: see :class:`backend.finetune.plan.Plan`.

    Raises:
        PanelError: why not, in words. Stopped: the person asked to stop; the newest state is saved.
    """
    job.phase("prepare")
    setup = set_up(job, plan)
    following = Following(job, setup.home, setup.settings, plan.steps_per_epoch, setup.made.prompts, setup.model)
    following.begin(setup.settings.iterations)
    checkpoints.mend(job.dir, setup.work, following.describe)
    ended = _over(job, setup, following)
    if not ended:
        ended = _learn(job, setup, following)
    kept = _best(job.dir)
    job.phase("convert")
    full = setup.spec.method == "full"
    out = job.dir / (MODEL if full else files.ADAPTER)
    inside = xtuner.checkpoint_in(Path(kept.path))
    assert inside is not None, kept.path
    made = convert(job, setup.home, inside, setup.base, out, setup.settings.device)
    return Trained(
        adapter=None if full else made,
        model=made if full else None,
        step=kept.step,
        steps=setup.settings.steps,
        loss=kept.loss,
        eval_loss=kept.eval_loss,
        ended=ended,
    )


def rehearse(job: Job, plan: Any) -> files.Rehearsal:
    """See :func:`jobs.finetuning.xtuner_rehearsing.rehearse`."""
    from jobs.finetuning.xtuner_rehearsing import rehearse as three_steps

    return three_steps(job, plan)


def _over(job: Job, setup: Setup, following: Following) -> str:
    """How it had ended already, before this attempt; empty where there is still something to learn."""
    found = files.checkpoints(job.dir)
    if not found:
        return ""
    if found[-1].step >= setup.settings.steps:
        return "done"
    if control.finish_asked(job.dir):
        return "asked"
    return "patience" if _impatient(setup, following) else ""


def _impatient(setup: Setup, following: Following) -> bool:
    return 0 < setup.spec.patience <= following.worse


def _learn(job: Job, setup: Setup, following: Following) -> str:
    """Start XTuner and follow it to its end; returns how it ended, see :class:`Trained`."""
    found = files.checkpoints(job.dir)
    resume = xtuner.checkpoint_in(Path(found[-1].path)) if found else setup.resume
    done = int(resume.stem.removeprefix("iter_")) if resume else 0
    following.begin(done)
    stop = setup.home / xtuner.STOP
    stop.unlink(missing_ok=True)
    python = setup.found.python
    assert python is not None
    argv = xtuner.command(python, setup.spec, setup.home, resume)
    own = resume is not None or setup.settings.load_from is not None
    job.log(" ".join(argv))
    job.phase("load")
    child = Child(argv, setup.home, environ(setup.found, setup.home, device=setup.settings.device, own=own), job.log)
    try:
        reason = _follow(job, setup, following, child, done, stop)
    finally:
        child.end()
        if following.broken is None:
            with contextlib.suppress(PanelError):  # that it has gone astray since is said on the way out, or not at all
                following.look()
        checkpoints.adopt(job.dir, setup.work, following.describe, broken=following.broken)
        checkpoints.let_go(job.dir, setup.spec.keep)
    if job.stop_requested:
        raise Stopped
    code = child.process.returncode
    if code and not (reason and files.checkpoints(job.dir)):
        step = following.iterations // setup.settings.accumulation
        raise explained(job.dir, child.lines(), code, step=step, device=setup.settings.device)
    return reason or "done"


def _follow(job: Job, setup: Setup, following: Following, child: Child, begun: int, stop: Path) -> str:
    """Until it has ended; returns the wish with which it was ended, if any."""
    reason, wished, told, learning = "", 0.0, False, False
    while True:
        over = child.ended()
        newest = checkpoints.named(setup.work)
        following.look()
        if not learning and following.iterations > begun:
            learning = True
            job.log("[train]")
        until = None if over else following.iterations
        new = checkpoints.adopt(job.dir, setup.work, following.describe, newest=newest, until=until)
        if new:
            checkpoints.let_go(job.dir, setup.spec.keep)
            job.log(f"checkpoint after step {new[-1].step}: {new[-1].bytes / 1e6:.1f} MB")
        if over:
            return reason
        if not reason and (reason := _wish(job, setup, following, learning)):
            stop.touch()
            wished = time.monotonic()
        # Before its first step there is nothing to save; and a step may take for ever.
        late = time.monotonic() - wished > PATIENCE_S
        if reason and not told and (late or not learning):
            child.interrupt()
            told = True
        child.wait(LOOK_S)


def _wish(job: Job, setup: Setup, following: Following, learning: bool) -> str:
    if job.stop_requested:
        return "stopped"
    if learning and control.finish_asked(job.dir):
        return "asked"
    return "patience" if learning and _impatient(setup, following) else ""


def _best(job_dir: Path) -> Checkpoint:
    found = files.checkpoints(job_dir)
    if not found:
        raise PanelError(
            "xtuner_no_checkpoint",
            N_("XTuner ended and wrote no checkpoint."),
            N_("The log of this job has all that it said. In a config of your own, look at the checkpoint hook."),
        )
    return next((one for one in reversed(found) if one.best), found[-1])
