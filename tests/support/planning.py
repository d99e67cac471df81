"""Machines, models and datasets for the plans of fine-tunings. A GPU cannot be here: it is a value, as NVML would give it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.data.make import identity
from backend.data.make.identity import IdentityWish
from backend.data.rows import Row
from backend.data.versions import VersionInfo
from backend.finetune import here
from backend.memory.machine import Gpu, Machine
from backend.workspace import Workspace
from tests.support.datasets import keep, row
from tests.support.forecast_models import llama3
from tests.support.token_models import qwen_like

GIB = 1 << 30
CPU = Machine("test", 2, 16 * GIB, 12 * GIB, 200 * GIB, 100 * GIB)
A100 = Gpu(0, "GPU-0", "NVIDIA A100-SXM4-40GB", 40 * GIB, 39 * GIB, 0.0, (8, 0))
GPU = replace(CPU, gpus=(A100,))
OLD_GPU = replace(CPU, gpus=(replace(A100, name="Tesla T4", total=15 * GIB, free=15 * GIB, capability=(7, 5)),))


def with_gpu_torch(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if torch were built for CUDA, and these packages installed."""
    monkeypatch.setattr(here, "_torch_for_the_cpu", lambda: False)
    monkeypatch.setattr(here, "_there", lambda module: module in packages)


def llama(workspace: Workspace, folder: Path, packed: str = "", **config: Any) -> str:
    """Llama 3 8B on the list, with headers and a tokenizer, without weights."""
    path = llama3(folder / f"llama3-8b{packed}", packed, **config)
    qwen_like(path)
    return catalog.add(workspace, path).name


def persona(workspace: Workspace, name: str = "My persona", rows: int = 150) -> VersionInfo:
    """A name in many wordings, as the page Datasets makes it; held-out wordings are in the split test."""
    made = identity.rows(IdentityWish("Robin", "Sun Works", rows=rows))
    return keep(workspace, name, made, steps=[{"do": "make", "kind": "identity"}])


def talk(count: int = 200, words: int = 12, start: int = 0) -> list[Row]:
    """``count`` rows that all differ, each answer of about ``words`` words."""
    return [
        row(f"Tell me about number {n}.", " ".join(f"{n}x{k}" for k in range(words)))
        for n in range(start, start + count)
    ]


def spec(model: str = "starter", dataset: str = "talk", **fields: Any) -> dict[str, Any]:
    """The fields of a small training."""
    return {"model": model, "dataset": dataset, "batch_size": 2, "accumulation": 1, **fields}
