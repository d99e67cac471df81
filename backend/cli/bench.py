"""``python -m backend bench …``: measure a running server under load, and read what was measured.

``run`` gives a JSON document whose keys are named after LMDeploy's columns (:mod:`backend.bench.columns`), one object for each
number of people at once in ``levels``; with one number alone they stand at the top as well. Several set-ups: bench_matrix.py.
"""

from __future__ import annotations

import sys
from importlib import import_module, util
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.bench import keys
from backend.bench.columns import in_lines
from backend.bench.knee import from_dict
from backend.bench.notices import error_word, sentences
from backend.bench.prompts import BUNDLED
from backend.bench.records import Bench, read_bench
from backend.cli import follow, output
from backend.errors import NotFoundError, PanelError, SpecError
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.specs import parse
from backend.specs.bench import BenchSpec, Load
from backend.workspace import open_workspace

app = typer.Typer(help=_("Measure how fast servers answer, and compare set-ups of a model."))
BESIDE = ("bench_matrix",)
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def _about(name: str) -> str:
    return _(str(Load.model_fields[name].description))


def _default(name: str) -> Any:
    return Load.model_fields[name].default


@app.command(help=_("Measure a running server: one of ours by its name, or any other by its address."))
def run(
    server: Annotated[str, typer.Option(help=_("Name under which a model is being served here."))] = "",
    base_url: Annotated[str, typer.Option("--base-url", help=_("Or its address, such as http://HOST:PORT/v1."))] = "",
    model: Annotated[str, typer.Option(help=_("Its name at that server; empty: the first that it lists."))] = "",
    key_name: Annotated[
        str, typer.Option("--key-name", help=_("Name of its key, kept with 'bench key'; never the key itself."))
    ] = "",
    prompts: Annotated[str, typer.Option(help=_about("prompts"))] = BUNDLED,
    concurrency: Annotated[str, typer.Option(metavar="N[,N]", help=_about("concurrency"))] = "1,4",
    num_prompts: Annotated[int, typer.Option("--num-prompts", help=_about("num_prompts"))] = _default("num_prompts"),
    rate: Annotated[float, typer.Option(help=_about("rate"))] = _default("rate"),
    input_tokens: Annotated[int, typer.Option(help=_about("input_tokens"))] = _default("input_tokens"),
    output_tokens: Annotated[int, typer.Option(help=_about("output_tokens"))] = _default("output_tokens"),
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help=_about("ignore_eos"))] = _default("ignore_eos"),
    warmup: Annotated[int, typer.Option(help=_about("warmup"))] = _default("warmup"),
    timeout: Annotated[float, typer.Option(help=_about("timeout_s"))] = _default("timeout_s"),
    seed: Annotated[int, typer.Option(help=_about("seed"))] = _default("seed"),
    wait: Annotated[bool, typer.Option(help=_("Follow it until it ends, and print the figures."))] = True,
    as_json: Json = False,
) -> int:
    told = {
        "server": server,
        "base_url": base_url,
        "model": model,
        "key_name": key_name,
        "prompts": prompts if prompts == BUNDLED else str(Path(prompts).expanduser().absolute()),
        "concurrency": _numbers(concurrency),
        "num_prompts": num_prompts,
        "rate": rate,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "ignore_eos": ignore_eos,
        "warmup": warmup,
        "timeout_s": timeout,
        "seed": seed,
    }
    spec = parse("bench", told)
    assert isinstance(spec, BenchSpec)
    workspace = open_workspace()
    keys.read(workspace, spec.key_name)
    store = open_store(workspace)
    row = store.submit("bench", spec.model_dump(mode="json", exclude_defaults=True))
    watcher.ensure_running(workspace)
    if not wait:
        output({"job": row.id}, as_json, _("Job {job}: {title}").format(job=row.id, title=row.title))
        return 0
    error: PanelError | None = None
    try:
        row = follow.follow(store, row, quiet=as_json)
    except PanelError as problem:
        error = problem
    return _tell(store, store.get(row.id), as_json, error)


@app.command(help=_("Show what was measured by a job."))
def show(job: Annotated[int, typer.Argument(help=_("Number of the job."))], as_json: Json = False) -> int:
    store = open_store(open_workspace())
    row = store.get(job)
    if row.verb != "bench" or read_bench(store.job_dir(job)) is None:
        raise NotFoundError(
            "bench_none",
            N_("Job {job} has measured nothing."),
            N_("Those that have: python -m backend jobs list --verb bench"),
            job=job,
        )
    return _tell(store, row, as_json, None)


@app.command(
    help=_("Keep the key of another server under a name: it is read from standard input; an empty line forgets it.")
)
def key(
    name: Annotated[str, typer.Argument(help=_("Name for it, such as 'lab-server'."))], as_json: Json = False
) -> None:
    secret = typer.prompt(_("Key"), hide_input=True, default="") if sys.stdin.isatty() else sys.stdin.readline()
    workspace = open_workspace()
    keys.save(workspace, name, secret)
    kept = keys.names(workspace)
    text = _("Kept as '{name}'.") if name in kept else _("'{name}' is forgotten.")
    output({"keys": kept}, as_json, text.format(name=name))


def as_dict(job: int, bench: Bench) -> dict[str, Any]:
    """A measurement as JSON: the figures of each load beside how it went."""
    levels = []
    for level in bench.levels:
        rest = {name: value for name, value in level.items() if name != "columns"}
        levels.append({**level["columns"], **rest})
    data = {
        "job": job,
        "model": bench.model,
        "base_url": bench.base_url,
        "complete": bench.complete,
        "levels": levels,
        "knee": bench.knee,
        "memory": bench.memory,
        "notices": bench.notices,
        "load": bench.load,
        "dialect": bench.dialect,
    }
    return {**levels[0], **data} if len(levels) == 1 else data


def in_words(bench: Bench) -> list[str]:
    """A measurement for a person: LMDeploy's table for each load, then what is to be known about it."""
    lines = [_("{model} at {address}").format(model=bench.model, address=bench.base_url)]
    notices = list(bench.notices)
    for level in bench.levels:
        lines += ["-" * 50, *in_lines(level["concurrency"], level["columns"])]
        lines += [f"  {count} x {error_word(kind)}" for kind, count in level["errors"].items()]
        if level["first_error"]:
            lines.append(_("  the first of them: {problem}").format(problem=level["first_error"]))
        if not level["complete"]:
            lines.append(_("This load was not measured to its end."))
        notices += level["notices"]
    found = from_dict(bench.knee)
    lines += ["-" * 50, *([found.sentence()] if found else []), *sentences(dict.fromkeys(notices))]
    return lines


def _tell(store: Store, row: JobRow, as_json: bool, error: PanelError | None) -> int:
    bench = read_bench(store.job_dir(row.id))
    if bench is None:
        if error is not None:
            raise error
        output({"job": row.id}, as_json, "")
        return 0
    error = error or bench.error()
    data = as_dict(row.id, bench)
    lines = in_words(bench)
    if error is not None:
        message, hint = error.localized()
        data["error"] = {"code": error.code, "message": message, "hint": hint}
        lines += [message, hint]
    output(data, as_json, "\n".join(lines))
    return 1 if error is not None else 0


def _numbers(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",") if one.strip()]
    except ValueError:
        raise SpecError(
            "bench_concurrency_bad",
            N_("'{text}' is no number of people at once."),
            N_("Give one number, or several with commas between them: 1,4,16."),
            text=text[:100],
        ) from None


for _name in BESIDE:
    if util.find_spec(f"backend.cli.{_name}") is not None:
        import_module(f"backend.cli.{_name}").register(app)
