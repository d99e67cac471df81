"""Which processors of this machine a training can use, and in which precision. Nothing is loaded for it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Literal

from backend.engines.xtuner import BF16, OLDEST_GPU
from backend.memory.machine import Gpu, Machine
from backend.specs.finetune import Engine

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Here:
    """machine: as it is now. gpus: those that can be used by this engine, the roomiest first. bitsandbytes: QLoRA can be done.
    deepspeed: it is there."""

    machine: Machine
    engine: Engine
    gpus: tuple[Gpu, ...]
    torch_cpu: bool
    bitsandbytes: bool
    deepspeed: bool

    @property
    def device(self) -> Device:
        """Where it trains unless somebody says otherwise."""
        return "cuda" if self.gpus else "cpu"

    def bfloat16(self) -> bool:
        """Whether all of the GPUs compute in bfloat16; of one that does not say, it is taken as new enough."""
        return all(not gpu.capability or gpu.capability >= BF16 for gpu in self.gpus)

    def dtype(self, device: str, asked: str = "auto") -> str:
        """The precision ``asked`` for, settled."""
        if asked != "auto":
            return asked
        if device == "cpu":
            return "float32"
        return "bfloat16" if self.bfloat16() else "float16"


def look(machine: Machine, engine: Engine = "peft", flavour: str = "") -> Here:
    """flavour: of the engine's environment, ``cpu`` or ``cuda``; empty: the panel's own, or not known."""
    on_cpu_only = flavour == "cpu" if engine == "xtuner" else _torch_for_the_cpu()
    found = [gpu for gpu in machine.gpus if gpu.total is not None]
    if engine == "xtuner":
        found = [gpu for gpu in found if not gpu.capability or gpu.capability >= OLDEST_GPU]
    usable = [] if on_cpu_only else sorted(found, key=lambda gpu: -(gpu.free or 0))
    # The environment of XTuner brings both along where it was made for CUDA.
    own = engine == "peft"
    return Here(
        machine=machine,
        engine=engine,
        gpus=tuple(usable),
        torch_cpu=on_cpu_only and bool(found),
        bitsandbytes=bool(usable) and (_there("bitsandbytes") if own else True),
        deepspeed=bool(usable) and (_there("deepspeed") if own else True),
    )


@lru_cache(maxsize=8)
def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@lru_cache(maxsize=1)
def _torch_for_the_cpu() -> bool:
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True
