"""What happens beside learning: figures, evaluations, checkpoints, sample answers, and all reasons to stop."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from backend.errors import PanelError
from backend.finetune import control as asked
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from jobs.finetuning import checkpoints, memory
from jobs.finetuning.boards import Board
from jobs.finetuning.running_out import Phases
from jobs.finetuning.sampling import Sampler
from jobs.harness import Job

if TYPE_CHECKING:
    from jobs.finetuning.learner import Learner

RECENT = 20
"""Steps whose pace says how long the rest takes."""
LONG_STEP_S = 45.0
"""A step that takes longer is not waited for when a person asks to stop."""


class Watch(TrainerCallback):
    """Says how a run does, and ends it where it should. ``ended``: ``done``, ``asked``, ``patience`` or ``stopped``."""

    def __init__(self, job: Job, spec: FinetuneSpec, kind: str, sampler: Sampler, board: Board, phases: Phases) -> None:
        """kind: of the device."""
        self.job, self.spec, self.kind = job, spec, kind
        self.sampler, self.board, self.phases = sampler, board, phases
        self.learner: Learner | None = None
        self.ended = "done"
        self._began = self._step_began = time.monotonic()
        self._first = 0
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._spent = 0.0
        self._tokens, self._seconds, self._counted = 0, 0.0, 0
        self._seen = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Nothing is behind us but what a checkpoint says."""
        self._began, self._first = time.monotonic(), state.global_step
        self.sampler.forget_after(state.global_step)
        if not self._model.loaded.adapted:
            self._ask_base(state)
        self.job.progress("train", state.global_step, state.max_steps)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The clock of one step. The base's answers come after the first one, for which people wait."""
        if state.global_step > self._first:
            self._ask_base(state)
        self._step_began = time.monotonic()

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A person who wants to stop does not wait for the end of a long step: it is done again afterwards."""
        if self.job.stop_requested and self._long():
            self.ended = "stopped"
            control.should_training_stop = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What is to be done after this step."""
        took = time.monotonic() - self._step_began
        step, last = state.global_step, state.global_step >= state.max_steps
        self.phases.step = step
        self._steps.append(took)
        self._spent += took
        self._tokens, self._seen = self._tokens + self._model.seen - self._seen, self._model.seen
        self._seconds, self._counted = self._seconds + took, self._counted + 1
        if asked.finish_asked(self.job.dir):
            self.ended, last = "asked", True
            control.should_training_stop = True
        elif self.job.stop_requested and step < state.max_steps:
            self.ended = "stopped"
            control.should_training_stop = control.should_save = control.should_log = True
            return
        control.should_log = control.should_log or last
        control.should_evaluate = self._model.measured is not None and (last or step % self.spec.eval_every == 0)
        control.should_save = last or step % self.spec.save_every == 0
        if last or step % self.spec.sample_every == 0:
            self._ask_base(state)
            self._ask(step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Mapping[str, Any], **_: Any
    ) -> None:
        """Figures, to the page, to the board and to the log."""
        if "loss" in logs:
            self._learned(state, logs)
        elif "eval_loss" in logs:
            self._check(state, "eval_loss", float(logs["eval_loss"]))
            self._say("evaluate", state, {"eval_loss": float(logs["eval_loss"])})

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Whether it is still worth it."""
        if not self.spec.patience or self.ended != "done":
            return
        losses = [float(one["eval_loss"]) for one in state.log_history if "eval_loss" in one]
        if losses and len(losses) - 1 - losses.index(min(losses)) >= self.spec.patience:
            self.job.log(f"no better for {self.spec.patience} evaluations: it stops here")
            self.ended = "patience"
            control.should_training_stop = control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint is there."""
        made = self._model.saved
        if made is not None:
            self._say("save", state, {})
            self.job.log(f"checkpoint of step {made.step}: {made.bytes / (1 << 20):.1f} MiB")

    @property
    def _model(self) -> Learner:
        assert self.learner is not None
        return self.learner

    def _learned(self, state: TrainerState, logs: Mapping[str, Any]) -> None:
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm") or 0.0)
        self._check(state, "loss", loss)
        if not self._model.args.fp16:  # there a step with such gradients is left out
            self._check(state, "grad_norm", norm)
        pace = self._seconds / max(1, self._counted)
        figures = {
            "loss": loss,
            "lr": float(logs["learning_rate"]),
            "grad_norm": norm,
            "epoch": float(logs.get("epoch") or 0.0),
            "tokens_s": self._tokens / max(self._seconds, 1e-9),
            "s_per_step": pace,
            "memory_mib": memory.peak_mib(self.kind),
        }
        self._tokens, self._seconds, self._counted = 0, 0.0, 0
        self._say("train", state, {name: _short(value) for name, value in figures.items()})

    def _say(self, phase: str, state: TrainerState, figures: dict[str, float]) -> None:
        step, total = state.global_step, state.max_steps
        self.job.progress(phase, step, total, self._eta(state), figures)
        if figures:
            self.board.scalars(step, figures)
            self.job.log(f"step {step}/{total} " + " ".join(f"{name} {value:.5g}" for name, value in figures.items()))

    def _eta(self, state: TrainerState) -> float:
        """Seconds to the end: steps as the last ones were, and what came between them so far."""
        done, left = max(1, state.global_step - self._first), state.max_steps - state.global_step
        between = max(0.0, time.monotonic() - self._began - self._spent) / done
        return left * (sum(self._steps) / max(1, len(self._steps)) + between)

    def _check(self, state: TrainerState, name: str, value: float) -> None:
        if math.isfinite(value):
            return
        self.job.progress("train", state.global_step, state.max_steps, None, {name: value})
        raise not_a_number(self.job, state.global_step, name)

    def _long(self) -> bool:
        mean = sum(self._steps) / len(self._steps) if self._steps else time.monotonic() - self._step_began
        return mean > LONG_STEP_S

    def _ask_base(self, state: TrainerState) -> None:
        """The base's answers, once. A whole model that has learned is no base any more."""
        if self.sampler.base_asked:
            return
        self.sampler.base_asked = True
        if self.sampler.done(0):
            return
        with self.phases("evaluate"):
            if self._model.loaded.adapted:
                with self._model.loaded.model.disable_adapter():
                    self.sampler.ask(self._model.loaded.model, 0)
            elif state.global_step == 0:
                self.sampler.ask(self._model.loaded.model, 0)

    def _ask(self, step: int) -> None:
        with self.phases("evaluate"):
            self.sampler.ask(self._model.loaded.model, step)


def not_a_number(job: Job, step: int, name: str) -> PanelError:
    """A run of which nothing will come any more. name: of the figure."""
    before = checkpoints.newest(job.dir)
    hint = N_(
        "Halve the learning rate or make the warm-up longer; with float16 take bfloat16 or float32. "
        "A checkpoint from before can be begun from."
    )
    if before is None:
        return PanelError(
            "finetune_nan",
            N_(
                "After step {step} the figure {name} was no number: nothing is learned any more. There is no checkpoint before it."
            ),
            hint,
            step=step,
            name=name,
        )
    return PanelError(
        "finetune_nan",
        N_(
            "After step {step} the figure {name} was no number: nothing is learned any more. The checkpoint of step {last} is good."
        ),
        hint,
        step=step,
        name=name,
        last=before.step,
    )


def _short(value: float) -> float:
    """Seven digits say all, and a hundred thousand points are kept."""
    return float(f"{value:.7g}") if math.isfinite(value) else value
