"""``python -m backend envs …``: which engines are installed and proven; install, test, bundle and remove them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.cli.follow import follow
from backend.engines import engines
from backend.envs import jobs, places, planning, removing
from backend.envs.planning import Plan
from backend.envs.status import Report, Status
from backend.errors import ConflictError, PanelError
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace

app = typer.Typer(help=_("Install, test and remove the environments of engines."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Name = Annotated[str, typer.Argument(metavar="NAME", help=_("The engine, as 'envs list' names it."))]
Flavour = Annotated[
    str, typer.Option(metavar="FLAVOUR", help=_("cpu, cuda, or auto: what this machine needs."), show_default=True)
]
MARKS = {"passed": "✓", "failed": "✗", "not_tested": "-"}


def as_dict(status: Status) -> dict[str, Any]:
    """An environment as JSON, its problem and those of its self-test as sentences beside their codes."""
    report = status.report
    data = {name: getattr(status, name) for name in status.__dataclass_fields__}
    data |= {"title": engines()[status.engine].title, "usable": status.usable, "versions": dict(status.versions)}
    data["problem"] = _told(status.problem)
    if report is not None:
        data["report"] = report.to_dict() | {"passed": report.passed}
        for check, written in zip(report.checks, data["report"]["checks"], strict=True):
            written["problem"] = _told(check.problem)
    return data


def line(status: Status) -> str:
    """An environment in one line for a person."""
    version = next(iter(status.versions.values()), "")
    size = planning.size_text(status.size_bytes) if status.size_bytes else ""
    why = " ".join(status.problem.localized()) if status.problem else ""
    columns = f"{status.engine:<14}{status.state:<11}{version:<12}{status.flavour:<6}{size:<9}"
    return f"{columns}{_tested(status.report)} {why}".rstrip()


@app.command("list", help=_("List the engines: installed or not, versions, size, last self-test."))
def list_environments(as_json: Json = False) -> None:
    found = places.statuses(open_workspace())
    output([as_dict(status) for status in found], as_json, "\n".join(map(line, found)))


@app.command(help=_("Install an engine and prove it by its self-test. What is there stays in use until then."))
def install(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help=_("The engine, as 'envs list' names it."))] = "",
    everything: Annotated[bool, typer.Option("--all", help=_("All engines that can be installed here."))] = False,
    flavour: Flavour = "auto",
    wheels: Annotated[
        str, typer.Option("--from", metavar="FOLDER", help=_("A bundle to install from, without a network."))
    ] = "",
    reinstall: Annotated[bool, typer.Option("--reinstall", help=_("Make it anew although it is there."))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("Print what would be done, and do nothing."))] = False,
    as_json: Json = False,
) -> int:
    if bool(name) == everything:
        raise typer.BadParameter(_("Name one engine, or give --all."))
    workspace = open_workspace()
    wanted = [each for each, engine in engines().items() if engine.recipe is not None] if everything else [name]
    folder = str(Path(wheels).expanduser().absolute()) if wheels else ""
    spec = {"flavour": flavour, "wheels": folder, "reinstall": reinstall}
    if dry_run:
        plans = [planning.plan(workspace, each, flavour, Path(folder) if folder else None) for each in wanted]
        output([_plan_dict(plan) for plan in plans], as_json, "\n".join(map(_plan_line, plans)))
        return 1 if any(plan.problems for plan in plans) else 0
    store = open_store(workspace)
    if not everything:
        _install(store, {"engine": name, **spec}, as_json)
        output(as_dict(places.status(workspace, name)), as_json)
        return 0
    failures: dict[str, PanelError] = {}
    for each in wanted:
        try:
            _install(store, {"engine": each, **spec}, as_json)
        except PanelError as error:
            failures[each] = error
            if not as_json:
                typer.echo(f"{each}: {' '.join(error.localized())}", err=True)
    found = [as_dict(places.status(workspace, each)) | {"error": _told(failures.get(each))} for each in wanted]
    output(found, as_json)
    return 1 if failures else 0


@app.command("test", help=_("Run the self-test of an engine: the real thing on a small model, about a minute."))
def self_test(name: Name, as_json: Json = False) -> None:
    workspace = open_workspace()
    places.status(workspace, name)  # an engine that is not known is said before a job is made of it
    _done(open_store(workspace), jobs.TEST, {"engine": name}, as_json)
    status = places.status(workspace, name)
    output(as_dict(status), as_json, _checks(status.report))


@app.command(help=_("Fetch all packages of an engine into a folder, for a machine without network."))
def bundle(
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help=_("The folder to fill."))],
    flavour: Flavour = "auto",
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    places.with_environment(name)
    spec = {"engine": name, "flavour": flavour, "folder": str(Path(folder).expanduser().absolute())}
    row = _done(open_store(workspace), jobs.BUNDLE, spec, as_json)
    result = open_store(workspace).result(row.id) or {}
    said = _("The bundle is in {folder}. On the other machine: python -m backend envs install {name} --from FOLDER")
    text = said.format(folder=result.get("folder", spec["folder"]), name=name)
    output({"engine": name, "job": row.id, "folder": result.get("folder"), "bytes": result.get("bytes")}, as_json, text)


@app.command(help=_("Delete the environment of an engine and what was downloaded for it."))
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_("Delete without asking."))] = False,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    size = planning.size_text(removing.size(workspace, name))
    if not yes:
        folder = str(places.home(workspace, name))
        if as_json or not sys.stdin.isatty():
            raise ConflictError(
                "deletion_not_confirmed",
                N_("Removing the environment of '{engine}' would delete {size} in {folder}."),
                N_("Give --yes to do it."),
                engine=name,
                size=size,
                folder=folder,
            )
        typer.echo(f"{size}  {folder}")
        typer.confirm(_("Delete this environment?"), abort=True)
    freed = removing.remove(workspace, name)
    text = _("The environment of '{engine}' is removed; {size} are free again.")
    data = {"removed": name, "freed_bytes": freed}
    output(data, as_json, text.format(engine=name, size=planning.size_text(freed)))


def _install(store: Store, spec: dict[str, Any], as_json: bool) -> None:
    """Install one engine and say what came of it; nothing is done where the same is there and proven.

    Raises:
        PanelError: why it cannot be installed, or what went wrong.
    """
    name, wheels = spec["engine"], spec["wheels"]
    plan = planning.plan(store.workspace, name, spec["flavour"], Path(wheels) if wheels else None)
    if plan.reuse and not spec["reinstall"]:
        if not as_json:
            typer.echo(_("{name} is installed and proven already.").format(name=name))
        return
    if plan.problems:
        for problem in plan.problems[1:]:
            typer.echo(" ".join(problem.localized()), err=True)
        raise plan.problems[0]
    _done(store, jobs.INSTALL, spec, as_json)
    status = places.status(store.workspace, name)
    if not as_json:
        typer.echo(_checks(status.report))
        typer.echo(_("{name} is installed and proven: {folder}").format(name=name, folder=status.folder))


def _done(store: Store, verb: str, spec: dict[str, Any], as_json: bool) -> JobRow:
    """The job ``verb`` once it has ended well; the one that is under way, where there is one.

    Raises:
        PanelError: how it ended else.
    """
    row, new = jobs.ask(store, verb, spec)
    watcher.ensure_running(store.workspace)
    if not new and not as_json:
        typer.echo(_("Job {job} does that already; this follows it.").format(job=row.id))
    return follow(store, row, quiet=as_json)


def _checks(report: Report | None) -> str:
    """The self-test, a line a check."""
    lines = []
    for check in report.checks if report else ():
        figures = " · ".join(f"{_(name)} {value}" for name, value in check.figures.items())
        why = " ".join(check.problem.localized()) if check.problem else ""
        state = _("not tested here") if check.outcome == "not_tested" else ""
        told = " · ".join(part for part in (_(check.name), state, figures, why) if part)
        lines.append(f"  {MARKS[check.outcome]} {told}")
    return "\n".join(lines)


def _tested(report: Report | None) -> str:
    if report is None:
        return _("not tested")
    counts = {outcome: sum(check.outcome == outcome for check in report.checks) for outcome in MARKS}
    return " ".join(f"{MARKS[outcome]}{count}" for outcome, count in counts.items() if count)


def _plan_dict(plan: Plan) -> dict[str, Any]:
    data = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    return data | {"why_flavour": _(plan.why_flavour), "problems": [_told(problem) for problem in plan.problems]}


def _plan_line(plan: Plan) -> str:
    if plan.reuse:
        return _("{name} is installed and proven already.").format(name=plan.engine)
    text = _("{name} ({flavour}): {packages} packages, {download} to download, {needed} of disk, {free} free")
    said = text.format(
        name=plan.engine,
        flavour=plan.flavour,
        packages=plan.packages,
        download=planning.size_text(plan.download_bytes),
        needed=planning.size_text(plan.needed_bytes),
        free=planning.size_text(plan.free_bytes),
    )
    return "\n".join([said, *(f"  {' '.join(problem.localized())}" for problem in plan.problems)])


def _told(error: PanelError | None) -> dict[str, Any] | None:
    """An error as JSON, with what a person would read."""
    if error is None:
        return None
    message, hint = error.localized()
    return {"code": error.code, "message": message, "hint": hint}
