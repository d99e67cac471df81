"""A quantization before it is started: what it comes to on this machine, and everything that is wrong with it, all at once.

:func:`plan` never raises for what a person chose, and takes well under a second: a page calls it on every change. The command line
prints the same, the job calls :func:`checked` and keeps what it says (``plan.json``).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend import said
from backend.catalog.cards import ModelCard
from backend.engines import lmdeploy_env, lmdeploy_lite
from backend.engines.lmdeploy_lite import Awq
from backend.errors import PanelError, SpecError
from backend.finetune.faults import Fault, Faults, Span, Way, as_dict
from backend.i18n import N_
from backend.memory.forecast import ModelFacts, facts
from backend.memory.machine import Machine, snapshot
from backend.memory.planned import Planned, as_plain
from backend.quantize import forecast, methods, preflight, preflight_room, preflight_rows, reading, sizes
from backend.quantize.calibration import Calibrated
from backend.quantize.methods import Kind, Server
from backend.quantize.sizes import Size
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace

__all__ = ["OUT", "Fault", "Plan", "Size", "Span", "Way", "checked", "plan"]

OUT = "quantized"
"""Folder of the copy, in the job's."""
JOB = "JOB"
"""Stands for the number of the job, which it has not got yet."""


@dataclass(frozen=True)
class Plan:
    """spec: settled: version, device (``cpu`` or ``cuda``), name, template; what its method does not know is at none. card: None where there
    is no such model; model_folder: its. layers: of the model. bytes_before: of the weight files; bytes_after: of the copy's, None where
    nobody can tell. memory: None for the same reason; foreseen: before earlier jobs here corrected it; free: bytes where it will run. seconds: without the
    report card. disk_bytes: of all that is written. out_folder: where the copy will lie. served_by: what can serve it, on whatever machine;
    served_here: what of that is here. calibrated: the rows, as far as a plan looks; rows, row_tokens: of all that the run looks at. command: what
    is really run. engine_environment: ``base``, or the environment's name."""

    spec: QuantizeSpec
    card: ModelCard | None = None
    model_folder: str = ""
    kind: Kind | None = None
    layers: int = 0
    bytes_before: int = 0
    bytes_after: Size | None = None
    memory: Planned | None = None
    foreseen: Planned | None = None
    free: int | None = None
    seconds: Span | None = None
    disk_bytes: int = 0
    disk_free: int | None = None
    out_folder: str = ""
    served_by: tuple[Server, ...] = ()
    served_here: tuple[Server, ...] = ()
    calibrated: Calibrated | None = None
    rows: int = 0
    row_tokens: int = 0
    faults: tuple[Fault, ...] = ()
    command: tuple[str, ...] = ()
    engine_environment: str = "base"

    @property
    def runs(self) -> bool:
        """Nothing keeps it from being started."""
        return not any(fault.fatal for fault in self.faults)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what ``plan.json`` and the command line hold."""
        apart = ("spec", "card", "kind", "memory", "foreseen", "calibrated")
        plain = {name: value for name, value in vars(self).items() if name not in apart}
        seen = self.calibrated
        return plain | {
            "spec": self.spec.model_dump(mode="json"),
            "model": self.card.name if self.card is not None else self.spec.model,
            "method": self.kind.method if self.kind is not None else self.spec.method,
            "bits": self.kind.bits if self.kind is not None else 0,
            "format": self.kind.format if self.kind is not None else "",
            "bytes_after": vars(self.bytes_after) if self.bytes_after else None,
            "seconds": vars(self.seconds) if self.seconds else None,
            "memory": as_plain(self.memory) if self.memory else None,
            "served_by": [list(one) for one in self.served_by],
            "served_here": [list(one) for one in self.served_here],
            "calibration": {name: value for name, value in vars(seen).items() if name != "rows"} if seen else None,
            "faults": [as_dict(fault) for fault in self.faults],
            "command": list(self.command),
            "runs": self.runs,
        }


def plan(workspace: Workspace, data: Mapping[str, Any] | QuantizeSpec, machine: Machine | None = None) -> Plan:
    """What the quantization ``data`` comes to on ``machine`` (as it is now)."""
    machine = machine or snapshot(workspace.jobs if workspace.jobs.exists() else None)
    faults = Faults()
    spec = reading.read(data, faults)
    card = preflight.check_model(workspace, spec, faults)
    kind = preflight.check_method(spec, card, machine, faults)
    spec = preflight.settle_device(workspace, spec, machine, faults)
    spec = preflight_rows.settle(workspace, spec, kind, faults)
    seen = preflight_rows.see(workspace, spec, card, faults)
    spec = _settled(workspace, spec, card, kind, faults)
    made = Plan(
        spec=spec,
        card=card,
        kind=kind,
        disk_free=machine.disk_free,
        calibrated=seen,
        rows=seen.taken,
        row_tokens=round(seen.tokens * seen.taken / max(1, len(seen.rows))),
        out_folder=str(workspace.jobs / JOB / OUT),
        engine_environment=kind.environment,
        command=(sys.executable, "-m", "jobs.quantize", "SPEC.json"),
    )
    if card is not None:
        made = replace(made, model_folder=str(card.path), bytes_before=card.size_bytes, layers=card.layers or 0)
    if card is not None and not faults.has("model"):
        made = _measured(workspace, made, card, kind, machine, faults)
    return replace(made, faults=tuple(sorted(faults.found, key=lambda one: not one.fatal)))


def checked(workspace: Workspace, spec: QuantizeSpec, machine: Machine | None = None) -> Plan:
    """The plan of a quantization that can be started.

    Raises:
        SpecError: ``quantize_refused``, with all that is wrong in ``problems`` and in the message.
    """
    made = plan(workspace, spec, machine)
    if made.runs:
        return made
    fatal = [fault for fault in made.faults if fault.fatal]
    raise SpecError(
        "quantize_refused",
        N_("This copy cannot be made. {listing}"),
        N_("Change the settings named and start it again."),
        listing=said.joined(fault.sentence() for fault in fatal),
        problems=[{"field": fault.field, "code": fault.code, "message": fault.sentence()} for fault in fatal],
    )


def _settled(
    workspace: Workspace, spec: QuantizeSpec, card: ModelCard | None, kind: Kind, faults: Faults
) -> QuantizeSpec:
    plain: dict[str, Any] = {} if kind.grouped else {"group_size": 0, "symmetric": False}
    plain["template"] = spec.template or (card.template_fingerprint if card is not None else "")
    if spec.model:
        plain["name"] = preflight.check_name(workspace, spec, card, kind, faults)
    return spec.model_copy(update=plain)


def _measured(workspace: Workspace, made: Plan, card: ModelCard, kind: Kind, machine: Machine, faults: Faults) -> Plan:
    """``made`` with what follows from the model's matrices: size, memory, disk, time."""
    spec = made.spec
    try:
        known = facts.from_card(card)
    except PanelError as error:
        faults.of(error, "model")
        return made
    preflight.check_group(spec, kind, known, faults)
    preflight.check_served(spec, kind, card, known, faults)
    assert made.calibrated is not None
    preflight_rows.check(spec, kind, card, made.calibrated, faults)
    preflight_rows.check_enough(spec, kind, known, made.calibrated, faults)
    after = sizes.after(known, kind, spec)
    room = preflight_room.room(workspace, machine, spec.device).free_after_growth
    foreseen = forecast.memory(known, kind, spec, made.rows, made.row_tokens, room)
    serving = methods.servers(kind, card, spec.group_size, spec.symmetric)
    made = replace(
        made,
        layers=known.layers,
        bytes_after=after,
        memory=forecast.corrected(workspace, foreseen),
        foreseen=foreseen,
        free=room,
        seconds=forecast.seconds(workspace, known, kind, spec, made.rows, made.row_tokens, machine),
        disk_bytes=preflight_room.disk_bytes(after, made.row_tokens),
        served_by=serving,
        served_here=methods.here(serving, machine),
    )
    preflight_room.check_memory(made, kind, known, faults)
    preflight_room.check_disk(made, kind, known, faults)
    return replace(made, command=_command(made, card, kind, known))


def _command(made: Plan, card: ModelCard, kind: Kind, known: ModelFacts) -> tuple[str, ...]:
    """What is run: LMDeploy's own command line, else the program of the job, in which llm-compressor works."""
    if kind.engine != "lmdeploy":
        return made.command
    spec = made.spec
    what = Awq(
        model=Path(card.path),
        out=Path(made.out_folder),
        samples=spec.samples if made.rows else 0,
        sample_tokens=spec.sample_tokens,
        group=spec.group_size,
        device=spec.device,
        dtype="float16" if spec.device == "cpu" and known.dtype == "bfloat16" else "",
        trust_code=card.needs_code and card.code_allowed,
    )
    make = lmdeploy_lite.smooth_command if kind.method == "smooth_quant" else lmdeploy_lite.command
    return tuple(make(lmdeploy_env.python(), what))
