"""``python -m backend finetune …``: plan a fine-tuning, rehearse it, run it. The plan is the one that the page shows.

``plan`` says everything that is wrong at once and ends with 2 where the training cannot be started, as ``rehearse`` and ``run``
do, which then submit nothing. Runs that were started: finetune_runs.py.
"""

from __future__ import annotations

import shlex
from importlib import import_module, util
from typing import Annotated, Any, get_args

import typer

from backend import catalog
from backend.cli import follow, output
from backend.cli.jobs import as_dict as job_dict
from backend.cli.jobs import read_spec
from backend.data.store import Datasets
from backend.errors import SpecError
from backend.finetune import presets
from backend.finetune.plan import Fault, Plan
from backend.finetune.plan import plan as planned
from backend.i18n import N_, _
from backend.memory.forecast import TITLES
from backend.memory.machine import snapshot
from backend.queue import watcher
from backend.queue.store import open_store
from backend.specs.finetune import Purpose
from backend.workspace import Workspace, open_workspace

app = typer.Typer(help=_("Plan, rehearse and run fine-tunings, and look at them."))
BESIDE = ("finetune_runs", "finetune_compare")
REFUSED = 2
MIB, GIB = 1 << 20, 1 << 30
PURPOSES: tuple[str, ...] = get_args(Purpose)

SpecFile = Annotated[str, typer.Argument(metavar="SPEC.json", help=_("JSON file with its settings; - reads them."))]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help=_("Settings that the file does not name come from this preset: {names}.").format(names=", ".join(PURPOSES)))
]  # fmt: skip
Minutes = Annotated[
    float, typer.Option(min=0, help=_("With --preset: so many minutes it may take; 0: as long as needed."))
]
Wait = Annotated[bool, typer.Option("--wait", help=_("Follow it until it ends."))]


@app.command("plan", help=_("Say what a training comes to on this machine, and everything that is wrong with it."))
def show_plan(spec: SpecFile, preset: Preset = "", minutes: Minutes = 0, as_json: Json = False) -> int:
    made = planned(open_workspace(), _filled(open_workspace(), read_spec(spec), preset, minutes))
    output(made.to_dict(), as_json, "\n".join(in_lines(made)))
    return 0 if made.runs else REFUSED


@app.command(help=_("Try a training for three real steps: memory, speed, one evaluation, one save, one load."))
def rehearse(
    spec: SpecFile, preset: Preset = "", minutes: Minutes = 0, wait: Wait = False, as_json: Json = False
) -> int:
    return _submit("rehearse", spec, preset, minutes, wait, as_json)


@app.command(help=_("Start a training."))
def run(spec: SpecFile, preset: Preset = "", minutes: Minutes = 0, wait: Wait = False, as_json: Json = False) -> int:
    return _submit("finetune", spec, preset, minutes, wait, as_json)


def in_lines(made: Plan) -> list[str]:
    """A plan for a person."""
    spec = made.spec
    lines = [
        _("{model} on {dataset}: {method} with {engine}").format(
            model=spec.model or "?", dataset=spec.dataset or "?", method=spec.method, engine=spec.engine
        )
    ]
    if made.rows:
        text = _("{rows} rows, {tokens} tokens an epoch; {held} rows held out")
        lines.append(text.format(rows=f"{made.rows:,}", tokens=f"{made.tokens:,}", held=f"{made.validation_rows:,}"))
        text = _("{steps} steps of {batch} rows, {each} an epoch; warm-up {warmup}")
        lines.append(
            text.format(
                steps=f"{made.steps:,}",
                batch=made.effective_batch,
                each=f"{made.steps_per_epoch:,}",
                warmup=made.warmup_steps,
            )
        )
        if made.steps_low < made.steps_high:
            text = _("{low} to {high} steps, by which rows are held out and mixed in when it begins")
            lines.append(text.format(low=f"{made.steps_low:,}", high=f"{made.steps_high:,}"))
    if made.seconds is not None:
        text = _("about {likely}, between {low} and {high} ({source})")
        span = made.seconds
        lines.append(
            text.format(
                likely=duration(span.likely),
                low=duration(span.low),
                high=duration(span.high),
                source=_(SOURCES[span.source]),
            )
        )
    if made.memory is not None:
        lines.append(str(made.memory.estimate.why))
        lines += [f"  {_(TITLES[term.name]):<16}{term.p50 / MIB:>12,.0f} MiB" for term in made.memory.estimate.terms]
    if made.disk_bytes:
        text = _("{need} GiB of disk for checkpoints and result")
        lines.append(text.format(need=f"{made.disk_bytes / GIB:.1f}"))
    lines += made.evaluated
    lines += [line for fault in made.faults for line in _fault(fault)]
    return [*lines, shlex.join(made.command)]


SOURCES = {
    "rehearsal": N_("from a rehearsal"),
    "earlier": N_("from earlier runs here"),
    "assumed": N_("assumed from what such processors can do"),
}


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return _("{n} s").format(n=f"{seconds:.0f}")
    return (
        _("{n} min").format(n=f"{seconds / 60:.0f}")
        if seconds < 90 * 60
        else _("{n} h").format(n=f"{seconds / 3600:.1f}")
    )


def _fault(fault: Fault) -> list[str]:
    mark = "✗" if fault.fatal else "!"
    return [f"{mark} {fault.sentence()}", *(f"    {way.label}: {_fields(way.fields)}" for way in fault.ways)]


def _fields(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in fields.items())


def _filled(workspace: Workspace, data: dict[str, Any], preset: str, minutes: float) -> dict[str, Any]:
    """``data`` with what a preset says of the rest.

    Raises:
        PanelError: there is no such preset, model or dataset.
    """
    if not preset:
        return data
    if preset not in PURPOSES:
        raise SpecError(
            "finetune_preset_unknown",
            N_("There is no preset called '{preset}'."),
            N_("It is one of: {known}."),
            preset=preset,
            known=", ".join(PURPOSES),
        )
    purpose: Purpose = preset  # type: ignore[assignment]
    card = catalog.find(workspace, str(data.get("model") or ""))
    version = Datasets(workspace).open(str(data.get("dataset") or ""), str(data.get("version") or "") or None)
    machine = snapshot(workspace.jobs)
    made = presets.settings(purpose, card, version, machine, 60 * minutes or None, data.get("engine") or "peft")
    return made | data


def _submit(verb: str, spec: str, preset: str, minutes: float, wait: bool, as_json: bool) -> int:
    workspace = open_workspace()
    made = planned(workspace, _filled(workspace, read_spec(spec), preset, minutes))
    if not made.runs:
        output(made.to_dict(), as_json, "\n".join(line for fault in made.faults for line in _fault(fault)))
        return REFUSED
    store = open_store(workspace)
    row = store.submit(verb, made.spec.model_dump(mode="json"))
    watcher.ensure_running(workspace)
    if wait:
        row = follow.follow(store, row, quiet=as_json)
    data = {**job_dict(row), "result": store.result(row.id)}
    output(data, as_json, _("Job {job}: {title}").format(job=row.id, title=row.title))
    return 0


for _name in BESIDE:
    if util.find_spec(f"backend.cli.{_name}") is not None:
        import_module(f"backend.cli.{_name}").register(app)
