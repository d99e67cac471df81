"""Memory and disk before a quantization: what is free where it will run, whether it is enough, and what would be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backend.errors import PanelError
from backend.finetune.faults import Faults, Way
from backend.finetune.preflight_room import inside_a_job
from backend.memory import trust
from backend.memory.budget import Budget, free_now
from backend.memory.forecast import ModelFacts
from backend.memory.machine import Machine
from backend.memory.sample import HOST
from backend.quantize import forecast, sizes
from backend.quantize.methods import KINDS, Kind
from backend.said import _
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.quantize.plan import Plan

GIB = 1 << 30
BESIDE = 24 << 20
"""Tokenizer, plan, log, the report card."""
SHORTEST, FEWEST = 64, 16


def room(workspace: Workspace, machine: Machine, device: str) -> Budget:
    """The memory where it will run, less what others are about to take."""
    gpus = sorted((one for one in machine.gpus if one.total is not None), key=lambda one: -(one.free or 0))
    place = gpus[0].uuid if device == "cuda" and gpus else HOST
    found = free_now(machine, None, place)
    # What was recorded and promised makes it better; that it cannot be read must not hide what is free.
    with contextlib.suppress(PanelError, OSError):
        if workspace.state_db.exists() and not inside_a_job():
            from backend.queue.store import Store  # the queue asks for forecasts, and they for plans

            store = Store(workspace)
            with trust.opened(store) as memory:
                found = free_now(machine, memory, place, store=store)
    return found


def check_memory(made: Plan, kind: Kind, known: ModelFacts, faults: Faults) -> None:
    """It is enough memory, or what would be."""
    memory, free = made.memory, made.free
    if memory is None or free is None or memory.estimate.p95 <= free:
        return
    likely, most = int(memory.estimate.p50), int(memory.estimate.p95)
    fatal = likely > free
    where = _("GPU memory") if memory.kind == "cuda" else _("main memory")
    text = (
        _("It needs about {need} GiB of {where}, and {free} GiB are free.")
        if fatal
        else _("It needs about {need} GiB of {where}, {most} at most, and {free} GiB are free: it may run out.")
    )
    faults.add(
        "quantize_no_memory" if fatal else "quantize_tight_memory",
        "samples" if made.rows else "model",
        text.format(need=f"{likely / GIB:.1f}", most=f"{most / GIB:.1f}", free=f"{free / GIB:.1f}", where=where),
        _("Stop what else runs there, or change one of these settings."),
        fatal=fatal,
        ways=tuple(_smaller(made, kind, known, free)),
    )


def _smaller(made: Plan, kind: Kind, known: ModelFacts, free: int) -> Iterator[Way]:
    """Changes that each alone make it fit: fewer rows, shorter ones, a method that looks at none."""
    spec, rows, tokens = made.spec, made.rows, made.row_tokens

    def fits(one: Kind, rows: int, tokens: int) -> bool:
        return forecast.memory(known, one, spec, rows, tokens).estimate.p95 <= free

    fewer = next((n for n in _halves(rows, FEWEST) if fits(kind, n, tokens * n // rows)), 0)
    if fewer:
        yield Way(_("Rows: {rows}").format(rows=f"{fewer:,}"), {"samples": fewer})
    longest = min(spec.sample_tokens, made.calibrated.longest if made.calibrated else 0)
    shorter = next((n for n in _halves(longest, SHORTEST) if fits(kind, rows, min(tokens, rows * n))), 0)
    if shorter:
        yield Way(_("Row length: {tokens} tokens").format(tokens=f"{shorter:,}"), {"sample_tokens": shorter})
    plain: dict[str, Any] = {"method": "rtn" if kind.bits == 4 else "fp8"}
    other = KINDS[plain["method"]]
    if rows and fits(other, 0, 0):
        yield Way(_("Method: {method}").format(method=_(other.title)), plain)


def _halves(size: int, least: int) -> Iterator[int]:
    """Half of ``size``, a quarter … down to ``least``."""
    while (size := size // 2) >= least:
        yield size


def disk_bytes(after: sizes.Size, row_tokens: int) -> int:
    """All that is written: the copy, the rows, and what stands beside."""
    return after.high + 16 * row_tokens + BESIDE


def check_disk(made: Plan, kind: Kind, known: ModelFacts, faults: Faults) -> None:
    """There is room for the copy."""
    free = made.disk_free
    if free is None or made.disk_bytes <= free:
        return
    ways = []
    if kind.bits == 8:
        other, spec = KINDS["gptq"], made.spec.model_copy(update={"group_size": 128})
        if disk_bytes(sizes.after(known, other, spec), made.row_tokens) <= free:
            ways.append(Way(_("Method: {method}").format(method=_(other.title)), {"method": other.method}))
    faults.add(
        "quantize_no_disk",
        "method",
        _("The copy needs {need} GiB of disk, and {free} GiB are free.").format(
            need=f"{made.disk_bytes / GIB:.1f}", free=f"{free / GIB:.1f}"
        ),
        _("Delete finished jobs, or models that nobody needs any more."),
        ways=tuple(ways),
    )
