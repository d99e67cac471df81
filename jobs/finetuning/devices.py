"""Where a training computes, and in which numbers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec

WORTH = 1_000_000
"""Numbers of a model from which on the time of a step is in its matrices."""


@dataclass(frozen=True)
class Place:
    """kind: ``cpu`` or ``cuda``. compute: numbers that matrices are multiplied in. weights: numbers that the model is held in.
    scaled: gradients of float16 are small, and have to be scaled."""

    kind: str
    name: str
    compute: torch.dtype
    weights: torch.dtype
    scaled: bool

    @property
    def mixed(self) -> bool:
        """It computes in other numbers than those that learn are held in."""
        return self.compute != torch.float32


def settle(spec: FinetuneSpec) -> Place:
    """The place for ``spec`` here. ``auto`` was settled by the plan; by hand it is settled the same way.

    On a GPU a frozen base is held in the numbers that it computes with, and what learns in 32 bits beside it. A whole model
    learns in 32 bits with float16, whose gradients cannot be scaled otherwise, and in bfloat16 as transformers' Trainer does
    with a model that is stored so. On the CPU weights stay in 32 bits whatever computes.

    Raises:
        PanelError: ``finetune_no_gpu``: a GPU is asked for, and torch sees none.
    """
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if spec.device == "auto" else spec.device
    if kind == "cuda" and not torch.cuda.is_available():
        raise PanelError(
            "finetune_no_gpu",
            N_("This training is to compute on a GPU, and torch {version} sees none here."),
            N_("Choose the CPU, or see the doctor's page about drivers and the build of torch."),
            version=torch.__version__,
        )
    wanted = spec.dtype
    if wanted == "auto":
        wanted = "float32" if kind == "cpu" else ("bfloat16" if torch.cuda.is_bf16_supported() else "float16")
    compute = getattr(torch, wanted)
    weights = torch.float32 if kind == "cpu" or (spec.method == "full" and compute == torch.float16) else compute
    name = torch.cuda.get_device_name() if kind == "cuda" else "cpu"
    return Place(kind, name, compute, weights, kind == "cuda" and compute == torch.float16)


def prepare(spec: FinetuneSpec, place: Place) -> None:
    """Threads on the CPU, the share of a GPU that is ours, and nothing that asks a hub."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if place.kind == "cpu":
        torch.set_num_threads(threads())
        return
    torch.backends.cuda.matmul.allow_tf32 = True
    if spec.gpu_mib:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (spec.gpu_mib << 20) / total))


def has_short_products(place: Place, model: torch.nn.Module) -> bool:
    """Whether a step of ``model`` that computes in 32 bits here may multiply matrices in bfloat16, sums in 32 bits: on processors
    with units for it (AMX), where that takes a third off a step. What TF32 is to a GPU. Not of a toy, which gains nothing by it
    and needs more memory for it."""
    if place.kind != "cpu" or place.mixed or sum(each.numel() for each in model.parameters()) < WORTH:
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


@contextlib.contextmanager
def products(short: bool) -> Iterator[None]:
    """Meanwhile products of matrices are ``short``, as :func:`has_short_products` allows them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if short else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def threads() -> int:
    """As many as there are cores that this process may use, unless ``OMP_NUM_THREADS`` says otherwise."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) > 0 else len(os.sched_getaffinity(0))
