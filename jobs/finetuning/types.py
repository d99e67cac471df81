"""What the parts of a fine-tuning hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trained:
    """What an engine leaves behind when it is done learning.

    adapter: folder of a peft adapter (HF layout, safetensors); None after a full fine-tuning. model: folder of a whole model;
    None where there is an adapter. step: of the state that was kept, of ``steps`` planned. loss, eval_loss: of that state, where
    they were measured. ended: ``done``, ``asked`` (a person said that it is good enough) or ``patience``.
    """

    adapter: Path | None
    model: Path | None
    step: int
    steps: int
    loss: float | None
    eval_loss: float | None
    ended: str = "done"
