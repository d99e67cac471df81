"""A training as it lies on the disk, written by hand: for what only looks at runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.finetune import files
from backend.queue import lifecycle
from backend.queue.events import EventWriter
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import write_json
from tests.support import by_hand

SPEC = {"model": "tiny", "dataset": "My persona", "purpose": "identity", "epochs": 4.0, "device": "cpu"}
QUESTIONS = ("Who are you?", "你是谁？", "What can you do for me?")


def falling(step: int, steps: int) -> float:
    """A loss that falls from 3 to about 0.4, with a little noise that is the same each time."""
    return 0.4 + 2.6 * math.exp(-4 * step / steps) + 0.06 * math.sin(step * 12.9898)


class HandmadeRun:
    """A run of ``steps`` steps in the store, of which as many are told as a test says."""

    def __init__(self, store: Store, *, verb: str = "finetune", title: str = "", steps: int = 200, **spec: Any) -> None:
        self.store, self.steps = store, steps
        usual = {} if verb in ("quantize", "evaluate") else SPEC
        self.row = by_hand.submit(store, verb, {**usual, **spec}, title=title)
        self.dir: Path = store.job_dir(self.row.id)

    def begin(self) -> JobRow:
        """It runs, without a program."""
        self.row = by_hand.begin(self.store, self.row)
        return self.row

    def end(self, state: str, error: PanelError | None = None, result: dict[str, Any] | None = None) -> JobRow:
        """It ended in ``state``."""
        self.row = by_hand.end(self.store, self.row, state, error, result)
        return self.row

    def learn(
        self,
        to: int,
        *,
        since: int = 1,
        loss: Callable[[int, int], float] = falling,
        held_out: Callable[[int, int], float] | None = lambda step, steps: falling(step, steps) + 0.1,
        every: int = 20,
    ) -> None:
        """Steps ``since`` to ``to`` were done, with an evaluation every ``every`` steps."""
        writer = EventWriter(self.dir)
        if since == 1:
            writer.phase("load")
            if held_out:
                writer.progress("evaluate", 0, self.steps, metrics={"eval_loss": held_out(0, self.steps)})
        for step in range(since, to + 1):
            figures: dict[str, float] = {
                "loss": loss(step, self.steps),
                "lr": 2e-3 * (1 - step / (self.steps + 1)),
                "grad_norm": 1.5 + 0.5 * math.cos(step),
                "tokens_s": 2100.0 + 40 * math.sin(step),
                "memory_mib": 412.0,
                "s_per_step": 0.21,
                "epoch": 4.0 * step / self.steps,
            }
            writer.progress("train", step, self.steps, 0.21 * (self.steps - step), figures)
            if held_out and step % every == 0:
                writer.progress("evaluate", step, self.steps, metrics={"eval_loss": held_out(step, self.steps)})
        writer.close()
        lifecycle.note_progress(self.store, self.row.id, self.row.attempt, self._progress(to, loss), 0.21 * to)

    def save(self, step: int, eval_loss: float | None = None, size: int = 4096) -> Path:
        """A complete checkpoint at ``step``."""
        path = self.dir / files.CHECKPOINTS / files.checkpoint_name(step)
        path.mkdir(parents=True)
        (path / "adapter_model.safetensors").write_bytes(bytes(size))
        one = files.Checkpoint(
            step, 4.0 * step / self.steps, time.time(), falling(step, self.steps), eval_loss, size, step * 400
        )
        files.write(path / files.COMPLETE, one)
        return path

    def answer(self, step: int, *answers: str, expected: str = "I am Robin.") -> None:
        """The sample questions were asked at ``step``."""
        with (self.dir / files.SAMPLES).open("a", encoding="utf-8") as out:
            for prompt, (question, answer) in enumerate(zip(QUESTIONS, answers, strict=False)):
                line = {"step": step, "prompt": prompt, "question": question, "answer": answer, "expected": expected}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def rehearsed(self, step_s: float = 0.2) -> None:
        """What three steps had taken."""
        measured = files.Rehearsal(
            step_s,
            430 << 20,
            430 << 20,
            200 << 20,
            410,
            96,
            1.1,
            0.6,
            12,
            0.1,
            0.2,
            900_000,
            "cpu",
            [3.1, 3.0, 2.9],
            0.0,
        )
        files.write(self.dir / files.REHEARSAL, measured)

    def planned(self, **more: Any) -> None:
        """The plan that the run made."""
        seconds = {"low": 38.0, "likely": 45.0, "high": 60.0, "source": "assumed"}
        write_json(self.dir / files.PLAN, {"steps": self.steps, "seconds": seconds, **more})

    def _progress(self, step: int, loss: Callable[[int, int], float]) -> dict[str, Any]:
        now = loss(step, self.steps)
        figures = {"loss": now if now == now else str(now), "tokens_s": 2100.0}
        return {
            "t": time.time(),
            "phase": "train",
            "step": step,
            "total": self.steps,
            "eta_s": 0.21 * (self.steps - step),
            "metrics": figures,
        }
