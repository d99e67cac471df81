"""``python -m backend memory compare …`` and ``memory comparisons``: runs side by side, and those that were saved."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.errors import ConflictError
from backend.i18n import N_, _
from backend.memory import comparisons, figures
from backend.memory.compare import Comparison, compare
from backend.memory.report import to_html
from backend.memory.report_table import shown, to_csv
from backend.memory.series import open_memory
from backend.queue.store import open_store
from backend.workspace import explain_os_error, open_workspace

Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def add_to(app: typer.Typer) -> None:
    """Make both verbs part of ``app``, the noun ``memory``."""
    app.command("compare", help=_("Lay the memory of two to eight jobs over one another, with speed and load time."))(
        compare_runs
    )
    app.command("comparisons", help=_("List the saved comparisons, rename one, or delete one."))(list_saved)


def compare_runs(
    jobs: Annotated[
        list[int] | None, typer.Argument(metavar="JOB...", min=1, max=2**53, help=_("Numbers of two to eight jobs."))
    ] = None,
    saved: Annotated[str, typer.Option("--saved", metavar="NAME", help=_("Show a saved one instead."))] = "",
    save: Annotated[str, typer.Option("--save", metavar="NAME", help=_("Keep it under this name."))] = "",
    html: Annotated[str, typer.Option("--html", metavar="FILE", help=_("Write it as one HTML file to share."))] = "",
    csv: Annotated[str, typer.Option("--csv", metavar="FILE", help=_("Write the table for a spreadsheet."))] = "",
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    if saved and jobs:
        raise ConflictError(
            "usage", N_("A saved comparison has its runs already."), N_("Give either numbers of jobs or --saved.")
        )
    if saved:
        found = comparisons.load(workspace, saved)
    else:
        found = compare(open_store(workspace), open_memory(workspace), jobs or [])
    # The files first: a name that is taken must not cost them.
    for path, text in ((html, to_html), (csv, to_csv)):
        if path:
            _write(Path(path).expanduser().absolute(), text(found))
    if save:
        found = comparisons.save(workspace, found, save)
    output(as_dict(found), as_json, in_lines(found))


def list_saved(
    rename: Annotated[
        tuple[str, str] | None, typer.Option("--rename", metavar="NAME NEW", help=_("Rename this one."))
    ] = None,
    delete: Annotated[str, typer.Option("--delete", metavar="NAME", help=_("Delete this one."))] = "",
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    if rename:
        comparisons.rename(workspace, *rename)
    if delete:
        comparisons.delete(workspace, delete)
    found = comparisons.saved(workspace)
    data = [{"name": each.name, "saved": each.when, "runs": list(each.runs)} for each in found]
    lines = [f"{each.name}  {' | '.join(each.runs) or _('cannot be read')}" for each in found]
    output(data, as_json, "\n".join(lines) or _("No comparison was saved yet."))


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """JSON: of each run its label, its figures with source, how far they are from the first, and its curves."""
    data = comparison.to_dict()
    first = comparison.rows[0]
    for stored, label, row in zip(data["rows"], comparison.labels(), comparison.rows, strict=True):
        stored["label"] = label
        for name, figure in row.figures.items():
            base = first.figures[name].value
            stored["figures"][name] |= {
                "kind": figure.kind,
                "about": figure.about(),
                "difference": figure.value - base if figure.value is not None and base is not None else None,
                "difference_percent": round((figure.value / base - 1) * 100, 2)
                if figure.value is not None and base
                else None,
            }
    return data


def in_lines(comparison: Comparison) -> str:
    """For a person: a block a run, a line a figure."""
    first, blocks = comparison.rows[0], []
    for label, row in zip(comparison.labels(), comparison.rows, strict=True):
        about = row.run.label()
        lines = [f"{label}  #{row.run.id} {row.run.title}" + (f"  ({about})" if about else "")]
        for name in shown(comparison):
            figure = row.figures[name]
            off = "" if row is first else figures.difference(name, first.figures[name], figure)
            value = "" if figure.value is None else figures.text(name, figure.value)
            said = "  ".join(filter(None, (value, off, f"({figure.about()})" if value else figure.about())))
            lines.append(f"  {_(figures.NAMES[name])}: {said}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, so that a full disk leaves no half of a report.

    Raises:
        WorkspaceError: it cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise explain_os_error(error, path.parent) from error
