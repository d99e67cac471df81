"""What helps a run that ran out of memory: the smallest changes first, each with what it saves.

A change keeps the effective batch (``batch_size`` x ``accumulation``) and with it what is learned, where it can; those that do
not say so. Savings are the forecast's. Whether a change is enough is judged by what really happened: the run held so much and
asked for so much more, which is at least what it needs; where the forecast had said less, all changes are corrected by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backend import catalog
from backend.errors import PanelError
from backend.finetune import files
from backend.finetune.files import Checkpoint, OutOfMemory
from backend.i18n import _
from backend.memory import planned
from backend.memory.budget import Budget
from backend.memory.forecast import ModelFacts, estimate, facts
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace

LEAST_LENGTH, LEAST_RANK = 64, 8
NEAR = 0.97
"""Part of what there was that a change may need: blocks do not fill a device to its last byte."""
BATCH = ("batch_size", "gradient_checkpointing", "max_length", "method", "lora_rank")
HELPS: Mapping[str, tuple[str, ...]] = {
    "load": ("method",),
    "forward": BATCH,
    "backward": BATCH,
    "optimizer": ("method", "lora_rank"),
    "evaluate": ("batch_size", "max_length", "method"),
    "save": BATCH,
    "neighbour": BATCH,
    "killed": BATCH,
}
"""Phase -> fields that can help there. Smaller batches do not make the values of the optimizer fewer, and so on."""
AFTERWARDS = ("merge", "prove")
"""Phases after the learning: what helps is to go on with the same job when there is room."""

Start = Literal["continue", "branch", "anew"]


@dataclass(frozen=True)
class Relief:
    """A change of the spec. label: what is done; costs: what it costs, in words. fields: none: the same settings once more.
    need: bytes that it is thought to need, saving: less than before; None where nobody can tell. fits: into what there was;
    None: not known. start: what of the newest checkpoint can be used with it: all of it, its weights, or nothing."""

    label: str
    costs: str
    fields: dict[str, Any]
    need: int | None
    saving: int | None
    fits: bool | None
    start: Start


def of_run(workspace: Workspace, spec: FinetuneSpec, record: OutOfMemory, longest: int = 0) -> tuple[Relief, ...]:
    """The reliefs of a run with the settled ``spec``; without sizes where the model is gone or does not say enough."""
    known: ModelFacts | None = None
    try:
        card = catalog.find(workspace, spec.model)
        known = facts.from_card(card.base or card)
    except (PanelError, OSError):
        pass
    return reliefs(spec, record, known, longest)


def reliefs(spec: FinetuneSpec, record: OutOfMemory, known: ModelFacts | None, longest: int = 0) -> tuple[Relief, ...]:
    """What helps, the smallest change first: those that are enough; where none is known to be, all that save something.

    longest: tokens of the longest row, where it is known.
    """
    if record.phase in AFTERWARDS:
        return ()
    found = list(_sized(spec, record, known, longest))
    unchanged = [one for one in found if not one.fields]
    enough: list[Relief] = []
    for one in found:
        # More of a change that is enough already, or another one on top of it, costs without need.
        if one.fits and one.fields and not any(less.fields.keys() <= one.fields.keys() for less in enough):
            enough.append(one)
    if enough:
        return tuple(unchanged + enough)
    return tuple(unchanged + [one for one in found if one.fields and (one.saving is None or one.saving > 0)])


def resumed(spec: Mapping[str, Any], relief: Relief, saved: Sequence[Checkpoint]) -> dict[str, Any]:
    """The spec of the run that goes on with ``relief`` from the newest of the checkpoints ``saved``."""
    fields = {**spec, **relief.fields}
    if relief.start == "anew":
        return {**fields, "start_from": "", "start_mode": "continue"}
    if saved:
        return {**fields, "start_from": saved[-1].path, "start_mode": relief.start}
    # It never came to a checkpoint of its own: it begins again from where it had begun.
    return fields


def spec_of(job_dir: Path, data: Mapping[str, Any]) -> FinetuneSpec:
    """The settings of a run as its plan settled them, else as they were asked for.

    Raises:
        SpecError: a spec from another version.
    """
    from backend.specs import parse
    from backend.workspace import read_json

    plan = read_json(job_dir / files.PLAN)
    settled = plan.get("spec") if isinstance(plan, dict) else None
    try:
        found = parse("finetune", dict(settled if isinstance(settled, dict) else data))
    except PanelError:
        found = parse("finetune", dict(data))
    assert isinstance(found, FinetuneSpec)
    return found


def _sized(spec: FinetuneSpec, record: OutOfMemory, known: ModelFacts | None, longest: int) -> Iterator[Relief]:
    on_gpu = record.device != "cpu" and spec.device != "cpu"
    room = _room(record)
    before = _need(spec, known, longest, on_gpu=on_gpu)
    held = (record.reserved or record.allocated or 0) + (record.asked or 0)
    more = max(0, held - before) if before is not None and record.asked else 0
    for label, costs, fields, start in _changes(spec, record, on_gpu=on_gpu):
        after = _need(spec.model_copy(update=fields), known, longest, on_gpu=on_gpu)
        need = after + more if after is not None else None
        fits = need <= NEAR * room if need is not None and room is not None else None
        saving = before - after if before is not None and after is not None else None
        if spec.engine == "xtuner" and start == "continue" and fields.keys() & {"batch_size", "accumulation"}:
            start = "branch"  # it counts batches, not steps: its place in the data would be another one
        yield Relief(label, costs, fields, need, saving, fits, start)


def _room(record: OutOfMemory) -> int | None:
    """Bytes that the run could have had at most."""
    if record.free is None or record.phase == "killed":
        return None
    return (record.reserved or record.allocated or 0) + record.free


def _need(spec: FinetuneSpec, known: ModelFacts | None, longest: int, *, on_gpu: bool) -> int | None:
    if known is None:
        return None
    settled = spec.model_copy(update={"device": "cuda" if on_gpu else "cpu"})
    plan = replace(planned.train_plan(settled, Budget(free=None), longest))
    try:
        return int(estimate(known, plan).p50)
    except PanelError:
        return None


def _changes(
    spec: FinetuneSpec, record: OutOfMemory, *, on_gpu: bool
) -> Iterator[tuple[str, str, dict[str, Any], Start]]:
    """(label, what it costs, fields, start), from what changes least to what changes most."""
    helps = HELPS.get(record.phase, BATCH)
    if record.phase == "neighbour":
        yield _("Go on with the same settings"), _("once the others have given back what they took"), {}, "continue"
    same = _("the same result, a little slower")
    halves = list(_halved(spec)) if "batch_size" in helps else []
    for fields in halves:
        yield _batches(fields), same, fields, "continue"
    checkpointing = {"gradient_checkpointing": True} if _can_checkpoint(spec, helps) else {}
    if checkpointing:
        third = _("the same result, about a third slower")
        yield _("Turn on gradient checkpointing"), third, checkpointing, "continue"
        if halves:
            label = " + ".join([_batches(halves[-1]), _("gradient checkpointing")])
            yield label, third, {**halves[-1], **checkpointing}, "continue"
    if "lora_rank" in helps and spec.method != "full" and spec.lora_rank > LEAST_RANK:
        rank = max(LEAST_RANK, spec.lora_rank // 2)
        fields = {"lora_rank": rank, "lora_alpha": max(1, spec.lora_alpha * rank // spec.lora_rank)}
        yield _("LoRA rank {rank}").format(rank=rank), _("the add-on can hold less; it begins anew"), fields, "anew"
    if "method" in helps:
        if spec.method == "lora" and on_gpu:
            label = _("Load the base model in 4 bits (QLoRA)")
            yield label, _("about a third slower, hardly less exact"), {"method": "qlora"}, "branch"
        if spec.method == "full":
            fields = {"method": "lora", "learning_rate": max(spec.learning_rate, 2e-4)}
            label = _("Train a LoRA instead of all weights")
            yield label, _("it can change the model less; it begins anew"), fields, "anew"
    if "max_length" in helps:
        others = [_batches(halves[-1])] if halves else []
        others += [_("gradient checkpointing")] if checkpointing else []
        for share in (2, 4):
            length = spec.max_length // share
            if length >= LEAST_LENGTH:
                fields = {**(halves[-1] if halves else {}), **checkpointing, "max_length": length}
                label = " + ".join([_("Rows of up to {tokens} tokens").format(tokens=f"{length:,}"), *others])
                yield label, _("longer rows are cut off: their ends are not learned"), fields, "branch"


def _halved(spec: FinetuneSpec) -> Iterator[dict[str, Any]]:
    """Smaller batches with as many more of them to a step."""
    batch, effective = spec.batch_size, spec.batch_size * spec.accumulation
    while batch > 1:
        batch = next(n for n in range(batch // 2, 0, -1) if effective % n == 0)
        yield {"batch_size": batch, "accumulation": effective // batch}


def _batches(fields: Mapping[str, Any]) -> str:
    text = _("Batches of {batch}, {times} to a step")
    return text.format(batch=fields["batch_size"], times=fields["accumulation"])


def _can_checkpoint(spec: FinetuneSpec, helps: Sequence[str]) -> bool:
    return "gradient_checkpointing" in helps and not spec.gradient_checkpointing
