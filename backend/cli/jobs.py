"""``python -m backend jobs …``: list, show, submit, cancel, resume, follow."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.errors import PanelError
from backend.i18n import N_, _
from backend.queue import folder, watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace

app = typer.Typer(help=_("Look at jobs, start, stop and follow them."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
JobId = Annotated[int, typer.Argument(help=_("Number of the job."))]
FOLLOW_S = 0.2


def store() -> Store:
    """The store of the current workspace."""
    return open_store(open_workspace())


def as_dict(row: JobRow) -> dict[str, Any]:
    """A job as JSON, with its error as a sentence beside its code."""
    data = asdict(row)
    if row.error:
        data["error"]["text"] = str(PanelError.from_dict(row.error))
    return data


def line(row: JobRow) -> str:
    """A job in one line for a person."""
    step, total = row.progress.get("step"), row.progress.get("total")
    done = f"{100 * step / total:.0f} %" if step is not None and total else row.progress.get("phase", "")
    why = str(PanelError.from_dict(row.error)) if row.error else row.wait.get("code", "")
    return f"{row.id:>6}  {row.state:<10} {row.verb:<10} {done:>8}  {row.title}  {why}".rstrip()


@app.command("list", help=_("List jobs, newest first."))
def list_jobs(
    state: Annotated[list[str] | None, typer.Option(help=_("Only this state; may be given several times."))] = None,
    verb: Annotated[str | None, typer.Option(help=_("Only jobs of this kind."))] = None,
    limit: Annotated[int, typer.Option(min=1, max=10000, help=_("How many."))] = 50,
    as_json: Json = False,
) -> None:
    rows = store().list(states=state or None, verb=verb, limit=limit)
    output([as_dict(row) for row in rows], as_json, "\n".join(map(line, rows)) or _("There are no jobs yet."))


@app.command(help=_("Show everything about one job."))
def show(job: JobId, as_json: Json = False) -> None:
    the_store = store()
    row = the_store.get(job)
    data = {
        **as_dict(row),
        "folder": str(the_store.job_dir(job)),
        "command": the_store.command(job),
        "spec": the_store.spec(job),
        "result": the_store.result(job),
        "artifacts": the_store.artifacts(job),
    }
    output(data, as_json, json.dumps(data, ensure_ascii=False, indent=1))


@app.command(help=_("Queue a job from a spec file; '-' reads it from standard input."))
def submit(
    verb: Annotated[str, typer.Argument(help=_("Kind of job, such as serve."))],
    spec: Annotated[str, typer.Argument(help=_("JSON file with its settings."))],
    title: Annotated[str, typer.Option(help=_("Name shown in the list."))] = "",
    key: Annotated[str | None, typer.Option(help=_("Submitting the same key again makes no second job."))] = None,
    as_json: Json = False,
) -> None:
    the_store = store()
    row = the_store.submit(verb, read_spec(spec), title=title, submit_key=key)
    watcher.ensure_running(the_store.workspace)
    output(as_dict(row), as_json, line(row))


def read_spec(path: str) -> dict[str, Any]:
    """The settings in the JSON file ``path``; ``-`` reads them from standard input.

    Raises:
        PanelError: ``spec_unreadable``.
    """
    problem = _("it is no JSON object")
    try:
        data = json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return data
    except (OSError, ValueError) as error:
        problem = str(error)
    raise PanelError(
        "spec_unreadable",
        N_("The spec {path} cannot be read: {problem}."),
        N_("Check the path; the file must be JSON."),
        path=path,
        problem=problem,
    )


@app.command(help=_("Ask a job to save and stop."))
def cancel(job: JobId, as_json: Json = False) -> None:
    the_store = store()
    row = the_store.cancel(job)
    watcher.ensure_running(the_store.workspace)
    output(as_dict(row), as_json, line(row))


@app.command(help=_("Start a failed, cancelled or lost job again, from its last checkpoint."))
def resume(job: JobId, as_json: Json = False) -> None:
    the_store = store()
    row = the_store.resume(job)
    watcher.ensure_running(the_store.workspace)
    output(as_dict(row), as_json, line(row))


@app.command(help=_("Delete a finished job and its folder."))
def delete(job: JobId, as_json: Json = False) -> None:
    freed = store().delete(job)
    output({"id": job, "freed_bytes": freed}, as_json, _("Freed {mib:.1f} MiB.").format(mib=freed / 2**20))


@app.command(help=_("Print the log of a job's newest attempt."))
def logs(
    job: JobId,
    lines: Annotated[int, typer.Option("-n", min=1, help=_("Last lines to print."))] = 200,
    as_json: Json = False,
) -> None:
    the_store = store()
    row = the_store.get(job)
    path = folder.log_file(the_store.job_dir(job), max(1, row.attempt))
    text = tail(path, lines)
    output({"id": job, "attempt": row.attempt, "path": str(path), "lines": text.splitlines()}, as_json, text)


@app.command(help=_("Follow a job until it ends; with --json, print it once it has ended."))
def watch(
    job: JobId,
    timeout: Annotated[float | None, typer.Option(help=_("Give up after this many seconds."))] = None,
    as_json: Json = False,
) -> int:
    the_store = store()
    watcher.ensure_running(the_store.workspace)
    began, told = time.monotonic(), ""
    while not (row := the_store.get(job)).done:
        if timeout is not None and time.monotonic() - began > timeout:
            raise PanelError(
                "watch_timeout", N_("Job {job} is still {state}."), N_("It goes on."), job=job, state=row.state
            )
        if not as_json and (text := line(row)) != told:
            typer.echo(told := text)
        time.sleep(FOLLOW_S)
    output(as_dict(row), as_json, line(row))
    return 0 if row.state == "succeeded" else 1


def tail(path: Path, lines: int) -> str:
    """The last ``lines`` lines of ``path``, read from the end; empty where there is no log yet."""
    block, data = 1 << 16, b""
    try:
        with path.open("rb") as file:
            position = file.seek(0, 2)
            while position and data.count(b"\n") <= lines:
                step = min(block, position)
                position = file.seek(position - step)
                data = file.read(step) + data
    except FileNotFoundError:
        return ""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])
