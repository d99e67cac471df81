"""A training of XTuner as it goes: its measurements, evaluations and answers become the job's events, samples and checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.data.tokens.model import TokenModel
from backend.engines import xtuner_run
from backend.engines.xtuner_config import Settings
from backend.errors import PanelError
from backend.finetune import files, xtuner
from backend.finetune.files import Checkpoint, Sample
from backend.i18n import N_
from jobs.finetuning.boards import Board
from jobs.finetuning.xtuner_data import Prompt
from jobs.harness import Job
from jobs.watched import Watched


class Following:
    """What was measured so far, by iterations done. settings: what is trained. per_epoch: steps of an epoch."""

    def __init__(
        self, job: Job, home: Path, settings: Settings, per_epoch: int, prompts: Sequence[Prompt], model: TokenModel
    ) -> None:
        self.job, self.settings, self.per_epoch = job, settings, max(1, per_epoch)
        self._prompts, self._tokenizer = prompts, model.tokenizer
        self._scalars = xtuner_run.Scalars(home / xtuner.WORK)
        self._watched = Watched(home / xtuner.WATCHED)
        self._losses: dict[int, float] = {}
        self._evaluated: dict[int, float] = {}
        self._tokens: dict[int, int] = {0: 0}
        self._board = Board(job.dir / files.TENSORBOARD)
        self._since: tuple[float, float] | None = None
        self.said: list[dict[str, Any]] = []
        """What the hook said since :meth:`begin`."""
        self.iterations = 0
        """Done."""
        self.worse = 0
        """Evaluations since the best one."""
        self.broken: int | None = None
        """The iteration in which the loss was no number any more."""

    def begin(self, done: int) -> None:
        """Look back at what earlier attempts have measured, and forget what came after ``done`` iterations, where it goes on."""
        for row in self._scalars.new():
            self._measured(row)
        for line in self._watched.new():
            self._heard(line)
        for known in (self._losses, self._evaluated, self._tokens):
            for late in [each for each in known if each > done]:
                del known[late]
        self.iterations, self.said, self._since, self.broken = done, [], None, None
        self._count_worse()

    def look(self) -> None:
        """Tell what is new.

        Raises:
            PanelError: ``finetune_nan``: the loss is no number any more.
        """
        for line in self._watched.new():
            self.said.append(line)
            self._heard(line)
            if line["what"] == "evaluation":
                self._count_worse()
                step, loss = line["iter"] / self.settings.accumulation, float(line["loss"])
                self.job.progress("evaluate", step, self.settings.steps, metrics={"eval_loss": loss})
                self._board.scalars(round(step), {"eval_loss": loss})
            elif line["what"] == "sample":
                self._answered(line)
        for row in self._scalars.new():
            if (told := xtuner_run.progress(row, self.settings)) is not None:
                self._tell(row, told)

    def describe(self, done: int) -> Checkpoint:
        """What is known of the state after ``done`` iterations."""
        step = -(-done // self.settings.accumulation)
        return Checkpoint(
            step=step,
            epoch=round(step / self.per_epoch, 4),
            created=0.0,
            loss=self._losses.get(done),
            eval_loss=self._evaluated.get(done),
            tokens=self._tokens.get(done, 0),
        )

    def _tell(self, row: dict[str, Any], told: dict[str, Any]) -> None:
        before = self.iterations
        self._measured(row)
        metrics = dict(told["metrics"])
        # Evaluations and answers come before the next step, and count as its waiting for data.
        seconds = metrics.pop("s_per_iteration", 0.0) - float(row.get("data_time") or 0.0)
        seconds *= self.settings.accumulation
        if seconds > 0:
            metrics["s_per_step"] = seconds
        steps = (self.iterations - before) / self.settings.accumulation
        # Not known at the first step that follows a checkpoint of another run.
        learned = self._tokens.get(self.iterations, 0) - self._tokens[before] if before in self._tokens else 0
        if seconds > 0 and steps > 0 and learned > 0:
            metrics["tokens_s"] = learned / (seconds * steps)
        metrics["epoch"] = told["step"] / self.per_epoch
        left = self._left(told["step"], max(0.0, told["total"] - told["step"]), seconds)
        self.job.progress("train", told["step"], told["total"], left, metrics)
        self._board.scalars(round(told["step"]), metrics)
        if not math.isfinite(metrics["loss"]):
            self.broken = self.iterations
            good = files.checkpoints(self.job.dir)
            raise PanelError(
                "finetune_nan",
                N_(
                    "After step {step} the {what} was no number any more: from there on nothing is learned. The last good checkpoint: {last}."
                ),
                N_(
                    "Halve the learning rate or make the warm-up longer; with float16 take bfloat16 or float32. A checkpoint from before can be begun from."
                ),
                step=math.ceil(told["step"]),
                what="training loss",
                last=f"step {good[-1].step}" if good else "–",
            )

    def _left(self, step: float, steps: float, seconds: float) -> float:
        """Seconds for so many ``steps`` more: as long as those of this attempt took, with all that came between them."""
        now = time.monotonic()
        if self._since is None:
            self._since = now, step
        begun, first = self._since
        return steps * ((now - begun) / (step - first) if step > first else seconds)

    def _measured(self, row: dict[str, Any]) -> None:
        done = row.get("iter")
        if not isinstance(done, int) or "loss" not in row:
            return
        self.iterations = done
        self._losses[done] = float(row["loss"])
        if isinstance(row.get("tokens"), int | float):
            self._tokens[done] = int(row["tokens"])

    def _heard(self, line: dict[str, Any]) -> None:
        if line["what"] == "evaluation":
            self._evaluated[line["iter"]] = float(line["loss"])

    def _count_worse(self) -> None:
        learned = [self._evaluated[done] for done in sorted(self._evaluated) if done]
        self.worse = len(learned) - 1 - learned.index(min(learned)) if learned else 0

    def _answered(self, line: dict[str, Any]) -> None:
        asked = self._prompts[line["prompt"]]
        answer = self._tokenizer.decode(line["ids"], skip_special_tokens=True).strip()
        step = line["iter"] // self.settings.accumulation
        one = Sample(step, line["prompt"], asked.question, answer, asked.expected)
        with (self.job.dir / files.SAMPLES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
