"""``python -m backend data split FILE`` and ``data mix A B``: parts of one set of rows, and one set of several.

Of a file both write files; of datasets they make a new version, or files where ``--out`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.cli.data_doctor import opened
from backend.data import edit, export, mix, split
from backend.data.doctor.source import FileRows
from backend.data.rows import SPLITS, Row
from backend.data.store import Datasets
from backend.data.traits import with_meta
from backend.data.versions import Version
from backend.errors import DataError
from backend.i18n import N_, _
from backend.workspace import open_workspace

FILE_HELP = _("A file or folder; or a dataset, as name or name@version.")
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Share = Annotated[float | None, typer.Option(min=0, help=_("Share of this part, such as 0.8 or 80."))]
Seed = Annotated[int, typer.Option("--seed", min=0, help=_("The same seed gives the same rows."))]
To = Annotated[str, typer.Option("--to", help=_("The format to write; default: the one that was read."))]


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command("split", help=_("Deal rows to training, validation and test; no question is in two of them."))(divide)
    app.command("mix", help=_("Put several datasets or files together, so much of each."))(put_together)


def divide(
    file: Annotated[str, typer.Argument(metavar="FILE", help=FILE_HELP)],
    train: Share = None,
    validation: Share = None,
    test: Share = None,
    seed: Seed = 0,
    stratify: Annotated[
        str, typer.Option("--stratify", metavar="FIELD", help=_("Spread evenly by language, source or another field."))
    ] = "",
    keep_test: Annotated[bool, typer.Option("--keep-test", help=_("Rows that are test rows already stay so."))] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help=_("Only what is asked in the same words must stay together."))
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help=_("Where the files go, one a part; default: beside the file, or a new version."),
        ),
    ] = None,
    to: To = "",
    as_json: Json = False,
) -> None:
    """Split ``file``."""
    given = {"train": train, "validation": validation, "test": test}
    shares = split.checked({name: share for name, share in given.items() if share is not None} or split.DEFAULT)
    source = opened(file)
    how: dict[str, Any] = {"keep_test": keep_test, "near": not exact}
    if isinstance(source, Version) and out is None:
        step = {"do": "split", "shares": shares, "seed": seed, "stratify": stratify, **how}
        info = edit.apply(Datasets(open_workspace()), source, step)
        made = {"dataset": source.dataset, "version": info.id, "counts": info.counts}
        output({"file": file, **made}, as_json, f"{source.dataset}@{info.id}  {_counts(info.counts)}")
        return
    found = split.plan(source, shares, seed, stratify, **how)
    folder = out or Path(file).expanduser().absolute().with_name(f"{Path(file).stem}-split")
    schema, container = export.resolve(to or _schema(source))
    written = {}
    for name in SPLITS:
        if found.counts[name]:
            path = folder / f"{name}{export.CONTAINERS[container][1]}"
            rows = (with_meta(row, "split", "train") for row in _part(source, found, name))
            written[name] = export.export(rows, path, schema, container=container, pictures=_pictures([source]))
    data = {
        "file": file,
        "counts": found.counts,
        "groups": found.groups,
        "largest_group": found.largest,
        "kinds": found.kinds,
        "files": {
            name: {"path": str(one.path), "rows": one.rows, "warnings": one.warnings} for name, one in written.items()
        },
    }
    lines = [f"{name:<12}{one.rows:>10,}  {one.path}" for name, one in written.items()]
    output(data, as_json, "\n".join([*lines, *_notes(written.values())]))


def put_together(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help=FILE_HELP)],
    weights: Annotated[
        str, typer.Option("--weights", metavar="2,1", help=_("One number for each; default: as many rows of each."))
    ] = "",
    size: Annotated[
        int | None, typer.Option("--size", min=1, help=_("Rows in all; default: as much as there is without repeats."))
    ] = None,
    seed: Seed = 0,
    balance_by: Annotated[
        str,
        typer.Option("--balance-by", metavar="FIELD", help=_("As many rows of each language, source or other kind.")),
    ] = "",
    repeat: Annotated[
        bool, typer.Option("--repeat", help=_("Take rows several times where there are too few for --size."))
    ] = False,
    name: Annotated[str, typer.Option("--name", help=_("Make a dataset of this name, from datasets."))] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help=_("The file to write; its ending says which kind."))
    ] = None,
    to: To = "",
    as_json: Json = False,
) -> None:
    """Mix ``files``."""
    sources = [opened(file) for file in files]
    numbers = _weights(weights, len(files))
    if out is None:
        versions = [source for source in sources if isinstance(source, Version)]
        if not name or len(versions) != len(sources):
            raise DataError(
                "mix_no_target",
                N_("Nothing says where the mix goes."),
                N_("Give --out with a file to write; or, where all are datasets, --name with the one to make."),
            )
        parts = [
            {"dataset": version.dataset, "version": version.info.id, "weight": weight}
            for version, weight in zip(versions, numbers, strict=True)
        ]
        step = {"do": "mix", "parts": parts, "size": size, "seed": seed, "balance_by": balance_by, "repeat": repeat}
        info = edit.apply(Datasets(open_workspace()), None, step, name=name)
        data: dict[str, Any] = {"dataset": name, "version": info.id, "rows": info.rows}
        output(data, as_json, f"{name}@{info.id}  {info.rows:,}")
        return
    named = [edit.Rows(_name(file), source.__iter__) for file, source in zip(files, sources, strict=True)]
    taken: Counter[str] = Counter()
    mixed = mix.mix(list(zip(named, numbers, strict=True)), size, seed, balance_by, repeat=repeat)
    container = next((key for key, (_title, end) in export.CONTAINERS.items() if end == out.suffix.lower()), "")
    written = export.export(
        _counted(mixed, taken), out, to or _schema(sources[0]), container=container, pictures=_pictures(sources)
    )
    data = {"out": str(written.path), "rows": written.rows, "sources": dict(taken), "warnings": written.warnings}
    lines = [f"{written.rows:,}  {written.path}", *(f"  {source}: {count:,}" for source, count in taken.items())]
    output(data, as_json, "\n".join([*lines, *_notes([written])]))


def _part(source: Version | FileRows, found: split.Plan, name: str) -> Iterator[Row]:
    place = SPLITS.index(name)
    return (row for row, part in zip(source, found.parts.tolist(), strict=True) if part == place)


def _weights(text: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")] if text else [1.0] * count
    except ValueError:
        found = []
    if len(found) != count:
        raise DataError(
            "mix_weights_text",
            N_("'{text}' are not {count} weights."),
            N_("Give one number for each file, with commas between: --weights 2,1"),
            text=text[:60],
            count=count,
        )
    return found


def _schema(source: Version | FileRows) -> str:
    return (source.info.schema if isinstance(source, Version) else source.schema) or "openai"


def _name(file: str) -> str:
    return Path(file).stem if Path(file).expanduser().exists() else file


def _counted(rows: Iterator[Row], taken: Counter[str]) -> Iterator[Row]:
    for row in rows:
        taken[str((row.get("meta") or {}).get("source") or "")] += 1
        yield row


def _pictures(sources: Sequence[Version | FileRows]) -> export.Picture:
    """The file of a picture, wherever it is from."""
    images = open_workspace().dataset_images

    def find(reference: str) -> Path:
        problem: DataError | None = None
        for source in sources:
            if isinstance(source, Version):
                if (images / reference).is_file():
                    return images / reference
                continue
            try:
                return source.picture(reference)
            except DataError as error:
                problem = error
        if problem is not None:
            raise problem
        return images / reference

    return find


def _counts(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count:,}" for name, count in counts.items())


def _notes(written: Any) -> list[str]:
    return [export.note_text(code, count) for one in written for code, count in one.warnings.items()]
