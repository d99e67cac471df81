"""Whether the memory is enough, said before minutes are spent on loading; and the number format that fits it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from backend.catalog import ModelCard
from backend.engines import ServingEngine
from backend.errors import ModelError, ServerError
from backend.i18n import N_
from backend.queue.resources import cards
from jobs.serving.plan import Plan

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
WIDEN_UP_TO = 2 << 30
TYPICAL_TOKENS = 4096


def serving_dtype(card: ModelCard, device: str) -> str:
    """The format to compute in. On a GPU, and for quantized weights, the stored one.

    On a CPU float16 is slow to read prompts with (measured on a 5 M model, 800 tokens, one thread: 613 ms against 139 ms
    in float32 and 89 ms in bfloat16), so small models are widened, which loses nothing; large ones would not fit.

    Raises:
        ModelError: ``model_dtype_unsupported``: numbers that cannot be computed with here.
    """
    if card.quantization:
        return "auto"
    if card.dtype not in BYTES:
        raise ModelError(
            "model_dtype_unsupported",
            N_("The weights of '{model}' are stored as {dtype}, which cannot be computed with as they are."),
            N_("Get the model as float16, bfloat16 or float32, or one quantized in a known format."),
            model=card.name,
            dtype=card.dtype or "?",
        )
    if device == "cpu" and card.dtype == "float16" and 2 * card.size_bytes <= WIDEN_UP_TO:
        return "float32"
    return card.dtype


def check(engine: ServingEngine, card: ModelCard, plan: Plan) -> None:
    """Compare an estimate with what is free now.

    Raises:
        ServerError: ``not_enough_memory`` or ``not_enough_gpu_memory``, with both figures.
    """
    card = card.served
    tokens = plan.cache_tokens if plan.batching else min(plan.context_length, TYPICAL_TOKENS)
    parts = engine.memory_bytes(card, tokens)
    widening = BYTES.get(plan.dtype, 0) / BYTES[card.dtype] if plan.dtype in BYTES and card.dtype in BYTES else 1
    needed = parts["weights"] * max(1.0, widening) + parts["kv_cache"] * max(1.0, widening) + parts["runtime"]
    on_gpu = plan.device == "cuda"
    compare(card, needed, free_gpu_bytes() if on_gpu else free_bytes(), on_gpu=on_gpu)


def compare(card: ModelCard, needed: float, free: int | None, *, on_gpu: bool) -> None:
    """``needed`` and ``free`` are bytes; None: nobody can tell, then the engine's own error has to do.

    Raises:
        ServerError: as :func:`check`.
    """
    if free is not None and needed > free:
        raise ServerError(
            "not_enough_gpu_memory" if on_gpu else "not_enough_memory",
            N_("'{model}' needs about {needed:.1f} GiB of memory and {free:.1f} GiB are free."),
            N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
            model=card.name,
            needed=needed / 2**30,
            free=free / 2**30,
        )


def free_bytes() -> int:
    """Main memory that can still be had, within the limit of the container where there is one."""
    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return free  # no cgroup, or "max"


def free_gpu_bytes(count: int = 1) -> int | None:
    """On the fullest of the ``count`` roomiest cards of those leased; None where NVML tells nothing."""
    leased = [uuid for uuid in os.environ.get("TUNEDECK_JOB_GPUS", "").split(",") if uuid]
    free = sorted((card.free_mib for card in cards() if not leased or card.uuid in leased), reverse=True)
    return free[min(count, len(free)) - 1] << 20 if free else None
