"""What a run keeps in its job folder, beside what every job has: names, and the records that stand in them.

::

    plan.json                what was foreseen (backend.finetune.plan)
    rehearsal.json           what three real steps took
    checkpoints/step-00000120/    a state from which the run can go on; complete.json is written last
    samples.jsonl            answers to the same questions while it learns; step 0 is the base
    control.json             what a person asked of the run (backend.finetune.control)
    out-of-memory.json       where it ran out of memory
    tensorboard/             event files
    adapter/, merged/        what was made
    proof.json               whether it worked
    capsule.zip              all that is needed to repeat it
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from backend.workspace import read_json, write_json

PLAN, REHEARSAL, PROOF, OUT_OF_MEMORY = "plan.json", "rehearsal.json", "proof.json", "out-of-memory.json"
CHECKPOINTS, COMPLETE = "checkpoints", "complete.json"
SAMPLES, CONTROL, CAPSULE = "samples.jsonl", "control.json", "capsule.zip"
TENSORBOARD, ADAPTER, MERGED, XTUNER = "tensorboard", "adapter", "merged", "xtuner"

METRICS = ("loss", "eval_loss", "lr", "grad_norm", "tokens_s", "memory_mib", "s_per_step", "epoch")
"""Names of what is measured at a step. memory_mib: the most that torch had allocated so far (on the CPU: what the process
holds, at its highest)."""

R = TypeVar("R")


@dataclass(frozen=True)
class Checkpoint:
    """step: optimizer steps done. loss, eval_loss: the last that were measured. bytes: on the disk. tokens: learned from so
    far. best: its eval_loss is the lowest of those that are kept. path: the folder, filled in when it is read."""

    step: int
    epoch: float
    created: float
    loss: float | None = None
    eval_loss: float | None = None
    bytes: int = 0
    tokens: int = 0
    best: bool = False
    path: str = ""


@dataclass(frozen=True)
class Rehearsal:
    """Three real optimizer steps with the longest rows, one evaluation, one save, one load.

    step_s: seconds of an optimizer step, the first left out. peak_bytes: most that it held (torch's allocator on a GPU, else
    the process). held_bytes: with what torch keeps for later, as the driver sees it. before_bytes: of the process before the
    model was loaded. tokens_per_step: that the rehearsed steps saw. load_s, eval_s, save_s, restore_s: seconds. eval_rows:
    rows evaluated in eval_s. device: as torch names it. settings: of the spec, those that it was made with.
    """

    step_s: float
    peak_bytes: int
    held_bytes: int
    before_bytes: int
    tokens_per_step: int
    longest: int
    load_s: float
    eval_s: float
    eval_rows: int
    save_s: float
    restore_s: float
    checkpoint_bytes: int
    device: str
    losses: list[float]
    made: float
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """An answer while it learns. prompt: number of the question, from 0. expected: what the row says; empty: an own question."""

    step: int
    prompt: int
    question: str
    answer: str
    expected: str = ""


@dataclass(frozen=True)
class OutOfMemory:
    """phase: load, forward, backward, optimizer, evaluate, save, or neighbour (others took what had been free). asked: bytes
    that could not be had. allocated, reserved: by this process then. free, total: of the device. others_before, others_then:
    bytes of other programs on the device when the run began and when it ended. step: optimizer steps done. t: epoch seconds.
    line: what torch or the system said. during: what it was doing, where phase is neighbour."""

    phase: str
    step: int
    t: float
    line: str
    asked: int | None = None
    allocated: int | None = None
    reserved: int | None = None
    free: int | None = None
    total: int | None = None
    others_before: int | None = None
    others_then: int | None = None
    device: str = ""
    during: str = ""


def write(path: Path, record: Any) -> None:
    """Write one of the records above; the file appears whole or not at all.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    write_json(path, asdict(record))


def read(path: Path, kind: type[R]) -> R | None:
    """The record of ``kind`` in ``path``; None where there is none, or where it was written by a version that says less.
    What a newer version says more is left out."""
    try:
        data = read_json(path)
    except (OSError, ValueError):
        return None
    return build(data, kind)


def build(data: Any, kind: type[R]) -> R | None:
    """``data`` as the record ``kind``; None where it is none."""
    if not isinstance(data, dict):
        return None
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: value for name, value in data.items() if name in known})
    except TypeError:
        return None


def checkpoint_name(step: int) -> str:
    """Name of the folder of the checkpoint after ``step`` steps; names sort as steps do."""
    return f"step-{step:08d}"


def checkpoints(job_dir: Path) -> list[Checkpoint]:
    """The complete checkpoints of a run, oldest first; ``best`` and ``path`` filled in."""
    found = []
    for marker in sorted((job_dir / CHECKPOINTS).glob(f"step-*/{COMPLETE}")):
        one = read(marker, Checkpoint)
        if one is not None:
            found.append(one)
    judged = [one.eval_loss for one in found if one.eval_loss is not None]
    best = min(judged, default=None)
    return [
        Checkpoint(
            **{
                **asdict(one),
                "best": best is not None and one.eval_loss == best,
                "path": str(job_dir / CHECKPOINTS / checkpoint_name(one.step)),
            }
        )
        for one in found
    ]


def samples(job_dir: Path) -> list[Sample]:
    """The sample answers of a run, in the order in which they were given; a line that is being written is left out."""
    return list(_samples(job_dir / SAMPLES))


def _samples(path: Path) -> Iterator[Sample]:
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return
    for line in lines:
        try:
            one = build(json.loads(line), Sample)
        except ValueError:
            continue
        if one is not None:
            yield one
