"""``python -m backend serve …``: start and stop model servers, and see which run."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.engines import serving
from backend.errors import PanelError, ServerError
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.servers import Server, read_server, running_servers
from backend.workspace import open_workspace

app = typer.Typer(help=_("Start and stop model servers, and see which run."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
POLL_S = 0.2


def as_dict(server: Server) -> dict[str, Any]:
    """A server as JSON. Its key stays in its file: what is printed ends in logs."""
    return {name: getattr(server, name) for name in server.__dataclass_fields__ if name != "key"}


@app.command(help=_("Start a server for a model. One that runs already is left as it is."))
def start(
    model: Annotated[str, typer.Argument(help=_("Name of a model, or its folder."))],
    wait: Annotated[bool, typer.Option("--wait", help=_("Return when it can answer."))] = False,
    timeout: Annotated[float, typer.Option(help=_("With --wait: give up after so many seconds."))] = 600,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    store = open_store(workspace)
    row = serving.start(store, workspace, model)
    watcher.ensure_running(workspace)
    if not wait:
        text = _("Job {job} serves '{model}'.").format(job=row.id, model=row.title)
        output({"job": row.id, "model": row.title, "state": row.state}, as_json, text)
        return
    server = _wait(store, row, timeout)
    output(as_dict(server), as_json, f"{server.model}  {server.base_url}")


@app.command(help=_("Stop the server of a model."))
def stop(model: Annotated[str, typer.Argument(help=_("Name that it is served under."))], as_json: Json = False) -> None:
    workspace = open_workspace()
    row = serving.stop(open_store(workspace), model)
    watcher.ensure_running(workspace)
    text = _("Job {job} stops serving '{model}'.").format(job=row.id, model=model)
    output({"job": row.id, "model": model, "state": row.state}, as_json, text)


@app.command("list", help=_("List the servers that run."))
def list_servers(as_json: Json = False) -> None:
    servers = running_servers(open_store(open_workspace()))
    lines = [f"{s.job_id:>6}  {s.model:<28}  {s.base_url}{'' if s.ready else '  ' + _('not ready')}" for s in servers]
    output([as_dict(s) for s in servers], as_json, "\n".join(lines) or _("No server is running."))


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
