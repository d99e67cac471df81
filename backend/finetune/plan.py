"""A training before it is started: what it comes to on this machine, and everything that is wrong with it, all at once.

:func:`plan` never raises for what a person chose, and takes well under a second: a page calls it on every change. The command
line prints the same, the job calls :func:`checked` and keeps what it says (``plan.json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from backend import said
from backend.catalog.cards import ModelCard
from backend.errors import PanelError, SpecError
from backend.finetune import (
    config,
    counting,
    disk,
    evaluated,
    preflight,
    preflight_counts,
    preflight_ends,
    preflight_processors,
    preflight_room,
    preflight_rows,
    reading,
    times,
)
from backend.finetune.counting import Counted
from backend.finetune.faults import Fault, Faults, Source, Span, Way, as_dict
from backend.finetune.here import Here
from backend.finetune.preflight_rows import Seen
from backend.i18n import N_, _
from backend.memory import planned
from backend.memory.forecast import TrainPlan, facts
from backend.memory.machine import Machine, snapshot
from backend.memory.planned import Planned
from backend.specs import parse
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace

__all__ = ["Fault", "Plan", "Source", "Span", "Way", "again", "checked", "plan"]


@dataclass(frozen=True)
class Plan:
    """spec: settled: version, device, dtype, template, name, and how often is evaluated, saved and asked. rows: that are learned
    from; general_rows: bundled ones that are mixed in. tokens: of an epoch. packed_rows: what the training sees as rows in it.
    steps: in all, of which ``start_step`` were done by the checkpoint that it goes on from; between ``steps_low`` and
    ``steps_high``, where that depends on which rows are drawn. effective_batch: rows of a step.
    exact: every row was counted; else numbers are of a sample. seconds: None where nobody can tell. memory: None for the
    same reason. free: bytes where it will run. checkpoint_bytes: of one; result_bytes: of what is made; disk_bytes: of all
    that is kept, at the fullest moment. foreseen: ``memory`` before what was measured here corrected it; measured_by: the job
    whose rehearsal it was corrected by, 0 for none. evaluated: sentences. config: XTuner's file, or the training arguments as
    JSON. model_folder: of the base."""

    spec: FinetuneSpec
    rows: int = 0
    validation_rows: int = 0
    general_rows: int = 0
    test_rows: int = 0
    tokens: int = 0
    rows_cut: int = 0
    packed_rows: int = 0
    steps: int = 0
    steps_low: int = 0
    steps_high: int = 0
    start_step: int = 0
    steps_per_epoch: int = 0
    warmup_steps: int = 0
    effective_batch: int = 0
    exact: bool = False
    seconds: Span | None = None
    memory: Planned | None = None
    foreseen: Planned | None = None
    measured_by: int = 0
    train_plan: TrainPlan | None = None
    free: int | None = None
    checkpoint_bytes: int = 0
    result_bytes: int = 0
    disk_bytes: int = 0
    disk_free: int | None = None
    evaluated: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    command: tuple[str, ...] = ()
    config: str = ""
    model_folder: str = ""

    @property
    def runs(self) -> bool:
        """Nothing keeps it from being started."""
        return not any(fault.fatal for fault in self.faults)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what ``plan.json`` and the command line hold."""
        plain = {name: value for name, value in vars(self).items() if name not in ("spec", "memory", "foreseen")}
        return plain | {
            "spec": self.spec.model_dump(mode="json"),
            "seconds": vars(self.seconds) if self.seconds else None,
            "memory": planned.as_plain(self.memory) if self.memory else None,
            "train_plan": asdict(self.train_plan) if self.train_plan else None,
            "evaluated": list(self.evaluated),
            "faults": [as_dict(fault) for fault in self.faults],
            "command": list(self.command),
            "runs": self.runs,
        }


def plan(workspace: Workspace, data: Mapping[str, Any] | FinetuneSpec, machine: Machine | None = None) -> Plan:
    """What the training ``data`` comes to on ``machine`` (as it is now)."""
    machine = machine or snapshot(workspace.jobs if workspace.jobs.exists() else None)
    faults = Faults()
    spec = reading.read(data, faults)
    preflight.check_engine(workspace, spec, faults)
    found = preflight.look_here(workspace, machine, spec.engine)
    spec = preflight_processors.settle_device(spec, found, faults)
    card = preflight.check_model(workspace, spec, faults)
    seen = preflight_rows.see(workspace, spec, card, faults)
    if seen.version is not None:
        spec = spec.model_copy(update={"version": seen.version.info.id})
    counted = (
        counting.count(spec, seen.counts, seen.taught(spec), seen.validation, exact=seen.exact, **seen.doubts(spec))
        if seen.counts
        else NOTHING
    )
    preflight_counts.check_counts(spec, card, seen, counted, faults)
    preflight_rows.check_learned(spec, seen, faults)
    start = preflight_ends.check_start(workspace, spec, counted.steps, faults)
    spec = _settled(workspace, spec, card, counted, faults)
    made = Plan(
        spec=spec,
        rows=counted.rows,
        validation_rows=counted.validation_rows,
        general_rows=counted.general_rows,
        test_rows=seen.test,
        tokens=counted.tokens,
        rows_cut=counted.rows_cut,
        packed_rows=counted.packed_rows,
        steps=counted.steps,
        steps_low=counted.steps_low,
        steps_high=counted.steps_high,
        start_step=start,
        steps_per_epoch=counted.steps_per_epoch,
        warmup_steps=counted.warmup_steps,
        effective_batch=spec.batch_size * spec.accumulation * spec.gpus,
        exact=counted.exact,
        evaluated=evaluated.sentences(spec, counted, seen.test),
        disk_free=machine.disk_free,
    )
    if card is not None and not faults.has("model"):
        made = _measured(workspace, made, card, counted, seen, found, faults)
    return replace(made, faults=tuple(sorted(faults.found, key=lambda one: not one.fatal)))


