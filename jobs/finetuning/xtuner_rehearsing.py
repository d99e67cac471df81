"""Three real steps of XTuner with the longest rows, one evaluation, one save, one load: in a folder of their own, gone afterwards."""

from __future__ import annotations

import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.data.tokens import open_listed
from backend.engines import xtuner_run
from backend.errors import PanelError
from backend.finetune import files, xtuner
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace
from jobs.finetuning import rows, xtuner_data
from jobs.finetuning.xtuner_child import Child, environ, environment
from jobs.finetuning.xtuner_data import Prepared
from jobs.finetuning.xtuner_failing import explained
from jobs.finetuning.xtuner_following import Following
from jobs.finetuning.xtuner_setting_up import beginning, write
from jobs.harness import Job, Stopped

STEPS = 3
EVALUATED = 32
MOST_ACCUMULATION = 2
"""Batches to a rehearsed step: the second already adds to gradients that are there, and more take time only."""


def rehearse(job: Job, plan: Any) -> files.Rehearsal:
    """Measure it.

    Raises:
        PanelError: what would have failed later. Stopped: the person asked to stop.
    """
    job.phase("rehearse")
    few = min(plan.spec.accumulation, MOST_ACCUMULATION)
    trial = {"config_text": "", "eval_every": STEPS, "save_every": STEPS, "accumulation": few}
    spec: FinetuneSpec = plan.spec.model_copy(update=trial)
    workspace = open_workspace()
    ready, model = environment(workspace), open_listed(workspace, spec.model)
    home = job.dir / files.XTUNER / "rehearsal"
    shutil.rmtree(home, ignore_errors=True)
    chosen = rows.prepare(job.dir, spec)
    train, longest = xtuner_data.longest(chosen.rows("train"), model, spec, STEPS)
    made = xtuner_data.prepare(home, spec, model, train, xtuner_data.spread(chosen.validation, EVALUATED))
    resume, load_from = beginning(spec)
    settings = xtuner.settings(
        spec, Path(plan.model_folder), Path(xtuner.ROWS), plan, xtuner.layout_of(model), load_from or resume
    )
    settings = write(home, spec, replace(settings, steps=STEPS, warmup_steps=0, save_every=STEPS))
    every = STEPS * settings.accumulation
    xtuner_data.watch(
        home,
        spec,
        model,
        made,
        every=every,
        samples_every=every,
        accumulation=settings.accumulation,
        first=False,
        restore=True,
    )
    assert ready.python is not None
    variables = environ(ready, home, device=settings.device, own=settings.load_from is not None)
    following, began = Following(_Silent(job), home, settings, 1, made.prompts, model), time.time()  # type: ignore[arg-type]
    child = Child(xtuner.command(ready.python, spec, home), home, variables, job.log)
    try:
        while not child.ended():
            if job.stop_requested:
                raise Stopped
            following.look()
            child.wait(0.2)
    finally:
        child.end()
    following.look()
    if child.process.returncode:
        step = following.iterations // settings.accumulation
        raise explained(job.dir, child.lines(), child.process.returncode, step=step, device=settings.device)
    found = _measured(plan, home, following, made, began, longest)
    shutil.rmtree(home, ignore_errors=True)
    files.write(job.dir / files.REHEARSAL, found)
    job.log(
        f"rehearsed: {found.step_s:.2f} s a step of {found.tokens_per_step} tokens, at most {found.peak_bytes / (1 << 20):.0f} MiB, "
        f"a checkpoint of {found.checkpoint_bytes / (1 << 20):.1f} MiB"
    )
    return found


class _Silent:
    """A job that tells nothing of single steps: they are none of the training's."""

    def __init__(self, job: Job) -> None:
        self.dir, self._job = job.dir, job

    def progress(self, phase: str, step: float, total: float | None = None, *unused: Any, **more: Any) -> None:
        self._job.progress("rehearse", step, total)


def _measured(
    plan: Any, home: Path, following: Following, made: Prepared, began: float, longest: int
) -> files.Rehearsal:
    said = {line["what"]: line for line in following.said}
    steps = [row for row in xtuner_run.Scalars(home / xtuner.WORK).new() if "loss" in row]
    saved = home / xtuner.WORK / "last_checkpoint"
    if not steps or "ready" not in said or "end" not in said or not saved.exists():
        raise PanelError(
            "xtuner_rehearsal_silent",
            N_("XTuner ended well and did not say what its three steps took."),
            N_("The log of this job has all that it said. Start the run without the rehearsal."),
        )
    ready, end, evaluation = said["ready"], said["end"], said.get("evaluation", {})
    spec: FinetuneSpec = plan.spec
    times = [float(row["time"]) - float(row.get("data_time") or 0.0) for row in steps]
    weights = list((home / xtuner.WORK).glob("iter_*.pth"))
    on_cpu = following.settings.device == "cpu"
    return files.Rehearsal(
        step_s=statistics.median(times[1:] or times) * spec.accumulation,
        peak_bytes=int(end["peak"]),
        held_bytes=int(end["held"]),
        # When the hook is there, the weights are, and hardly more.
        before_bytes=max(0, int(ready["resident"]) - int(ready["weights"])) if on_cpu else 0,
        tokens_per_step=round(
            int(steps[-1].get("tokens", 0)) / len(steps) * spec.accumulation / following.settings.accumulation
        ),
        longest=longest,
        load_s=round(float(ready["t"]) - began, 3),
        eval_s=round(float(evaluation.get("s", 0.0)), 4),
        eval_rows=made.evaluated,
        save_s=round(max(0.0, saved.stat().st_mtime - float(evaluation.get("t", saved.stat().st_mtime))), 4),
        restore_s=round(float(said.get("restored", {}).get("s", 0.0)), 4),
        checkpoint_bytes=sum(_size(path) for path in weights),
        device="cpu" if on_cpu else "cuda",
        losses=[float(row["loss"]) for row in steps],
        made=time.time(),
        settings=spec.model_dump(mode="json", exclude={"config_text", "sample_prompts"}),
    )


def _size(path: Path) -> int:
    return (
        sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else path.stat().st_size
    )
