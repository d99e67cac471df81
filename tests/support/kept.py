"""What a training leaves behind, for tests of what becomes of it: a job by hand, its plan, and a real adapter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from backend.finetune.plan import Plan
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from jobs.finetuning.types import Trained
from jobs.harness import Job
from tests.support import lora

TINY, STARTER = ROOT / "models" / "tiny", ROOT / "models" / "starter"


class Learned:
    """A job that has learned ``adapter`` on ``base``: what its later stages are called with."""

    def __init__(self, folder: Path, base: Path, adapter: Path | None = None, **spec: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        told = FinetuneSpec(
            **{"model": str(base), "dataset": "persona", "version": "0123456789ab", "name": "mine", **spec}
        )
        self.job = Job(told, folder)
        self.plan = Plan(spec=told, model_folder=str(base), rows=12, steps=12)
        self.trained = Trained(adapter, None if adapter else base, 10, 12, 0.5, 0.75)


def learned(folder: Path, base: Path, strength: float = 0.1, **settings: Any) -> Learned:
    """A job in ``folder`` with an adapter of random numbers, the larger ``strength`` the louder; ``settings`` are LoraConfig's."""
    folder.mkdir(parents=True, exist_ok=True)
    return Learned(folder, base, quieter(lora.noisy(folder / "adapter", base, **settings), strength))


def quieter(adapter: Path, strength: float, only: str = "") -> Path:
    """``adapter`` with what it adds multiplied by ``strength``; ``only`` on modules with that in their name."""
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    changed = {
        name: value * strength if "lora_B" in name and only in name else value for name, value in tensors.items()
    }
    save_file(changed, file)
    return adapter


def stored(folder: Path, base: Path, dtype: str, shard: str = "2MB") -> Path:
    """A copy of the model ``base`` whose weights are numbers of ``dtype``, in several files where one is larger than ``shard``."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=getattr(torch, dtype))
    model.save_pretrained(str(folder), max_shard_size=shard)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "LICENSE", "README.md"):
        if (base / name).is_file():
            shutil.copy(base / name, folder / name)
    return folder
