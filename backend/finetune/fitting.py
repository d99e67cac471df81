"""What would fit into the memory: changes of the spec that keep the effective batch, each with what the plan then takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import PanelError
from backend.finetune.faults import Way
from backend.memory.forecast import Change, ModelFacts, TrainPlan, estimate, solve
from backend.said import _, joined
from backend.specs.finetune import FinetuneSpec

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

FIELDS = {
    "batch": "batch_size",
    "accumulation": "accumulation",
    "seq": "max_length",
    "rank": "lora_rank",
    "method": "method",
    "checkpointing": "gradient_checkpointing",
    "packing": "packing",
}
"""Of the forecast's plan -> of the spec."""
GIB = 1 << 30
LEAST_SEQ, LEAST_RANK = 128, 8


def ways(plan: Plan, free: int) -> tuple[Way, ...]:
    """What makes ``plan`` fit into ``free`` bytes; where it fits already, the largest settings that still do. Empty where nobody
    can tell, or nothing helps."""
    memory = plan.memory
    if memory is None or memory.facts is None or plan.train_plan is None:
        return ()
    found = helping(plan.spec, memory.facts, plan.train_plan, free)
    return found or tuple(_larger(plan.spec, memory.facts, plan.train_plan, free))


def helping(spec: FinetuneSpec, known: ModelFacts, train: TrainPlan, free: int) -> tuple[Way, ...]:
    """What makes ``train``, the plan of ``spec``, fit into ``free`` bytes, the smallest change first; empty where it does, or
    nothing helps."""
    try:
        solution = solve(known, train, free)
    except PanelError:
        return ()
    if solution.verdict.state == "fits":
        return ()
    found: list[Way] = []
    for change in solution.changes:
        fields = _fields(spec, train, change)
        if fields and all(fields != way.fields for way in found):
            found.append(Way(_labelled(str(change.text), int(change.estimate.p95)), fields, int(change.estimate.p95)))
    return tuple(found) or _together(known, train, free)


def _together(known: ModelFacts, train: TrainPlan, free: int) -> tuple[Way, ...]:
    """Several changes that only help together, as few as needed. What the forecast proposes then may be none of the spec's."""
    steps: list[dict[str, Any]] = [
        {"checkpointing": True},
        {"batch": 1, "accumulation": train.batch * train.accumulation},
        {"packing": True, "lengths": "equal"},  # blocks of one size serve every batch
        {"method": "lora" if train.method == "full" else "qlora" if train.device == "cuda" else train.method},
        {"seq": max(LEAST_SEQ, train.seq // 2)},
        {"rank": min(train.rank, LEAST_RANK)},
        {"seq": max(LEAST_SEQ, train.seq // 4)},
    ]
    changed = train
    for step in steps:
        changed = replace(changed, **step)
        made = estimate(
            known, replace(changed, total=max(train.total or 0, free), used=max(0, (train.total or 0) - free))
        )
        fields = {
            FIELDS[name]: getattr(changed, name) for name in FIELDS if getattr(changed, name) != getattr(train, name)
        }
        if fields and made.p95 <= free:
            titles = [_(FinetuneSpec.model_fields[name].title or name) for name in fields]
            label = _("Change together: {names}").format(names=joined(titles, ", "))
            return (Way(_labelled(label, int(made.p95)), fields, int(made.p95)),)
    return ()


def _larger(spec: FinetuneSpec, known: ModelFacts, train: TrainPlan, free: int) -> Iterator[Way]:
    """The largest settings that still fit."""
    try:
        solution = solve(known, train, free)
    except PanelError:
        return
    if solution.verdict.state != "fits":
        return
    batch = _even(spec.batch_size * spec.accumulation, solution.batch or 0)
    if batch > spec.batch_size:
        size = _size(known, replace(train, batch=batch), free)
        label = _("Batches of {batch}, the largest that fits: the same result, faster").format(batch=batch)
        fields = {"batch_size": batch, "accumulation": spec.batch_size * spec.accumulation // batch}
        yield Way(_labelled(label, size), fields, size)
    longest = min(solution.seq or 0, known.context_length or 1 << 20)
    if longest > spec.max_length:
        size = _size(known, replace(train, seq=longest), free)
        label = _("Rows of up to {tokens} tokens, the longest that fit").format(tokens=f"{longest:,}")
        yield Way(_labelled(label, size), {"max_length": longest}, size)


def _fields(spec: FinetuneSpec, train: TrainPlan, change: Change) -> dict[str, Any]:
    """The same change in the spec; empty where the spec has no such field."""
    made = change.plan
    if not isinstance(made, TrainPlan):
        return {}
    changed = {name for name in vars(train) if getattr(train, name) != getattr(made, name)} - {"total", "used"}
    fields = {FIELDS[name]: getattr(made, name) for name in changed if name in FIELDS}
    if changed - FIELDS.keys() - {"zero", "offload"}:
        return {}
    if made.zero != train.zero or made.offload != train.offload:
        if spec.engine != "xtuner":
            return {}
        fields["deepspeed"] = f"zero{made.zero}" + ("_offload" if made.offload else "")
    if fields.get("method") == "qlora" and spec.device == "cpu":
        return {}
    return fields


def _even(effective: int, most: int) -> int:
    """The largest part of ``effective`` that divides it and is no more than ``most``."""
    return next((n for n in range(min(effective, most), 0, -1) if effective % n == 0), 0)


def _size(known: ModelFacts, train: TrainPlan, free: int) -> int:
    total = max(train.total or 0, free)
    return int(estimate(known, replace(train, total=total, used=total - free)).p95)


def _labelled(text: str, size: int) -> str:
    return _("{change} ({size} GiB at most)").format(change=text.rstrip("."), size=f"{size / GIB:.1f}")
