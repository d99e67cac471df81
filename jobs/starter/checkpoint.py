"""Checkpoints of a training run: a folder per step, complete only once its marker is there."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import LlamaForCausalLM

from jobs.starter.batches import Batches

if TYPE_CHECKING:
    from jobs.starter.loop import Trained

MARKER = "COMPLETE"
KEEP = 2


def save(
    folder: Path,
    state: Trained,
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    batches: Batches,
    average: dict[str, torch.Tensor],
) -> Path:
    """Write ``step-NNNNNNN`` in ``folder``, its marker last, and remove all but the newest two."""
    place = folder / f"step-{state.step:07d}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    torch.save(
        {
            "state": dataclasses.asdict(state),
            "data": batches.state(),
            "model": model.state_dict(),
            "optimizers": [one.state_dict() for one in optimizers],
            "average": average,
        },
        place / "state.pt",
    )
    with (place / MARKER).open("w") as marker:
        marker.flush()
        os.fsync(marker.fileno())
    for old in complete(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints in ``folder``, oldest first."""
    return sorted(marker.parent for marker in folder.glob(f"step-*/{MARKER}"))


def load(
    place: Path,
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    batches: Batches,
    average: dict[str, torch.Tensor],
) -> Trained:
    """Put everything back as it was saved in ``place``; returns where the run stood."""
    from jobs.starter.loop import Trained

    saved = torch.load(place / "state.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(saved["model"])
    for one, values in zip(optimizers, saved["optimizers"], strict=True):
        one.load_state_dict(values)
    batches.seek(saved["data"])
    for name, kept in average.items():
        kept.copy_(saved["average"][name])
    state = saved["state"]
    state["curve"] = [tuple(point) for point in state["curve"]]
    return Trained(**state)
