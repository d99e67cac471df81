"""How long it will take: from a rehearsal or earlier runs with such settings on this machine, else from arithmetic.

Arithmetic: a forward pass takes 2 operations for each number of the model and token, the way back as many for the inputs and
again for what is trained; checkpointing computes forward twice (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). What a
processor reaches of that differs by a factor of several, so the band is wide and says ``assumed``.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard
from backend.finetune import files
from backend.finetune.counting import Counted
from backend.finetune.faults import Source, Span
from backend.finetune.files import Rehearsal
from backend.memory.machine import Gpu, Machine
from backend.queue.events import FILE as EVENTS
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace

CPU_FLOPS = 40e9
"""Operations in 32 bits that a core reaches in a training: 44 was measured with the model that ships with TuneDeck (a
step of 1,024 tokens in 0.49 CPU seconds); cores of the last ten years reach 10 to 80."""
PER_LAYER_S = 0.0035
"""What a layer takes beside its matrices, forward and back, on a CPU."""
GPU_PEAK = {
    "H200": 989e12,
    "H100": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40": 181e12,
}
GPU_PEAK |= {"4090": 165e12, "3090": 71e12, "A10": 125e12, "V100": 125e12, "T4": 65e12, "B200": 2250e12, "L4": 121e12}
"""Dense operations a second in 16 bits, as NVIDIA's data sheets give them."""
GPU_UNKNOWN = 60e12
REACHED = 0.2
"""Share of the peak that a training reaches. The course notes' QLoRA of Llama 3 8B with one row of 512 tokens at a time: 0.11
on an A100, 0.07 on an H800, unpacking of 4 bits included; large batches in 16 bits: 0.3 to 0.5."""
NF4_S = 2e-11
"""Seconds for each number of the base and pass through it, to unpack it from 4 bits."""
LOW, HIGH = 0.4, 2.5
MEASURED = {"rehearsal": (0.9, 1.2), "earlier": (0.75, 1.4)}
"""Band around what was measured here, as factors."""
START_S, GPU_START_S = 12.0, 30.0
"""From the start to the first step with a small model: programs are loaded, rows read."""
LOAD_BYTES_S = 400e6
"""Weights are read from the disk so fast."""
ANSWER_TOKENS, QUESTIONS = 48, 4
ALIKE = (
    "model", "engine", "method", "device", "dtype", "max_length", "packing", "batch_size", "accumulation", "gpus",
    "gradient_checkpointing", "deepspeed",
)  # fmt: skip
"""Fields on which the time of a step depends."""
LOOKED_AT = 200
TAIL = 1 << 16
"""Bytes at the end of a run's events in which its speed is looked for."""


@dataclass(frozen=True)
class Known:
    """per_step_s: seconds of an optimizer step, evaluations, samples and checkpoints shared out. around_s: before the first step
    and after the last."""

    per_step_s: float
    around_s: float
    source: Source
    band: tuple[float, float]

    def span(self, steps: int) -> Span:
        likely = self.around_s + steps * self.per_step_s
        low, high = self.band
        return Span(likely * low, likely, likely * high, self.source)


