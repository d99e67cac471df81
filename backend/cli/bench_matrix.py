"""``python -m backend bench matrix PRESET``: several set-ups of a model, one after another, as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.bench import export, matrix, presets
from backend.cli import follow, output
from backend.cli.jobs import as_dict as job_dict
from backend.cli.jobs import read_spec
from backend.errors import PanelError
from backend.i18n import _
from backend.queue import watcher
from backend.queue.store import open_store
from backend.specs import parse
from backend.specs.bench import BenchMatrixSpec
from backend.workspace import explain_os_error, open_workspace

REFUSED = 2

Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def register(app: typer.Typer) -> None:
    """Make the verb part of ``app``, the noun ``bench``."""
    app.command(
        "matrix",
        help=_("Deploy set-ups one after another, measure memory and speed of each, and take them down."),
    )(measure)


def measure(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET",
            help=_("One of: {names}. Or a JSON file with the settings; - reads them.").format(
                names=", ".join(presets.PRESETS)
            ),
        ),
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help=_("The model that it is about."))] = "starter",
    num_prompts: Annotated[int, typer.Option("--num-prompts", min=1, help=_("Requests in one measurement."))] = 16,
    show: Annotated[bool, typer.Option("--plan", help=_("Only say which rows can be measured here."))] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Follow it until it ends."))] = False,
    out: Annotated[
        str, typer.Option("--out", metavar="FOLDER", help=_("With --wait: write Markdown, CSV and HTML there."))
    ] = "",
    as_json: Json = False,
) -> int:
    workspace = open_workspace()
    spec = _spec(preset, model, num_prompts)
    problems = {one.label: matrix.problem(workspace, one) for one in spec.setups}
    rows = [
        {"label": label, "runs": error is None, "reason": " ".join(error.localized()) if error else ""}
        for label, error in problems.items()
    ]
    lines = [f"{'-' if row['runs'] else 'x'} {row['label']}  {row['reason']}".rstrip() for row in rows]
    if show or all(problems.values()):
        output({"preset": spec.preset, "rows": rows}, as_json, "\n".join(lines))
        return 0 if not all(problems.values()) else REFUSED
    store = open_store(workspace)
    row = store.submit("bench_matrix", spec.model_dump(mode="json"))
    watcher.ensure_running(workspace)
    error: PanelError | None = None
    if wait:
        try:
            follow.follow(store, row, quiet=as_json)
        except PanelError as problem:  # what was measured until then is told all the same
            error = problem
        row = store.get(row.id)
    found = matrix.read(store.job_dir(row.id), spec)
    if wait and out:
        _write(Path(out).expanduser(), export.files([found]))
    data: dict[str, Any] = {**job_dict(row), "result": store.result(row.id), "matrix": found.to_dict()}
    told = export.to_markdown([found]) if wait else _("Job {job}: {title}").format(job=row.id, title=row.title)
    if error is not None:
        message, hint = error.localized()
        data["error"] = {"code": error.code, "message": message, "hint": hint}
        told = "\n".join([told, message, hint])
    output(data, as_json, told)
    return 0 if error is None else 1


def _spec(preset: str, model: str, num_prompts: int) -> BenchMatrixSpec:
    """Raises:
    PanelError: no such preset, model or file.
    """
    if preset == "-" or preset.endswith(".json"):
        spec = parse("bench_matrix", read_spec(preset))
    else:
        made = presets.build(open_workspace(), preset, model)
        spec = parse("bench_matrix", {**made, "num_prompts": num_prompts})
    assert isinstance(spec, BenchMatrixSpec)
    return spec


def _write(folder: Path, texts: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for ending, text in texts.items():
            (folder / f"matrix.{ending}").write_text(text, encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, folder) from error
