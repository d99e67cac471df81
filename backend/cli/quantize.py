"""``python -m backend quantize …``: make smaller copies of models, and show what they cost. The plan is the one that the page shows.

``plan`` says everything that is wrong at once and ends with 2 where the copy cannot be made, as ``run`` does, which then submits nothing.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from backend import catalog
from backend.catalog.files import size_text
from backend.cli import follow, output
from backend.cli.finetune import SOURCES, duration
from backend.cli.jobs import as_dict as job_dict
from backend.cli.jobs import read_spec
from backend.errors import NotFoundError
from backend.finetune.faults import Fault
from backend.i18n import N_, _, ngettext
from backend.memory.forecast import TITLES
from backend.quantize import methods, report, report_records
from backend.quantize.plan import Plan
from backend.quantize.plan import plan as planned
from backend.queue import watcher
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace, read_json

app = typer.Typer(help=_("Make smaller copies of models, and show what they cost."))
REFUSED = 2
MIB = 1 << 20
PLAN, CARD = "plan.json", report_records.FILE
VERBS = ("quantize", "report_card")

SpecFile = Annotated[str, typer.Argument(metavar="SPEC.json", help=_("JSON file with its settings; - reads them."))]
Model = Annotated[str, typer.Argument(help=_("Name of a model on the list, or its folder."))]
JobId = Annotated[int, typer.Argument(help=_("Number of the job."))]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Wait = Annotated[bool, typer.Option("--wait", help=_("Follow it until it ends."))]


@app.command("methods", help=_("List the methods: which run here for a model, and what serves the result."))
def list_methods(model: Model, as_json: Json = False) -> None:
    card = catalog.find(open_workspace(), model)
    found = methods.choices(card)
    lines = [line for one in found for line in _choice(one)]
    output([_choice_dict(one) for one in found], as_json, "\n".join(lines))


@app.command("plan", help=_("Say what a copy comes to on this machine, and everything that is wrong with it."))
def show_plan(spec: SpecFile, as_json: Json = False) -> int:
    made = planned(open_workspace(), read_spec(spec))
    output(made.to_dict(), as_json, "\n".join(in_lines(made)))
    return 0 if made.runs else REFUSED


@app.command(help=_("Make a smaller copy."))
def run(spec: SpecFile, wait: Wait = False, as_json: Json = False) -> int:
    workspace = open_workspace()
    made = planned(workspace, read_spec(spec))
    if not made.runs:
        output(made.to_dict(), as_json, "\n".join(line for fault in made.faults for line in _fault(fault)))
        return REFUSED
    return _submit(open_store(workspace), "quantize", made.spec.model_dump(mode="json"), wait, as_json)


@app.command("report", help=_("Measure models beside each other: size, speed, memory, quality."))
def measure(spec: SpecFile, wait: Wait = False, as_json: Json = False) -> int:
    return _submit(open_store(open_workspace()), "report_card", read_spec(spec), wait, as_json)


@app.command(help=_("Show what a job has made, and what its report card says."))
def show(job: JobId, as_json: Json = False) -> None:
    store = open_store(open_workspace())
    row = store.get(job)
    if row.verb not in VERBS:
        raise NotFoundError(
            "quantize_no_run",
            N_("Job {job} makes no smaller copy and measures none: it is called '{title}'."),
            N_("'jobs list' shows all jobs."),
            job=job,
            title=row.title,
        )
    folder = store.job_dir(job)
    found = report.read(folder)
    data = {
        "job": job_dict(row),
        "spec": store.spec(job),
        "plan": read_json(folder / PLAN),
        "result": store.result(job),
        "report": read_json(folder / CARD),
        "sentences": report.sentences(found) if found is not None else [],
        "folder": str(folder),
    }
    lines = [f"{row.id:>6}  {row.state:<10} {row.title}", str(folder), *_made(data["result"]), *data["sentences"]]
    output(data, as_json, "\n".join(lines))


def in_lines(made: Plan) -> list[str]:
    """A plan for a person."""
    spec, kind = made.spec, made.kind
    lines = [_("{model}: {method}").format(model=spec.model or "?", method=_(kind.title) if kind else spec.method)]
    if made.bytes_after is not None:
        text = _("{before} become {after}, called '{name}'")
        after = size_text(made.bytes_after.likely)
        lines.append(text.format(before=size_text(made.bytes_before), after=after, name=spec.name))
    if made.rows:
        text = ngettext("{rows} row, {tokens} tokens: {source}", "{rows} rows, {tokens} tokens: {source}", made.rows)
        source = made.calibrated.source if made.calibrated else ""
        lines.append(text.format(rows=f"{made.rows:,}", tokens=f"{made.row_tokens:,}", source=source))
    if made.seconds is not None:
        text, span = _("about {likely}, between {low} and {high} ({source})"), made.seconds
        times = {name: duration(getattr(span, name)) for name in ("low", "likely", "high")}
        lines.append(text.format(**times, source=_(SOURCES[span.source])))
    if made.memory is not None:
        lines.append(str(made.memory.estimate.why))
        lines += [f"  {_(TITLES[term.name]):<16}{term.p50 / MIB:>12,.0f} MiB" for term in made.memory.estimate.terms]
    if made.served_by:
        text = _("served by {servers}; here: {here}")
        lines.append(text.format(servers=_servers(made.served_by), here=_servers(made.served_here) or _("nothing")))
    lines += [line for fault in made.faults for line in _fault(fault)]
    return [*lines, shlex.join(made.command)]


def _servers(found: tuple[methods.Server, ...]) -> str:
    return ", ".join(f"{engine} ({device})" for engine, device in found)


def _choice(one: methods.Choice) -> list[str]:
    mark = "✗" if one.problem is not None else "✓"
    lines = [f"{mark} {one.kind.method:<14}{_(one.kind.title)}", f"    {_(one.kind.description)}"]
    said = " ".join(part for part in one.problem.localized() if part) if one.problem is not None else one.served_note
    return [*lines, f"    {said}"] if said else lines


def _choice_dict(one: methods.Choice) -> dict[str, Any]:
    kind = {**vars(one.kind), "serves": [list(pair) for pair in one.kind.serves]}
    texts = {name: _(kind[name]) for name in ("title", "description", "note")}
    message, hint = one.problem.localized() if one.problem is not None else ("", "")
    problem = {"code": one.problem.code, "message": message, "hint": hint} if one.problem is not None else None
    served = {"served_here": one.served_here, "served_note": one.served_note}
    kind["makes_a_copy"] = one.kind.makes_a_copy
    return {**kind, **texts, "runs_here": problem is None, "problem": problem, **served}


def _fault(fault: Fault) -> list[str]:
    mark = "✗" if fault.fatal else "!"
    ways = [f"    {way.label}: {', '.join(f'{k} = {v}' for k, v in way.fields.items())}" for way in fault.ways]
    return [f"{mark} {fault.sentence()}", *ways]


def _made(result: Any) -> list[str]:
    if not isinstance(result, dict) or not result.get("bytes_after"):
        return []
    before, after = (size_text(int(result.get(name) or 0)) for name in ("bytes_before", "bytes_after"))
    return [_("{before} became {after}: '{name}'").format(before=before, after=after, name=result.get("model") or "–")]


def _submit(store: Store, verb: str, spec: dict[str, Any], wait: bool, as_json: bool) -> int:
    row = store.submit(verb, spec)
    watcher.ensure_running(store.workspace)
    if wait:
        row = follow.follow(store, row, quiet=as_json)
    data = {**job_dict(row), "result": store.result(row.id)}
    output(data, as_json, _("Job {job}: {title}").format(job=row.id, title=row.title))
    return 0
