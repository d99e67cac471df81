"""``python -m backend data doctor FILE`` and ``data fix FILE``: what is wrong in which row, and the rows without it.

Exit code of ``doctor`` 0: no errors (warnings and notes are none). 1: there are some.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.data import doctor, export
from backend.data.doctor import Report
from backend.data.doctor.findings import ordered
from backend.data.doctor.source import FileRows
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.i18n import N_, _, ngettext
from backend.workspace import open_workspace

SHOWN = 10
SEVERITIES = {"error": N_("error"), "warning": N_("warning"), "note": N_("note")}
File = Annotated[
    str, typer.Argument(metavar="FILE", help=_("A file or folder; or a dataset, as name or name@version."))
]
Against = Annotated[
    str,
    typer.Option("--against", metavar="FILE", help=_("Another file or dataset, whose questions must not stand here.")),
]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command("doctor", help=_("Say what is wrong in which row. Exit code 1 where there are errors."))(examine)
    app.command("fix", help=_("Write the rows without what the doctor found."))(fix)


def examine(
    file: File,
    against: Against = "",
    seed: Annotated[int, typer.Option("--seed", help=_("Of the rows that are drawn to be read."))] = 1,
    as_json: Json = False,
) -> int:
    """Look at ``file``."""
    report = examined(opened(file), against, seed)
    data = {
        "file": file,
        "rows": report.rows,
        "counts": report.counts,
        "findings": [finding.to_dict() for finding in report.findings],
        "sample": [asdict(read) for read in report.sample],
        "languages": {name or "unknown": count for name, count in report.languages.items()},
        "lengths": report.lengths,
        "against": report.against,
        "seconds": report.seconds,
    }
    output(data, as_json, "\n".join(_lines(report)))
    return 1 if report.having("error") else 0


def fix(
    file: File,
    out: Annotated[
        Path, typer.Option("--out", metavar="PATH", help=_("The file to write; its ending says which kind."))
    ],
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", help=_("What to mend, several times for several; default: every error that can be.")),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=_("Mend all that can be mended, notes too."))] = False,
    to: Annotated[str, typer.Option("--to", help=_("The format to write; default: the one that was read."))] = "",
    against: Against = "",
    as_json: Json = False,
) -> None:
    """Mend ``file`` into ``out``."""
    source = opened(file)
    report = examined(source, against, 1, save=False)
    fixable = [check for check, _count in report.checks() if check.fixable]
    chosen = codes or [check.code for check in fixable if everything or check.severity == "error"]
    other = _other(against)
    if isinstance(source, Version):
        images = open_workspace().dataset_images
        rows = doctor.fix(source, chosen, against=other)
        schema = source.info.schema or "openai"
        written = _write(rows, out, to or schema, lambda address: images / address)
    else:
        single = [code for code in chosen if code != "image_broken"]
        kept = source.whole() if "image_broken" in chosen else iter(source)
        written = _write(doctor.fix(kept, single, against=other), out, to or source.schema, source.picture)
    data = {
        "file": file,
        "out": str(written.path),
        "codes": chosen,
        "before": report.rows,
        "rows": written.rows,
        "warnings": written.warnings,
    }
    text = _("{before} rows read, {rows} written to {path}. Mended: {codes}.").format(
        before=f"{report.rows:,}",
        rows=f"{written.rows:,}",
        path=written.path,
        codes=", ".join(_(doctor.CHECKS[code].title) for code in chosen) or _("nothing"),
    )
    notes = [export.note_text(code, count) for code, count in written.warnings.items()]
    output(data, as_json, "\n".join([text, *notes]))


def opened(reference: str) -> Version | FileRows:
    """The rows of a path, which is what exists or looks like one, or of a dataset.

    Raises:
        DataError: there is no such file or dataset, or nothing in it can be a row.
    """
    path = Path(reference).expanduser()
    if path.exists() or "/" in reference:
        return FileRows(path)
    return Datasets(open_workspace()).resolve(reference)


def examined(source: Version | FileRows, against: str = "", seed: int = 1, *, save: bool = True) -> Report:
    """The report on it; that on a version is kept beside it, unless it was compared with something else."""
    other = _other(against)
    if isinstance(source, Version):
        return doctor.examine_version(source, against=other, against_name=against, seed=seed, save=save and not against)
    report = doctor.examine(
        source.numbered(), against=other, against_name=against, seed=seed, rejected=source.rejected_later()
    )
    counts = dict(report.counts)
    if source.refused:
        counts["malformed"] = source.refused
    if source.broken:
        counts["image_broken"] = len(source.broken)
    findings = ordered([*report.findings, *source.broken[: report.limits.listed]])
    return replace(report, counts=counts, findings=findings)


def _other(against: str) -> Version | FileRows | None:
    return opened(against) if against else None


def _write(rows: Any, out: Path, to: str, pictures: Any) -> export.Exported:
    """Into the container that the name of ``out`` asks for."""
    ending = out.suffix.lower()
    container = next((name for name, (_title, end) in export.CONTAINERS.items() if end == ending), "")
    return export.export(rows, out, to, container=container, pictures=pictures)


def _lines(report: Report) -> list[str]:
    lines = []
    for check, count in report.checks():
        title, _help, label = check.words()
        lines.append(f"{_(SEVERITIES[check.severity])}: {title} ({count:,})" + (f"  → {label}" if label else ""))
        found = report.of(check.code)
        lines += [f"  {finding.message()}" for finding in found[:SHOWN]]
        if count > len(found[:SHOWN]):
            lines.append("  " + _("… and {n} more.").format(n=f"{count - len(found[:SHOWN]):,}"))
    rows = ngettext("{n} row", "{n} rows", report.rows).format(n=f"{report.rows:,}")
    if not lines:
        lines.append(_("Nothing is wrong with these rows, as far as a program can see."))
    if report.sample:
        numbers = ", ".join(str(read.row) for read in report.sample)
        lines.append(_("Read some yourself: rows {numbers}.").format(numbers=numbers))
    lines.append(_("{rows} looked at in {seconds} s.").format(rows=rows, seconds=f"{report.seconds:.1f}"))
    return lines
