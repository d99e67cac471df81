"""From a file, a folder or an archive to a dataset: looked at first, then read from end to end in one pass.

A record that cannot be a row is kept beside the rows with its number and the reason, so that an import never fails as a whole
because of row 1,734, and never drops it in silence. What is held at a time is one record, whatever the size of the set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.data import schemas
from backend.data.containers import Broken, Record, Source, open_source
from backend.data.rows import SPLITS, Row
from backend.data.schemas import Detection
from backend.data.schemas import Mapping as Columns
from backend.data.schemas.pictures import inline
from backend.data.store import Datasets
from backend.data.versions import VersionInfo
from backend.data.writer import VersionWriter
from backend.errors import DataError, PanelError
from backend.i18n import N_
from backend.workspace import Workspace

SAMPLE = 200
"""As many records are looked at to tell the format. Enough to see that two are mixed, and read in a moment."""
PREVIEW = 20
EVERY = 500
Progress = Callable[[float, int], None]
"""Called with the share that is read (0 to 1) and the rows so far; what it raises ends the import, which leaves nothing."""


@dataclass(frozen=True)
class Previewed:
    """A record as it would be read: ``row``, or why not and how it begins. number: from 1, as a person counts them."""

    number: int
    row: Row | None = None
    error: PanelError | None = None
    text: str = ""


@dataclass(frozen=True)
class Inspection:
    """What a source seems to be.

    kind, encoding, bytes, parts, warnings: see :class:`backend.data.containers.Source`. columns: those that the file names,
    then those that records have beside them. looked_at: how many records this rests on; whole: they were all.
    """

    path: Path
    kind: str
    encoding: str
    bytes: int
    parts: list[str]
    columns: list[str]
    detection: Detection
    preview: list[Previewed]
    warnings: list[Any] = field(default_factory=list)
    looked_at: int = 0
    broken: int = 0
    whole: bool = False


def inspect(
    path: Path | str,
    *,
    mapping: Columns | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    member: str | None = None,
) -> Inspection:
    """Look at the first records of ``path``. mapping: read them so, instead of as what they seem to be.

    Raises:
        DataError: it cannot be opened, or holds nothing that could be a row.
    """
    where = Path(path).expanduser()
    with _told(where), open_source(where, sheet=sheet, encoding=encoding, member=member) as source:
        items: list[Record | Broken] = []
        whole = True
        for item in source:
            if len(items) >= SAMPLE:
                whole = False
                break
            items.append(item)
    records = [item.value for item in items if isinstance(item, Record)]
    detection = schemas.detect(records, source.columns)
    read_as = mapping or detection.mapping
    return Inspection(
        path=where,
        kind=source.kind,
        encoding=source.encoding or "",
        bytes=source.bytes,
        parts=list(source.parts),
        columns=list(dict.fromkeys([*(source.columns or ()), *(name for record in records for name in record)])),
        detection=detection,
        preview=[_previewed(item, read_as) for item in items[:PREVIEW]],
        warnings=list(source.warnings),
        looked_at=len(items),
        broken=sum(isinstance(item, Broken) for item in items),
        whole=whole,
    )


def run(
    workspace: Workspace,
    path: Path | str,
    name: str,
    mapping: Columns | None = None,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    member: str | None = None,
    note: str = "",
    origin: str = "",
    progress: Progress | None = None,
) -> VersionInfo:
    """Read ``path`` whole into a new version of the dataset ``name``. mapping: how; default: as it seems to be.

    origin: what stands in the history as the source, where ``path`` is only a copy that was uploaded.

    Raises:
        DataError: it cannot be opened, or no record of it can be a row (``data_none_usable``, with the first reason).
        ConflictError: ``collection_name_bad``.
        WorkspaceError: the disk is full or read-only.
    """
    where = Path(path).expanduser()
    if mapping is None:
        mapping = inspect(where, sheet=sheet, encoding=encoding, member=member).detection.mapping
    step: dict[str, Any] = {"do": "import", "schema": mapping.schema}
    made_from: dict[str, Any] = {"file": origin or str(where.absolute())}
    lost: Counter[str] = Counter()
    with _told(where), open_source(where, sheet=sheet, encoding=encoding, member=member) as source:
        with Datasets(workspace).write(
            name, steps=[step], made_from=[made_from], note=note, schema=mapping.schema
        ) as out:
            first = _read(source, mapping, out, lost, progress)
            if not len(out):
                raise _no_row(where, out.rejected, first)
            if where.is_file():
                made_from["sha256"] = _sum(where)
            notices = Counter(str(getattr(notice, "code", notice)) for notice in source.warnings)
            if lost or notices:
                step["warnings"] = dict(lost + notices)
        if progress is not None:
            progress(1.0, out.version.rows)
    return out.version


def _read(
    source: Source, mapping: Columns, out: VersionWriter, lost: Counter[str], progress: Progress | None
) -> PanelError | None:
    """Every record, into ``out``; returns why the first one that was refused was."""
    first: PanelError | None = None
    count = 0
    for item in source:
        count += 1
        if progress is not None and count % EVERY == 0:
            progress(item.at if isinstance(item, Record) else 0.0, len(out))
        try:
            if isinstance(item, Broken):
                raise item.error
            row = schemas.to_row(item.value, mapping)
        except DataError as error:
            first = first or error
            out.reject(item.number, error.to_dict(), item.text if isinstance(item, Broken) else repr(item.value))
            continue
        split = getattr(item, "split", None)
        if split in SPLITS and split != "train" and "split" not in row.get("meta", {}):
            row.setdefault("meta", {})["split"] = split
        _take_pictures(source, row, out, lost)
        out.add(row)
    return first


def _take_pictures(source: Source, row: Row, out: VersionWriter, lost: Counter[str]) -> None:
    """Copy the pictures of ``row``. One that cannot be had keeps its address as it was: the doctor names the row."""
    for message in row["messages"]:
        images = message.get("images")
        if not images:
            continue
        kept = []
        for reference in images:
            try:
                kept.append(out.picture(inline(reference) or source.image(reference)))
            except DataError as error:
                lost[error.code] += 1
                kept.append(reference)
            except OSError:
                lost["picture_unreadable"] += 1
                kept.append(reference)
        message["images"] = kept


def _previewed(item: Record | Broken, mapping: Columns) -> Previewed:
    if isinstance(item, Broken):
        return Previewed(item.number, error=item.error, text=item.text)
    try:
        return Previewed(item.number, schemas.to_row(item.value, mapping))
    except DataError as error:
        return Previewed(item.number, error=error, text=repr(item.value)[:2000])


def _no_row(path: Path, refused: int, first: PanelError | None) -> DataError:
    return DataError(
        "data_none_usable",
        N_("None of the {n} records in {path} can be a row. The first: {why}"),
        N_(
            "Say under 'Columns' which part of a record is the question and which the answer, or choose another format."
        ),
        n=refused,
        path=str(path),
        why=str(first) if first else "-",
    )


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the system while reading ``path`` become sentences."""
    try:
        yield
    except OSError as error:
        raise DataError(
            "data_unreadable",
            N_("{path} cannot be read: {problem}."),
            N_("Ask who owns it to let you read it, or copy it to a folder of yours."),
            path=str(path),
            problem=error.strerror or str(error),
        ) from error


def rows_of(reference: str, workspace: Workspace) -> Iterator[tuple[int, Row | PanelError]]:
    """Numbered rows of a dataset (``name`` or ``name@version``) or of the file at a path; for the command line.

    A path is what exists, or what looks like one. Records that cannot be rows come as the reason.

    Raises:
        DataError: as :func:`inspect`; ``dataset_unknown``, ``version_unknown``.
    """
    path = Path(reference).expanduser()
    if not path.exists() and "/" not in reference:
        yield from enumerate(Datasets(workspace).resolve(reference), start=1)
        return
    mapping = inspect(path).detection.mapping
    with _told(path), open_source(path) as source:
        for item in source:
            if isinstance(item, Broken):
                yield item.number, item.error
                continue
            try:
                yield item.number, schemas.to_row(item.value, mapping)
            except DataError as error:
                yield item.number, error


def options_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of :func:`run` and :func:`inspect` that stand in a saved spec."""
    return {name: spec[name] or None for name in ("sheet", "encoding", "member") if name in spec}
