"""``python -m backend data detect FILE`` and ``data convert FILE --to FORMAT``: what rows are, and the same rows in another format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.data import importing, schemas
from backend.data.containers import Broken, open_source
from backend.data.export import CONTAINERS, Exported, Picture, container_of, export, resolve, summary
from backend.data.rows import SPLITS, Row
from backend.data.sinks import flan_messages
from backend.data.store import Datasets, image_path
from backend.errors import ConflictError, DataError, PanelError
from backend.i18n import N_, _, ngettext
from backend.workspace import open_workspace

File = Annotated[
    str, typer.Argument(metavar="FILE", help=_("A path on this server, or a dataset: name or name@version."))
]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Encoding = Annotated[str, typer.Option("--encoding", help=_("Of a text; default: found out."))]
Sheet = Annotated[str, typer.Option("--sheet", help=_("Of an Excel file; default: the first."))]
REFUSED_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Make both verbs part of ``app``, the noun ``data``."""
    app.command("detect", help=_("Say which format rows are in, why, and which column holds what."))(detect)
    app.command("convert", help=_("Write rows in another format, and say what it cannot hold."))(convert)


def detect(file: File, encoding: Encoding = "", sheet: Sheet = "", as_json: Json = False) -> None:
    path = _path(file)
    if path is None:
        version = Datasets(open_workspace()).resolve(file)
        found = schemas.detect([dict(row) for row in version.rows(0, importing.SAMPLE)])
        about: dict[str, Any] = {"dataset": version.dataset, "version": version.info.id, "kind": "dataset"}
        looked, broken, problems = min(len(version), importing.SAMPLE), 0, []
    else:
        seen = importing.inspect(path, encoding=encoding or None, sheet=sheet or None)
        found, looked, broken = seen.detection, seen.looked_at, seen.broken
        about = {"path": str(path), "kind": seen.kind, "encoding": seen.encoding, "columns": seen.columns}
        about["warnings"] = [{"code": notice.code, "message": notice.localized()} for notice in seen.warnings]
        problems = [(each.number, each.error) for each in seen.preview if each.error is not None]
    columns = about.get("columns", list(found.mapping.columns.values()))
    data = {
        **about,
        "schema": found.schema,
        "confidence": found.confidence,
        "mapping": found.mapping.to_dict(),
        "counts": found.counts,
        "mixed": found.mixed,
        "reasons": [reason.text() for reason in found.reasons],
        "looked_at": looked,
        "broken": broken,
        "problems": [{"row": number, **_told(error)} for number, error in problems],
    }
    lines = [
        f"{_(schemas.TITLES[found.schema])}  ({found.schema}, {found.confidence:.0%})",
        *(f"  {reason.text()}" for reason in found.reasons),
        *(
            f"  {_(schemas.PART_TITLES[part])}: {column}"
            for part, column in found.mapping.columns.items()
            if column in columns
        ),
        *(f"  {notice['message']}" for notice in about.get("warnings", [])),
        *(
            f"  {_('Row {number}: {problem}').format(number=number, problem=error.localized()[0])}"
            for number, error in problems
        ),
    ]
    output(data, as_json, "\n".join(lines))


