"""``python -m backend finetune list``, ``show`` and ``finish``: trainings that were started."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.cli.jobs import as_dict
from backend.errors import ConflictError, NotFoundError
from backend.finetune import control
from backend.finetune.record import Reader, Run
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace

VERBS = ("finetune", "rehearse")
MIB = 1 << 20
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
JobId = Annotated[int, typer.Argument(help=_("Number of the job."))]


def register(app: typer.Typer) -> None:
    """Add the three verbs."""
    app.command("list", help=_("List trainings and rehearsals, newest first."))(list_runs)
    app.command("show", help=_("Show one training: losses, checkpoints, what was made."))(show)
    app.command("finish", help=_("Ask a training to stop now and to keep the best it has."))(finish)


def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=10000, help=_("How many."))] = 50, as_json: Json = False
) -> None:
    store = open_store(open_workspace())
    rows = [row for verb in VERBS for row in store.list(verb=verb, limit=limit)]
    runs = [_run(store, row) for row in sorted(rows, key=lambda row: -row.id)[:limit]]
    text = "\n".join(map(_line, runs)) or _("There are no trainings yet.")
    output([_brief(run) for run in runs], as_json, text)


def show(job: JobId, as_json: Json = False) -> None:
    store = open_store(open_workspace())
    run = _run(store, _row(store, job))
    data = {
        **_brief(run),
        "job": as_dict(run.row),
        "spec": run.spec,
        "plan": run.plan,
        "rehearsal": asdict(run.rehearsal) if run.rehearsal else None,
        "checkpoints": [asdict(one) for one in run.checkpoints],
        "result": run.result,
        "folder": str(run.dir),
    }
    lines = [_line(run), str(run.dir)]
    for one in run.checkpoints:
        loss = "" if one.eval_loss is None else f"  eval_loss {one.eval_loss:.4f}"
        best = f"  {_('best')}" if one.best else ""
        lines.append(f"  step {one.step:>8,}{loss}  {one.bytes / MIB:,.1f} MiB{best}")
    output(data, as_json, "\n".join(lines))


def finish(job: JobId, as_json: Json = False) -> None:
    store = open_store(open_workspace())
    row = _row(store, job)
    if row.verb != "finetune" or not row.live:
        raise ConflictError(
            "finetune_not_running",
            N_("Job {job} is no training that runs, so there is nothing to stop."),
            N_("finetune list shows which do."),
            job=job,
        )
    control.finish(store.job_dir(job))
    text = _("Job {job} stops learning after this step, and keeps the best.").format(job=job)
    output({"job": job, "finishing": True}, as_json, text)


def _row(store: Store, job: int) -> JobRow:
    row = store.get(job)
    if row.verb not in VERBS:
        raise NotFoundError(
            "finetune_no_run",
            N_("Job {job} is no training: it is called '{title}'."),
            N_("finetune list shows all."),
            job=job,
            title=row.title,
        )
    return row


def _run(store: Store, row: JobRow) -> Run:
    return Reader(store.job_dir(row.id)).read(row)


def _brief(run: Run) -> dict[str, Any]:
    return {
        "id": run.row.id,
        "verb": run.row.verb,
        "title": run.row.title,
        "state": run.row.state,
        "step": run.step,
        "steps": run.steps,
        "loss": run.last("loss"),
        "eval_loss": run.last("eval_loss"),
    }


def _line(run: Run) -> str:
    losses = [f"{name} {value:.4f}" for name in ("loss", "eval_loss") if isinstance(value := run.last(name), float)]
    parts = [f"{run.row.id:>6}  {run.row.state:<10} {run.row.verb:<9}  {run.step:,} / {run.steps or '?'}", *losses]
    return "  ".join([*parts, run.row.title])
