"""``python -m backend data …``: datasets and their versions; looking at files, healing, converting and counting beside them.

The other verbs stand in files of their own, ``data_*.py``, each with ``register(app)``.
"""

from __future__ import annotations

import datetime
from dataclasses import asdict
from importlib import import_module, util
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.data import importing
from backend.data.diff import diff as difference
from backend.data.rows import Row
from backend.data.store import DatasetInfo, Datasets
from backend.data.versions import VersionInfo
from backend.i18n import _, ngettext
from backend.workspace import open_workspace

app = typer.Typer(help=_("Datasets: import rows, find what is wrong with them, mend, convert, split and count them."))
BESIDE = ("data_convert", "data_doctor", "data_stats", "data_split")
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Set = Annotated[str, typer.Argument(metavar="DATASET", help=_("Its name, or name@version."))]

for _name in BESIDE:
    if util.find_spec(f"backend.cli.{_name}") is not None:
        import_module(f"backend.cli.{_name}").register(app)


def as_dict(info: DatasetInfo) -> dict[str, Any]:
    """A dataset as JSON."""
    return {"name": info.name, "versions": info.versions, "updated": info.updated, "current": asdict(info.current)}


def when(seconds: float) -> str:
    """A moment as a person of this machine writes it."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def line(name: str, info: VersionInfo) -> str:
    """A version in one line."""
    rows = ngettext("{n} row", "{n} rows", info.rows).format(n=f"{info.rows:,}")
    steps = " ".join(str(step.get("do", "")) for step in info.steps)
    parts = [f"{name:<24}", info.id, rows, when(info.created), info.by, steps, info.note]
    return "  ".join(part for part in parts if part)


@app.command("list", help=_("List the datasets, the last changed first."))
def list_datasets(as_json: Json = False) -> None:
    found = Datasets(open_workspace()).list()
    text = "\n".join(line(info.name, info.current) for info in found) or _("There are no datasets yet.")
    output([as_dict(info) for info in found], as_json, text)


@app.command("import", help=_("Read a file, a folder or an archive into a dataset."))
def import_rows(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=_("JSON, JSON Lines, CSV, Excel, Parquet, a folder…"))],
    name: Annotated[str, typer.Option("--name", help=_("Name of the dataset; default: the file's name."))] = "",
    note: Annotated[str, typer.Option("--note", help=_("Stands in the history of the dataset."))] = "",
    sheet: Annotated[str | None, typer.Option("--sheet", help=_("Of an Excel file; default: the first."))] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help=_("Of a text; default: found out."))] = None,
    as_json: Json = False,
) -> None:
    chosen = name or path.expanduser().absolute().stem
    info = importing.run(open_workspace(), path, chosen, note=note, sheet=sheet, encoding=encoding)
    text = line(chosen, info)
    if info.rejected:
        text += "\n" + ngettext(
            "{n} record could not be a row; `data doctor` names it.",
            "{n} records could not be rows; `data doctor` names them.",
            info.rejected,
        ).format(n=f"{info.rejected:,}")
    output({"dataset": chosen, **asdict(info)}, as_json, text)


@app.command(help=_("Print some rows."))
def show(
    dataset: Set,
    start: Annotated[int, typer.Option("--from", min=1, help=_("The first row, counted from 1."))] = 1,
    rows: Annotated[int, typer.Option("--rows", min=1, max=1000, help=_("How many."))] = 5,
    as_json: Json = False,
) -> None:
    version = Datasets(open_workspace()).resolve(dataset)
    found = version.rows(start - 1, start - 1 + rows)
    text = "\n\n".join(conversation(number, row) for number, row in enumerate(found, start=start))
    output([{"row": number, **row} for number, row in enumerate(found, start=start)], as_json, text)


def conversation(number: int, row: Row) -> str:
    """A row for a person."""
    turns = [f"{message['role']}: {message['content']}" for message in row["messages"]]
    return "\n".join([_("Row {n}").format(n=number), *turns])


@app.command(help=_("List the versions of a dataset, the newest first."))
def versions(dataset: Annotated[str, typer.Argument(metavar="DATASET")], as_json: Json = False) -> None:
    sets = Datasets(open_workspace())
    current = sets.get(dataset).current.id
    found = sets.versions(dataset)
    text = "\n".join(("* " if info.id == current else "  ") + line(dataset, info) for info in found)
    output([{**asdict(info), "current": info.id == current} for info in found], as_json, text)


@app.command(help=_("Say what became of the rows between two versions."))
def diff(older: Set, newer: Set, as_json: Json = False) -> None:
    sets = Datasets(open_workspace())
    found = difference(sets.resolve(older), sets.resolve(newer))
    counts = {"same": found.same, "added": found.added, "removed": found.removed, "changed": found.changed}
    changes = [
        {"kind": change.kind, "before": _number(change.before), "after": _number(change.after)}
        for change in found.changes(0, 1000)
    ]
    text = _("{same} the same, {added} added, {removed} removed, {changed} changed").format(**counts)
    output({**counts, "changes": changes}, as_json, text)


@app.command(help=_("Go back to a version: it becomes the current one; the others stay."))
def restore(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help=_("Its id, or how it begins."))],
    as_json: Json = False,
) -> None:
    info = Datasets(open_workspace()).use(dataset, version)
    output({"dataset": dataset, **asdict(info)}, as_json, line(dataset, info))


@app.command(help=_("Give a dataset another name."))
def rename(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    new: Annotated[str, typer.Argument(metavar="NAME")],
    as_json: Json = False,
) -> None:
    name = Datasets(open_workspace()).rename(dataset, new)
    output({"dataset": name}, as_json, name)


@app.command(help=_("Remove a dataset with all of its versions."))
def delete(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    yes: Annotated[bool, typer.Option("--yes", help=_("Do not ask."))] = False,
    as_json: Json = False,
) -> None:
    sets = Datasets(open_workspace())
    count = sets.get(dataset).versions
    if not yes and not as_json:
        asked = ngettext("Remove '{name}' and its {n} version?", "Remove '{name}' and its {n} versions?", count)
        typer.confirm(asked.format(name=dataset, n=count), abort=True)
    sets.delete(dataset)
    output({"dataset": dataset, "removed": True}, as_json, _("Removed: {name}").format(name=dataset))


def _number(index: int | None) -> int | None:
    return None if index is None else index + 1