def convert(
    file: File,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=_(
                "{formats}; or a kind of file alone: {kinds}; or {messages}: Agent-FLAN files as the Hugging Face folder that XTuner loads."
            ).format(formats=", ".join(schemas.NAMES), kinds=", ".join(CONTAINERS), messages=flan_messages.NAME),
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="PATH", help=_("Where to; default: beside you, named by the format."))
    ] = "",
    container: Annotated[
        str,
        typer.Option(
            "--container", metavar="KIND", help=_("Kind of file; default: the end of --out, or the usual one.")
        ),
    ] = "",
    split: Annotated[str, typer.Option("--split", help=_("Rows of one part only: train, validation or test."))] = "",
    encoding: Encoding = "",
    sheet: Sheet = "",
    as_json: Json = False,
) -> None:
    path = _path(file)
    if to == flan_messages.NAME and path is not None:
        _as_messages(path, out, encoding, as_json)
        return
    to, container = resolve(to, container or (container_of(out) if out and to in schemas.NAMES else ""))
    if split and split not in SPLITS:
        raise DataError(
            "split_unknown",
            N_("There is no part called '{name}'."),
            N_("Known parts: {known}."),
            name=split,
            known=", ".join(SPLITS),
        )
    rows = _Rows()
    stem = (path.stem if path is not None else file.replace("@", "-")) or "rows"
    target = Path(out or f"{stem}-{to}{CONTAINERS[container][1]}").expanduser().absolute()
    if path is not None and target.exists() and target.samefile(path):
        raise ConflictError(
            "export_onto_itself",
            N_("{path} would be written over itself."),
            N_("Give another name with --out."),
            path=str(target),
        )
    if path is None:
        workspace = open_workspace()
        given: Iterator[Row] = iter(Datasets(workspace).resolve(file))
        done = export(
            given, target, to, container=container, split=split or None, pictures=lambda ref: image_path(workspace, ref)
        )
    else:
        options: dict[str, Any] = {"encoding": encoding or None, "sheet": sheet or None}
        mapping = importing.inspect(path, **options).detection.mapping
        with open_source(path, **options) as source:
            picture: Picture = source.image
            done = export(
                rows.read(source, mapping), target, to, container=container, split=split or None, pictures=picture
            )
    data = {**summary(done), "format": to, "container": container, "refused": rows.count, "problems": rows.first}
    output(data, as_json, "\n".join(_lines(done, rows)))


def _as_messages(path: Path, out: str, encoding: str, as_json: bool) -> None:
    """All files of a folder as one dataset, record by record as they are."""
    found = importing.inspect(path, encoding=encoding or None).detection
    if found.schema != flan_messages.SCHEMA or found.mapping.columns.get("messages") != flan_messages.TURNS:
        raise DataError(
            "flan_other_form",
            N_("{path} holds rows of another form: {form}."),
            N_("Convert them with --to openai --container hf."),
            path=str(path),
            form=_(schemas.TITLES[found.schema]),
        )
    rows = _Rows()
    target = Path(out or f"{path.stem}_converted").expanduser().absolute()
    with open_source(path, encoding=encoding or None) as source:
        count, size = flan_messages.write(rows.records(source), target)
    done = Exported(target, count, size)
    data = {**summary(done), "format": flan_messages.NAME, "container": "hf", "refused": rows.count}
    output({**data, "problems": rows.first}, as_json, "\n".join(_lines(done, rows)))


@dataclass
class _Rows:
    """Rows of a source; counts the records that cannot be some, and keeps the first of them."""

    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)

    def read(self, source: Any, mapping: schemas.Mapping) -> Iterator[Row]:
        for item in source:
            try:
                if isinstance(item, Broken):
                    raise item.error
                row = schemas.to_row(item.value, mapping)
            except DataError as error:
                self._refuse(item.number, error)
                continue
            if item.split and item.split != "train" and "split" not in row.get("meta", {}):
                row.setdefault("meta", {})["split"] = item.split
            yield row

    def records(self, source: Any) -> Iterator[dict[str, Any]]:
        """Records of Agent-FLAN's files for :mod:`backend.data.sinks.flan_messages`."""
        for item in source:
            try:
                if isinstance(item, Broken):
                    raise item.error
                yield flan_messages.record(item.value, item.number)
            except DataError as error:
                self._refuse(item.number, error)

    def _refuse(self, number: int, error: DataError) -> None:
        self.count += 1
        if len(self.first) < REFUSED_SHOWN:
            self.first.append({"row": number, **_told(error)})


def _lines(done: Exported, rows: _Rows) -> list[str]:
    lines = [
        ngettext("{n} row in {path}", "{n} rows in {path}", done.rows).format(n=f"{done.rows:,}", path=done.path),
        *(f"  {warning['message']}" for warning in summary(done)["warnings"]),
    ]
    if rows.count:
        lines.append(
            ngettext("{n} record could not be a row:", "{n} records could not be rows:", rows.count).format(
                n=f"{rows.count:,}"
            )
        )
        lines += [
            "  " + _("Row {number}: {problem}").format(number=each["row"], problem=each["message"])
            for each in rows.first
        ]
    return lines


def _path(file: str) -> Path | None:
    """The path that is meant, or None where it is the name of a dataset: a path is what exists, or what looks like one."""
    path = Path(file).expanduser()
    return path.absolute() if "/" in file or path.exists() else None


def _told(problem: PanelError) -> dict[str, Any]:
    message, hint = problem.localized()
    return {"code": problem.code, "message": message, "hint": hint}
