"""``python -m backend eval run``: the questions of a set to a model, followed to the end; with ``--trial`` only a few, and how long all would take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import follow, output
from backend.cli.eval_words import run_dict, run_told, score_dict
from backend.errors import PanelError
from backend.evaluate import forecast, groups, run_groups, triage
from backend.evaluate.forecast import Estimate
from backend.evaluate.records import EVALUATORS
from backend.evaluate.store import open_runs
from backend.i18n import _
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.specs import parse
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace, explain_os_error, open_workspace


def register(app: typer.Typer) -> None:
    """Make the verb part of ``app``, the noun ``eval``."""
    app.command("run", help=_("Ask a model the questions of a set, mark its answers, and keep the scores."))(run)


def _about(name: str) -> str:
    return _(str(EvaluateSpec.model_fields[name].description))


def _default(name: str) -> Any:
    return EvaluateSpec.model_fields[name].default


def run(
    model: Annotated[str, typer.Option(help=_about("model"))] = "",
    base_url: Annotated[str, typer.Option("--base-url", help=_about("base_url"))] = "",
    key_name: Annotated[str, typer.Option("--key-name", help=_about("key_name"))] = "",
    questions: Annotated[str, typer.Option("--set", help=_about("questions"))] = _default("questions"),
    subjects: Annotated[
        list[str] | None,
        typer.Option("--subjects", help=_("Only these of the set, with commas between, or given several times.")),
    ] = None,
    limit: Annotated[int, typer.Option(help=_about("limit"))] = _default("limit"),
    evaluator: Annotated[str, typer.Option(help=_("One of {names}.").format(names=", ".join(EVALUATORS)))] = _default(
        "evaluator"
    ),
    by: Annotated[str, typer.Option(help=_about("by"))] = _default("by"),
    shots: Annotated[int, typer.Option(help=_about("shots"))] = _default("shots"),
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", help=_about("answer_tokens"))] = _default(
        "answer_tokens"
    ),
    concurrency: Annotated[int, typer.Option(help=_about("concurrency"))] = _default("concurrency"),
    timeout: Annotated[float, typer.Option(help=_about("timeout_s"))] = _default("timeout_s"),
    judge: Annotated[str, typer.Option(help=_about("judge"))] = "",
    trial: Annotated[int, typer.Option(help=_about("trial"))] = 0,
    config: Annotated[str, typer.Option(metavar="FILE", help=_about("config"))] = "",
    name: Annotated[str, typer.Option(help=_about("name"))] = "",
    seed: Annotated[int, typer.Option(help=_about("seed"))] = _default("seed"),
    into: Annotated[int, typer.Option(help=_about("into"))] = 0,
    wait: Annotated[bool, typer.Option("--follow/--no-follow", help=_("Follow it until it ends."))] = True,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> int:
    told = {
        "model": model,
        "base_url": base_url,
        "key_name": key_name,
        "questions": questions,
        "subjects": [one.strip() for text in subjects or () for one in text.split(",") if one.strip()],
        "limit": limit,
        "evaluator": evaluator,
        "by": by,
        "shots": shots,
        "answer_tokens": answer_tokens,
        "concurrency": concurrency,
        "timeout_s": timeout,
        "judge": judge,
        "trial": trial,
        "config": _text(config) if config else "",
        "name": name,
        "seed": seed,
        "into": into,
    }
    spec = parse("evaluate", told)
    assert isinstance(spec, EvaluateSpec)
    workspace = open_workspace()
    count = forecast.questions(workspace, spec)
    store = open_store(workspace)
    row = store.submit("evaluate", spec.model_dump(mode="json", exclude_defaults=True))
    watcher.ensure_running(workspace)
    if not wait:
        output(
            {"job": row.id, "questions": count}, as_json, _("Job {job}: {title}").format(job=row.id, title=row.title)
        )
        return 0
    error: PanelError | None = None
    try:
        follow.follow(store, row, quiet=as_json)
    except PanelError as problem:
        error = problem
    if trial:
        return _tell_trial(workspace, store, row, spec, as_json, error)
    return _tell(workspace, store, row, as_json, error)


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, Path(path)) from error


def _tell(workspace: Workspace, store: Store, row: JobRow, as_json: bool, error: PanelError | None) -> int:
    runs = open_runs(workspace)
    try:
        result = store.result(row.id) or {}
        known = result.get("run") or store.spec(row.id).get("into")
        run = runs.run(int(known)) if known else runs.run_of_job(row.id)
        if run is None:
            assert error is not None
            raise error
        tallies = runs.tallies(run.id)
        scores = triage.with_causes(run, runs.scores(run.id), tallies)
    finally:
        runs.close()
    rows = groups.with_averages(run.set_name, scores, run_groups.of(workspace, run))
    data = {
        **run_dict(run),
        "job": row.id,
        "run": run.id,
        "rows": [score_dict(score) for score in rows],
        "tallies": [asdict(tally) for tally in tallies],
        "result": _kept(result),
    }
    lines = [*run_told(run, rows), *_in_all(result)]
    if error is not None:
        message, hint = error.localized()
        data["error"] = {"code": error.code, "message": message, "hint": hint}
        lines += [message, hint]
    output(data, as_json, "\n".join(lines))
    return 1 if error is not None else 0


def _kept(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("ok", "attempt", "complete")}


def _in_all(result: dict[str, Any]) -> list[str]:
    if "accuracy" not in result:
        return []
    text = _("{right} right, {wrong} wrong, {unread} not read, {failed} failed of {planned}: {accuracy:.1f} %, 95 % interval {low:.1f} to {high:.1f} %")  # fmt: skip
    return ["", text.format(**result, planned=result["questions"])]


def _tell_trial(
    workspace: Workspace, store: Store, row: JobRow, spec: EvaluateSpec, as_json: bool, error: PanelError | None
) -> int:
    if error is not None:
        raise error
    result = store.result(row.id) or {}
    whole = spec.model_copy(update={"trial": 0})
    estimate = forecast.seconds(workspace, store, whole)
    told = {"questions": estimate.questions, "seconds": estimate.seconds, "low": estimate.low, "high": estimate.high}
    kept = _kept(result)
    counted = _("{right} right, {wrong} wrong, {unread} not read, {failed} failed of {planned}")
    lines = [
        counted.format(**{name: kept[name] for name in ("right", "wrong", "unread", "failed")}, planned=kept["trial"]),
        in_words(estimate),
    ]
    output({"job": row.id, **kept, "forecast": told}, as_json, "\n".join(lines))
    return 0


def in_words(estimate: Estimate) -> str:
    """The forecast as a sentence."""
    if estimate.seconds is None or estimate.low is None or estimate.high is None:
        return _("{count} questions; nobody can say yet how long they take.").format(count=f"{estimate.questions:,}")
    text = _("{count} questions take about {seconds} s, likely between {low} and {high} s.")
    return text.format(
        count=f"{estimate.questions:,}",
        seconds=f"{estimate.seconds:,.0f}",
        low=f"{estimate.low:,.0f}",
        high=f"{estimate.high:,.0f}",
    )