def known(
    workspace: Workspace, spec: FinetuneSpec, card: ModelCard, counted: Counted, machine: Machine
) -> Known | None:
    """The best that is known; None where nothing can be said of the model's size."""
    guess = assumed(spec, card, counted, machine)
    measured = rehearsal(workspace, spec)
    if measured is not None and guess is not None:
        found = measured[1]
        steps = max(1, counted.steps)
        per_row = found.eval_s / max(1, found.eval_rows)
        evaluations = max(1, steps // max(1, spec.eval_every or max(1, steps // 10)))
        around = (
            found.load_s
            + evaluations * (per_row * counted.validation_rows + found.save_s)
            + _after(spec, card, machine)
        )
        return Known(found.step_s, around, "rehearsal", MEASURED["rehearsal"])
    earlier = _earlier(workspace, spec)
    if earlier is not None and guess is not None:
        return Known(earlier, guess.around_s, "earlier", MEASURED["earlier"])
    return guess


def assumed(spec: FinetuneSpec, card: ModelCard, counted: Counted, machine: Machine) -> Known | None:
    """From arithmetic alone."""
    size = (card.base or card).parameters
    if not size or not counted.steps:
        return None
    tokens = min(
        counted.tokens / max(1, counted.steps_per_epoch),
        spec.max_length * spec.batch_size * spec.accumulation * spec.gpus,
    )
    per_step = _pass(spec, card, machine, size, tokens, learning=True) / spec.gpus
    evaluation = counted.validation_rows * counted.tokens / max(1, counted.rows)
    share = _pass(spec, card, machine, size, evaluation, learning=False) + _answers(
        spec, card, machine, size, QUESTIONS
    )
    evaluations = 11 if not spec.eval_every else counted.steps / spec.eval_every + 1
    around = _before(spec, card) + evaluations * share + _after(spec, card, machine)
    return Known(per_step, around, "assumed", (LOW, HIGH))


def _pass(spec: FinetuneSpec, card: ModelCard, machine: Machine, size: int, tokens: float, *, learning: bool) -> float:
    """Seconds for so many tokens forward, and back where it learns."""
    times = 2.0
    if learning:
        times = 6.0 if spec.method == "full" else 4.0
        times += 2.0 if spec.gradient_checkpointing else 0.0
    operations = times * size * tokens
    batches = max(1.0, tokens / max(1, spec.max_length * spec.batch_size))
    if spec.device == "cpu":
        return operations / (CPU_FLOPS * max(1, machine.cores)) + batches * (card.layers or 24) * PER_LAYER_S
    seconds = operations / (REACHED * peak(machine.gpus))
    if spec.method == "qlora":
        seconds += batches * size * NF4_S * times / 2
    return seconds + batches * (card.layers or 24) * 0.0005


def _answers(spec: FinetuneSpec, card: ModelCard, machine: Machine, size: int, questions: int) -> float:
    """Seconds for so many answers, written together."""
    each = 2.0 * size * questions / (CPU_FLOPS * max(1, machine.cores)) if spec.device == "cpu" else 2.0 * size / 1e12
    layers = card.layers or 24
    return ANSWER_TOKENS * (each + layers * (0.0007 if spec.device == "cpu" else 0.001))


def _before(spec: FinetuneSpec, card: ModelCard) -> float:
    loading = (card.base or card).size_bytes / LOAD_BYTES_S
    return (START_S if spec.device == "cpu" else GPU_START_S) + loading * (2 if spec.rehearse else 1)


def _after(spec: FinetuneSpec, card: ModelCard, machine: Machine) -> float:
    """Merge, its check, and the proof."""
    base = card.base or card
    size, weights = base.parameters or 0, base.size_bytes
    seconds = 2.0
    if spec.merge and spec.method != "full":
        seconds += 3 + 4 * weights / LOAD_BYTES_S
    if spec.prove:
        # Some hundred questions, asked of base and tuned model, sixteen at a time.
        seconds += 2 * 20 * _answers(spec, base, machine, size, 16)
    return seconds


def peak(gpus: tuple[Gpu, ...]) -> float:
    """Operations a second of the roomiest GPU, as its name tells."""
    name = gpus[0].name if gpus else ""
    return next((value for key, value in GPU_PEAK.items() if key in name), GPU_UNKNOWN)


def rehearsal(workspace: Workspace, spec: FinetuneSpec) -> tuple[int, Rehearsal] | None:
    """(job, what was measured) of the newest rehearsal here with settings that take as long."""
    for job, folder_spec in _runs(workspace):
        found = files.read(workspace.job_dir(job) / files.REHEARSAL, Rehearsal)
        if found is not None and alike(spec, {**folder_spec, **found.settings}):
            return job, found
    return None


def alike(spec: FinetuneSpec, other: dict[str, Any]) -> bool:
    """Whether a step of both takes as long."""
    mine = spec.model_dump(mode="json")
    return all(mine.get(name) == other.get(name) for name in ALIKE)


def _earlier(workspace: Workspace, spec: FinetuneSpec) -> float | None:
    """Seconds of a step at the end of the newest run here with such settings."""
    for job, other in _runs(workspace):
        if alike(spec, other) and (found := _last_step_s(workspace.job_dir(job) / EVENTS)):
            return found
    return None


def _last_step_s(events: Path) -> float | None:
    """``s_per_step`` of the last event that has one; None where none of the last ones does."""
    try:
        with events.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        if b'"s_per_step"' in line:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                return float(json.loads(line)["metrics"]["s_per_step"]) or None
    return None


def _runs(workspace: Workspace) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, spec) of trainings and rehearsals here, the newest first."""
    if not workspace.state_db.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{workspace.state_db}?mode=ro", uri=True, timeout=1)) as db:
            query = "SELECT id FROM jobs WHERE verb IN ('finetune', 'rehearse') ORDER BY id DESC LIMIT ?"
            numbers = [row[0] for row in db.execute(query, (LOOKED_AT,))]
    except sqlite3.Error:
        return
    for number in numbers:
        spec = _json(workspace, number, "spec.json")
        if spec:
            yield number, spec


def _json(workspace: Workspace, job: int, name: str) -> dict[str, Any]:
    try:
        found = json.loads((workspace.job_dir(job) / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
