"""``python -m backend eval …``: past evaluations brought in, listed, compared and taken along; and what the modules beside it add."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import eval_configs, eval_run, eval_sets, output
from backend.cli.eval_words import (
    comparison_dict,
    comparison_told,
    run_dict,
    run_line,
    run_told,
    score_dict,
)
from backend.errors import NotFoundError
from backend.evaluate import comparing, export, groups, history, imports, run_groups, triage
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.i18n import N_, _, ngettext
from backend.workspace import Workspace, explain_os_error, open_workspace

app = typer.Typer(help=_("How much models know: run evaluations, bring in past ones, compare them."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Which = Annotated[str, typer.Argument(metavar="RUN", help=_("Its number, or a model's name: the last run of that."))]
LOOK_BACK = 10_000


class Form(StrEnum):
    """How scores are written."""

    CSV = "csv"
    MD = "md"
    HTML = "html"


eval_configs.register(app)
eval_run.register(app)
eval_sets.register(app)


@app.callback()
def _eval() -> None:
    """Several commands, never one implied."""


@app.command("import", help=_("Bring in an output folder of OpenCompass, a summary of it, or results of lm-eval."))
def bring_in(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=_("The folder, a zip of it, or the file."))],
    look: Annotated[bool, typer.Option("--look", help=_("Only say what is there; keep nothing."))] = False,
    as_json: Json = False,
) -> None:
    found = imports.read(path)
    with _open() as (workspace, store):
        kept = [] if look else imports.keep(store, found)
        made = []
        lines: list[str] = []
        for place, each in enumerate(found):
            run = store.run(kept[place].run) if kept else each.run
            rows = _rows(workspace, run, each.scores)
            new = kept[place].new if kept else None
            made.append(
                {**run_dict(run), "new": new, "answers": len(each.answers), "rows": [score_dict(row) for row in rows]}
            )
            lines += [
                *run_told(run, rows),
                *([_("This run was here already; it is not doubled.")] if new is False else []),
                "",
            ]
    count = ngettext("{n} run was read.", "{n} runs were read.", len(found)).format(n=len(found))
    output({"runs": made}, as_json, "\n".join([*lines, count]))


@app.command("list", help=_("List the evaluations, the newest first."))
def list_runs(
    model: Annotated[str, typer.Option("--model", help=_("Only of this model."))] = "",
    questions: Annotated[str, typer.Option("--set", help=_("Only of this set of questions."))] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help=_("At most so many."))] = 50,
    as_json: Json = False,
) -> None:
    with _open() as (_workspace, store):
        found = store.runs(limit=limit, model=model, set_name=questions)
    output([run_dict(run) for run in found], as_json, "\n".join(map(run_line, found)))


@app.command("show", help=_("Show the scores of an evaluation, with group averages, and why a cell is empty."))
def show(run: Which, as_json: Json = False) -> None:
    with _open() as (workspace, store):
        found = pick(store, run)
        tallies = store.tallies(found.id)
        rows = _rows(workspace, found, triage.with_causes(found, store.scores(found.id), tallies))
    data = {
        **run_dict(found),
        "rows": [score_dict(row) for row in rows],
        "tallies": [
            {name: getattr(each, name) for name in ("subject", "planned", "right", "wrong", "unread", "failed")}
            for each in tallies
        ],
    }
    output(data, as_json, "\n".join(run_told(found, rows)))


@app.command(
    "compare", help=_("Say whether others are better than the first: on the same questions, with an interval.")
)
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="A B …", help=_("Numbers of runs, or names of models."))],
    subjects: Annotated[
        list[str] | None, typer.Option("--subject", help=_("Only this subject; several times for several."))
    ] = None,
    as_json: Json = False,
) -> None:
    with _open() as (_workspace, store):
        ids = [pick(store, each).id for each in runs]
        found = comparing.compare(store, ids, subjects or None)
    output(comparison_dict(found), as_json, "\n".join(comparison_told(found)))


@app.command("export", help=_("Write the scores of one or several runs as CSV, Markdown or a page of HTML."))
def write(
    runs: Annotated[list[str], typer.Argument(metavar="RUN …", help=_("Numbers of runs, or names of models."))],
    form: Annotated[Form, typer.Option("--format", help=_("csv, md or html."))] = Form.CSV,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help=_("Where to; - prints it."))] = "-",
) -> None:
    with _open() as (workspace, store):
        picked = [pick(store, each) for each in runs]
        names = {subject: group for run in picked for subject, group in run_groups.of(workspace, run).items()}
        text = export.files(export.table(store, [run.id for run in picked], names))[form.value]
    if out == "-":
        sys.stdout.write(text)
        return
    file = Path(out).expanduser()
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, file.parent) from error


@app.command("history", help=_("Show the scores of a model and of the models that it was made from."))
def lineage(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_("The model's name on the list."))],
    as_json: Json = False,
) -> None:
    with _open() as (workspace, store):
        steps = history.of_model(workspace, store, model)
    data = [
        {
            "model": step.model,
            "verb": step.verb,
            "job": step.job,
            "listed": step.listed,
            "runs": [
                {**run_dict(point.run), "score": score_dict(point.score) if point.score else None}
                for point in step.points
            ],
        }
        for step in steps
    ]
    lines = []
    for step in steps:
        lines.append(step.model + (f"  ({step.verb})" if step.verb else ""))
        lines += [f"  {run_line(point.run)}  {export.number(point.score)}" for point in step.points]
    output(data, as_json, "\n".join(lines))


@app.command("rename", help=_("Give an evaluation another name."))
def rename(
    run: Which, name: Annotated[str, typer.Argument(metavar="NAME", help=_("The new one."))], as_json: Json = False
) -> None:
    with _open() as (_workspace, store):
        found = pick(store, run)
        store.rename(found.id, name)
        output(run_dict(store.run(found.id)), as_json, run_line(store.run(found.id)))


@app.command("remove", help=_("Forget evaluations, their scores and answers; jobs and what was imported stay."))
def remove(
    runs: Annotated[list[int], typer.Argument(metavar="RUN …", help=_("Numbers of runs."))], as_json: Json = False
) -> None:
    with _open() as (_workspace, store):
        for run in runs:
            store.remove(run)
    text = ngettext("{n} evaluation was removed.", "{n} evaluations were removed.", len(runs)).format(n=len(runs))
    output({"removed": runs}, as_json, text)


def pick(store: EvaluateStore, which: str) -> Run:
    """The run that ``which`` means: a number, else the newest run of that name or model.

    Raises:
        NotFoundError: ``evaluation_unknown``, ``evaluation_none_of``.
    """
    if which.lstrip("#").isdecimal():
        return store.run(int(which.lstrip("#")))
    found = store.runs(model=which, limit=1) or [run for run in store.runs(limit=LOOK_BACK) if run.name == which]
    if not found:
        raise NotFoundError(
            "evaluation_none_of",
            N_("There is no evaluation of a model '{model}', and none of that name."),
            N_("python -m backend eval list shows those that there are."),
            model=which,
        )
    return found[0]


def _rows(workspace: Workspace, run: Run, scores: Sequence[Score]) -> list[Score]:
    return groups.with_averages(run.set_name, scores, run_groups.of(workspace, run))


@contextmanager
def _open() -> Iterator[tuple[Workspace, EvaluateStore]]:
    workspace = open_workspace()
    store = open_runs(workspace)
    try:
        yield workspace, store
    finally:
        store.close()