def checked(workspace: Workspace, spec: FinetuneSpec, machine: Machine | None = None) -> Plan:
    """The plan of a training that can be started.

    Raises:
        SpecError: ``finetune_refused``, with all that is wrong in ``problems`` and in the message.
    """
    return _accepted(plan(workspace, spec, machine))


def again(workspace: Workspace, kept: Mapping[str, Any], machine: Machine | None = None) -> Plan:
    """The plan of a run that goes on: ``kept`` is what :meth:`Plan.to_dict` said when it began. It has a copy of its rows by now,
    so that it goes on when they are gone from the workspace.

    Raises:
        SpecError: ``finetune_refused``; ``spec_bad`` for a plan of another version.
    """
    spec = parse(FinetuneSpec.verb, dict(kept.get("spec") or {}))
    assert isinstance(spec, FinetuneSpec)
    made = plan(workspace, spec, machine)
    rest = tuple(fault for fault in made.faults if fault.field not in ("dataset", "version"))
    if made.rows and len(rest) == len(made.faults):
        return _accepted(made)
    numbers = {name: kept[name] for name in NUMBERS if isinstance(kept.get(name), int)}
    return _accepted(replace(made, faults=rest, **numbers))


NUMBERS = (
    "rows", "validation_rows", "general_rows", "test_rows", "tokens", "rows_cut", "packed_rows", "steps", "steps_low",
    "steps_high", "steps_per_epoch", "warmup_steps",
)  # fmt: skip
"""What of a plan follows from the rows."""


def _accepted(made: Plan) -> Plan:
    if made.runs:
        return made
    fatal = [fault for fault in made.faults if fault.fatal]
    raise SpecError(
        "finetune_refused",
        N_("This training cannot be started. {listing}"),
        N_("Change the settings named and start it again."),
        listing=said.joined(fault.sentence() for fault in fatal),
        problems=[{"field": fault.field, "code": fault.code, "message": fault.sentence()} for fault in fatal],
    )


NOTHING = Counted(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, False)


def _settled(
    workspace: Workspace, spec: FinetuneSpec, card: ModelCard | None, counted: Counted, faults: Faults
) -> FinetuneSpec:
    evaluating = counting.every(spec.eval_every, counted.steps)
    return spec.model_copy(
        update={
            "template": spec.template or (card.template_fingerprint if card is not None else ""),
            "name": preflight_ends.check_name(workspace, spec, card, faults)
            if spec.model and spec.dataset
            else spec.name,
            "eval_every": evaluating,
            "save_every": spec.save_every or evaluating,
            "sample_every": spec.sample_every or evaluating,
        }
    )


def _measured(
    workspace: Workspace, made: Plan, card: ModelCard, counted: Counted, seen: Seen, found: Here, faults: Faults
) -> Plan:
    """``made`` with memory, disk, time and config."""
    spec = made.spec
    room = preflight_room.room(workspace, found, spec)
    train = planned.train_plan(spec, room, counted.longest)
    made = replace(made, model_folder=str(card.path), train_plan=train, free=room.free_after_growth)
    try:
        known = facts.from_card(card)
        memory = planned.training(card, spec, train, known)
    except PanelError as error:
        ways = (
            (Way(_("All matrices"), {"target_modules": ["all-linear"]}),)
            if error.code == "lora_targets_unknown"
            else ()
        )
        faults.of(error, "target_modules" if ways else "model", fatal=bool(ways), ways=ways)
        return config.filled(workspace, made, card, seen.model, faults)
    made = replace(made, foreseen=memory, **preflight_room.corrected(workspace, memory, spec))
    checkpoint, result = disk.checkpoint(known, train), disk.result(known, train, spec, card)
    rows_bytes = seen.version.info.bytes if seen.version is not None else 0
    made = replace(
        made,
        checkpoint_bytes=checkpoint,
        result_bytes=result,
        disk_bytes=disk.total(spec, checkpoint, result, rows_bytes),
    )
    made = config.filled(workspace, made, card, seen.model, faults)
    speed = times.known(workspace, spec, card, counted, found.machine)
    made = replace(made, seconds=speed.span(made.steps - made.start_step) if speed is not None else None)
    preflight_room.check_memory(made, faults)
    preflight_room.check_disk(made, faults)
    return made
