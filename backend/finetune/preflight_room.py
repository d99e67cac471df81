"""Memory and disk: what is free where a training will run, and whether it is enough."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import PanelError
from backend.finetune import fitting, times
from backend.finetune.faults import Faults, Way
from backend.finetune.here import Here
from backend.memory import trust
from backend.memory.budget import Budget, free_now
from backend.memory.planned import Planned
from backend.memory.sample import HOST
from backend.said import _
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

GIB = 1 << 30
REHEARSED = 1.1
"""A run may take so many times what its rehearsal took of what is guessed: it had the longest rows, and three steps only."""


def room(workspace: Workspace, here: Here, spec: FinetuneSpec) -> Budget:
    """The memory where it will run, less what others are about to take."""
    place = here.gpus[0].uuid if spec.device == "cuda" and here.gpus else HOST
    found = free_now(here.machine, None, place)
    # What was recorded and promised makes it better; that it cannot be read must not hide what is free.
    with contextlib.suppress(PanelError, OSError):
        if workspace.state_db.exists() and not inside_a_job():
            from backend.queue.store import Store  # the queue asks for forecasts, and they for plans

            store = Store(workspace)
            with trust.opened(store) as memory:
                found = free_now(here.machine, memory, place, store=store)
    if not spec.gpu_mib or found.free is None:
        return found
    share = spec.gpu_mib << 20
    return replace(
        found, free=min(found.free, share + found.growth + found.promised), total=min(found.total or share, share)
    )


def corrected(workspace: Workspace, foreseen: Planned, spec: FinetuneSpec) -> dict[str, Any]:
    """Fields of the plan: ``memory`` as a rehearsal with these settings measured it, else as earlier jobs of this kind correct
    the guessed parts of it; ``measured_by``."""
    rehearsed = times.rehearsal(workspace, spec)
    if rehearsed is not None and _same_size(spec, rehearsed[1].settings):
        peak = max(rehearsed[1].peak_bytes, rehearsed[1].held_bytes)
        ratio = _ratio(foreseen, peak)
        if ratio is not None:
            residual = trust.Residual(trust.LEAST, ratio, ratio * REHEARSED)
            return {"memory": _with(foreseen, residual), "measured_by": rehearsed[0]}
    residual = trust.Residual()
    # Without earlier jobs it stands as it was foreseen.
    with contextlib.suppress(PanelError, OSError):
        if workspace.state_db.exists():
            from backend.queue.store import Store

            store = Store(workspace)
            with trust.opened(store) as memory:
                residual = trust.residual(store, memory, "finetune", foreseen.engine, foreseen.kind)
    return {"memory": _with(foreseen, residual), "measured_by": 0}


def _with(foreseen: Planned, residual: trust.Residual) -> Planned:
    return replace(foreseen, estimate=trust.corrected(foreseen.estimate, residual))


def _ratio(foreseen: Planned, peak: int) -> float | None:
    """How many times the guessed parts really were; None where a measured peak below the counted parts says nothing."""
    terms = foreseen.estimate.terms
    guessed = sum(term.p50 for term in terms if term.name not in trust.COUNTED)
    sure = sum(term.p50 for term in terms) - guessed
    return (peak - sure) / guessed if guessed and peak > sure else None


def _same_size(spec: FinetuneSpec, other: dict[str, Any]) -> bool:
    mine = spec.model_dump(mode="json")
    return all(name not in other or mine[name] == other[name] for name in ("lora_rank", "target_modules"))


def check_memory(made: Plan, faults: Faults) -> None:
    """It is enough memory, or what would be."""
    memory, free = made.memory, made.free
    if memory is None or free is None:
        return
    likely, most = int(memory.estimate.p50), int(memory.estimate.p95)
    if most <= free:
        return
    fatal = likely > free
    where = _("GPU memory") if memory.kind == "cuda" else _("main memory")
    text = (
        _("It needs about {need} GiB of {where}, and {free} GiB are free.")
        if fatal
        else _("It needs about {need} GiB of {where}, {most} at most, and {free} GiB are free: it may run out.")
    )
    faults.add(
        "finetune_no_memory" if fatal else "finetune_tight_memory",
        "batch_size",
        text.format(need=f"{likely / GIB:.1f}", most=f"{most / GIB:.1f}", free=f"{free / GIB:.1f}", where=where),
        _("Stop what else runs there, or change one of these settings."),
        fatal=fatal,
        ways=fitting.ways(made, free),
    )


def check_disk(made: Plan, faults: Faults) -> None:
    """There is room for the checkpoints and the result."""
    free = made.disk_free
    if free is None or made.disk_bytes <= free:
        return
    ways = []
    spec = made.spec
    if spec.keep > 1 and made.disk_bytes - (spec.keep - 1) * made.checkpoint_bytes <= free:
        ways.append(Way(_("Keep the newest checkpoint only"), {"keep": 1}))
    merged = made.result_bytes if spec.merge and spec.method != "full" else 0
    if merged and made.disk_bytes - merged <= free:
        ways.append(Way(_("Do not merge: an adapter is small"), {"merge": False}))
    faults.add(
        "finetune_no_disk",
        "keep",
        _("Checkpoints and result need {need} GiB of disk, and {free} GiB are free.").format(
            need=f"{made.disk_bytes / GIB:.1f}", free=f"{free / GIB:.1f}"
        ),
        _("Delete finished jobs, or keep less of this one."),
        ways=tuple(ways),
    )


def inside_a_job() -> bool:
    """This is the program of a job: what it was promised of the memory is its own."""
    return bool(os.environ.get("TUNEDECK_JOB_ID"))
