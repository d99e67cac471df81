"""``python -m backend serve …``: start, stop, sleep and wake model servers, and see which run."""

from __future__ import annotations

import shlex
import time
from typing import Annotated, Any, get_args

import typer

from backend.cli import output
from backend.engines import ENGINES, serving
from backend.errors import PanelError, ServerError, SpecError
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.servers import Server, read_server, running_servers
from backend.specs.serve import ServeSpec
from backend.workspace import open_workspace

app = typer.Typer(help=_("Start and stop model servers, and see which run."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Served = Annotated[str, typer.Argument(help=_("Name that it is served under."))]
POLL_S = 0.2


def as_dict(server: Server) -> dict[str, Any]:
    """A server as JSON. Its key stays in its file: what is printed ends in logs."""
    return {name: getattr(server, name) for name in server.__dataclass_fields__ if name != "key"}


@app.command(help=_("Start a server for a model. One that runs already is left as it is."))
def start(
    model: Annotated[str, typer.Argument(help=_("Name of a model, or its folder."))],
    engine: Annotated[str, typer.Option(help=_("auto, or one of those that 'serve engines' lists."))] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help=_("A setting, see 'serve engines'; may be given many times.")),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=_("Check everything, print the command, start nothing."))
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Return when it can answer."))] = False,
    timeout: Annotated[float, typer.Option(help=_("With --wait: give up after so many seconds."))] = 600,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    options = {"engine": engine, **_settings(set_ or [])}
    if dry_run:
        plan = serving.prepare(workspace, model, **options)
        spec = plan.spec.model_dump(mode="json", exclude_defaults=True)
        data = {"engine": plan.engine.name, "spec": spec, "command": plan.command}
        output(data, as_json, shlex.join(plan.command))
        return
    store = open_store(workspace)
    row = serving.start(store, workspace, model, **options)
    watcher.ensure_running(workspace)
    if not wait:
        text = _("Job {job} serves '{model}'.").format(job=row.id, model=row.title)
        output({"job": row.id, "model": row.title, "state": row.state}, as_json, text)
        return
    server = _wait(store, row, timeout)
    output(as_dict(server), as_json, f"{server.model}  {server.base_url}")


@app.command(help=_("Stop the server of a model."))
def stop(model: Served, as_json: Json = False) -> None:
    workspace = open_workspace()
    row = serving.stop(open_store(workspace), model)
    watcher.ensure_running(workspace)
    text = _("Job {job} stops serving '{model}'.").format(job=row.id, model=model)
    output({"job": row.id, "model": model, "state": row.state}, as_json, text)


@app.command(help=_("Let a server give its GPU memory back until it is woken. Not every engine can."))
def sleep(model: Served, as_json: Json = False) -> None:
    server = serving.sleep(open_store(open_workspace()), model)
    output({"model": server.model, "asleep": True}, as_json, _("'{model}' sleeps.").format(model=server.model))


@app.command(help=_("Wake a server that sleeps."))
def wake(model: Served, as_json: Json = False) -> None:
    server = serving.wake(open_store(open_workspace()), model)
    output({"model": server.model, "asleep": False}, as_json, _("'{model}' is awake.").format(model=server.model))


@app.command("list", help=_("List the servers that run."))
def list_servers(as_json: Json = False) -> None:
    servers = running_servers(open_store(open_workspace()))
    lines = [f"{s.job_id:>6}  {s.model:<28}  {s.engine:<12}  {s.base_url}{_state(s)}" for s in servers]
    output([as_dict(s) for s in servers], as_json, "\n".join(lines) or _("No server is running."))


@app.command(help=_("List the engines: whether they can run here, and their settings."))
def engines(as_json: Json = False) -> None:
    found, lines = [], []
    for engine in ENGINES.values():
        problem = engine.unavailable()
        # A person types --set NAME=VALUE; the model and the engine have a place of their own.
        said = {name: ServeSpec.model_fields[name].description for name in ("name", *engine.options())}
        settings = {name: _(text) if text else "" for name, text in said.items()}
        found.append({"engine": engine.name, "problem": problem and problem.to_dict(), "settings": settings})
        lines += [f"{engine.name}: {_('can run here') if problem is None else ' '.join(problem.localized())}"]
        lines += [f"  {name:<24}{text}" for name, text in settings.items()]
    output(found, as_json, "\n".join(lines))


def _settings(pairs: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as fields of the spec, which reads numbers and switches from text itself; lists by commas.

    Raises:
        SpecError: one has no equals sign.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SpecError(
                "setting_bad",
                N_("'{pair}' is no setting."),
                N_("Write NAME=VALUE, for example --set quant_policy=8."),
                pair=pair,
            )
        field = ServeSpec.model_fields.get(name)
        choices = get_args(field.annotation) if field is not None else ()
        if field is not None and field.annotation == tuple[str, ...]:
            found[name] = [part.strip() for part in value.split(",") if part.strip()]
        else:
            # A choice between numbers takes no text, unlike a plain number or switch.
            found[name] = next((choice for choice in choices if str(choice) == value), value)
    return found


def _state(server: Server) -> str:
    if not server.ready:
        return "  " + _("not ready")
    return "  " + _("asleep") if server.asleep else ""


def _wait(store: Store, row: JobRow, timeout: float) -> Server:
    """Until it can answer.

    Raises:
        PanelError: why it failed; ``server_slow`` after ``timeout`` seconds.
    """
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        row = store.get(row.id)
        if row.done:
            raise _ended(row)
        server = read_server(store.job_dir(row.id)) if row.live else None
        if server is not None and server.ready:
            return server
        time.sleep(POLL_S)
    raise ServerError(
        "server_slow",
        N_("Job {job} was not ready after {seconds} seconds; it goes on."),
        N_("See its log with: python -m backend jobs logs {job}"),
        job=row.id,
        seconds=f"{timeout:g}",
    )


def _ended(row: JobRow) -> PanelError:
    if row.error:
        return PanelError.from_dict(row.error)
    return ServerError("server_stopped", N_("Job {job} was stopped before it could answer."), "", job=row.id)
