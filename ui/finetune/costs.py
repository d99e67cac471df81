"""What a setting costs in memory: the forecast with the setting changed, held against the forecast as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.specs.finetune import Method
from ui.finetune import rehearsal as finetune_rehearsal

if TYPE_CHECKING:
    from backend.finetune.plan import Plan
    from backend.memory.forecast import TrainPlan

Change = Callable[["TrainPlan"], "TrainPlan"]
DOUBLED: dict[str, Change] = {
    "max_length": lambda plan: replace(plan, seq=2 * plan.seq),
    "batch_size": lambda plan: replace(plan, batch=2 * plan.batch),
    "lora_rank": lambda plan: replace(plan, rank=2 * plan.rank),
}
"""Field -> the plan with twice of it."""
TWICE = N_("Memory: twice of it takes {size} more.")
NOTHING = N_("Memory: costs next to nothing.")
SWITCHED = (N_("Memory: on, it saves {size}."), N_("Memory: without it, it takes {size} more."))
METHODS = N_("Memory: {choices}.")
SMALL = 1 << 20
"""Less than that is nothing to speak of."""
TAKES_MEMORY = ("method", "dtype", "device", "gpus", "gpu_mib", "deepspeed", "engine", "packing", "target_modules")
"""Fields that change the memory in a way that the figures beside the form show better than a sentence."""


def of(made: Plan) -> dict[str, str]:
    """Field -> what it costs, in a sentence; empty where there is no forecast."""
    facts = made.memory.facts if made.memory is not None else None
    plan = made.train_plan
    if facts is None or plan is None:
        return {}
    from backend.memory.forecast import estimate

    def more(changed: TrainPlan) -> int:
        return int(estimate(facts, changed).p50) - now

    try:
        now = int(estimate(facts, plan).p50)
        said = {field: _twice(more(change(plan))) for field, change in DOUBLED.items()}
        other = more(replace(plan, checkpointing=not plan.checkpointing))
        said["gradient_checkpointing"] = _switched(abs(other), plan.checkpointing)
        said["method"] = _methods(plan, more)
    except PanelError:
        return {}
    return said


def sentence(field: str, said: dict[str, Any]) -> str:
    """What ``field`` costs."""
    if field in said:
        return str(said[field])
    return "" if field in TAKES_MEMORY or not said else _(NOTHING)


def _twice(more: int) -> str:
    return _(TWICE).format(size=finetune_rehearsal.memory(more)) if more >= SMALL else _(NOTHING)


def _switched(size: int, on: bool) -> str:
    if size < SMALL:
        return _(NOTHING)
    return _(SWITCHED[1 if on else 0]).format(size=finetune_rehearsal.memory(size))


def _methods(plan: TrainPlan, more: Callable[[TrainPlan], int]) -> str:
    """``LoRA 4.1 GiB, QLoRA 2.0 GiB, whole model 30.2 GiB``: each in all, where it could be computed here."""
    from ui.finetune.words import choice

    methods: tuple[Method, ...] = ("lora", "qlora", "full") if plan.device == "cuda" else ("lora", "full")
    now = more(plan)
    found = {method: more(replace(plan, method=method)) - now for method in methods}
    said = [
        _("{method} {size} more").format(method=choice("method", method), size=finetune_rehearsal.memory(size))
        if size >= 0
        else _("{method} {size} less").format(method=choice("method", method), size=finetune_rehearsal.memory(-size))
        for method, size in found.items()
        if method != plan.method
    ]
    return _(METHODS).format(choices=" · ".join(said)) if said else ""
