"""Rows into a file that other programs read: a format (:mod:`backend.data.schemas`) in a container (:mod:`backend.data.sinks`).

Everything is written into a folder beside, then moved into place whole: whoever looks sees the old file or the new one, and a full
disk, a stop or a crash leaves nothing. Pictures of the rows go into a folder beside the file (inside it, where it is a folder).
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.data import pictures as kept_pictures
from backend.data import schemas
from backend.data.rows import Message, Row, split_of
from backend.data.schemas.pictures import inline
from backend.data.sinks import open_sink
from backend.data.sinks.whole import beside, place, refuse, sync
from backend.data.versions import Version
from backend.errors import DataError, fill
from backend.i18n import N_, _
from backend.workspace import Workspace, explain_os_error

CONTAINERS: dict[str, tuple[str, str]] = {
    "jsonl": (N_("JSON Lines"), ".jsonl"),
    "json": (N_("JSON"), ".json"),
    "csv": (N_("CSV"), ".csv"),
    "tsv": (N_("TSV"), ".tsv"),
    "excel": (N_("Excel"), ".xlsx"),
    "parquet": (N_("Parquet"), ".parquet"),
    "hf": (N_("Hugging Face datasets folder"), ""),
}
"""Container -> (title, how its file's name ends)."""
USUAL = {
    "openai": "jsonl",
    "sharegpt": "json",
    "xtuner": "json",
    "alpaca": "json",
    "agent-flan": "jsonl",
    "llava": "json",
    "table": "csv",
}
"""Format -> the container in which other programs expect it."""
SHORT = {
    "csv": "table",
    "tsv": "table",
    "excel": "table",
    "json": "openai",
    "jsonl": "openai",
    "parquet": "openai",
    "hf": "openai",
}
"""Container -> the format that it holds where somebody asks for the container alone."""
NOTES: dict[str, str] = {
    **schemas.LOSSES,
    "values_as_text": N_("Numbers and truth values outside the conversations became text."),
    "formula_like": N_(
        "Cells begin like a formula, with = + - or @: a spreadsheet may run them. Excel files are safe."
    ),
    "nul_removed": N_("NUL characters were removed: CSV cannot hold them."),
    "late_columns": N_(
        "Rows far into the file have columns that none before them had: Hugging Face datasets may refuse it. Parquet is safe."
    ),
    "picture_missing": N_("Pictures could not be found; their addresses stay as they were."),
}
"""What an export may have to tell -> in words."""
ANSWERED = frozenset(("xtuner", "alpaca", "llava", "table"))
"""Formats in which there is no row without an answer."""
EVERY = 500
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Failures of the disk that is written to, not of the picture that is read."""
Picture = Callable[[str], Path | bytes]


@dataclass(frozen=True)
class Exported:
    """What was written. bytes: of the file or folder, without pictures. warnings: code (of :data:`NOTES`) -> in how many rows
    (cells, pictures) it was so. path: the file or folder."""

    path: Path
    rows: int
    bytes: int
    warnings: dict[str, int] = field(default_factory=dict)
    pictures: int = 0


def note_text(code: str, count: int) -> str:
    """A warning for a person."""
    return fill(_("{count} times: {what}"), {"count": f"{count:,}", "what": _(NOTES[code])})


def resolve(to: str, container: str = "") -> tuple[str, str]:
    """(format, container) that are meant; ``to`` may name a container alone.

    Raises:
        DataError: ``schema_unknown``, ``container_unknown``.
    """
    if to in SHORT and not container:
        to, container = SHORT[to], to
    if to not in schemas.NAMES:
        raise DataError(
            "schema_unknown",
            N_("There is no format of rows called '{name}'."),
            N_("Known formats: {known}."),
            name=to,
            known=", ".join([*schemas.NAMES, *SHORT]),
        )
    container = container or USUAL[to]
    if container not in CONTAINERS:
        raise DataError(
            "container_unknown",
            N_("There is no kind of file called '{name}'."),
            N_("Known kinds: {known}."),
            name=container,
            known=", ".join(CONTAINERS),
        )
    return to, container


def container_of(path: Path | str) -> str:
    """The container that the end of a file's name asks for; empty where it says nothing."""
    end = Path(path).suffix.lower()
    return next((name for name, (_title, usual) in CONTAINERS.items() if usual and usual == end), "")


def export(
    rows: Iterable[Row],
    path: Path | str,
    to: str,
    *,
    container: str = "",
    split: str | None = None,
    pictures: Picture | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write ``rows`` to ``path``, replacing a file that is there.

    Args:
        to: one of :data:`backend.data.schemas.NAMES`. container: one of :data:`CONTAINERS`; empty: the usual one of ``to``.
        split: only rows of this part.
        pictures: where the picture of a reference is, as a file or its bytes; None: references stay as they are.
        progress: called with the rows so far, now and then; what it raises ends the export, which leaves nothing.

    Raises:
        DataError: ``schema_unknown``, ``container_unknown``, ``export_excel_rows``, ``export_excel_cell``.
        ConflictError: ``export_target_taken``: what is at ``path`` must not be replaced.
        WorkspaceError: the disk is full or read-only; what was at ``path`` is as it was.
    """
    to, container = resolve(to, container)
    path = Path(path).expanduser().absolute()
    refuse(path, container)
    try:
        with beside(path) as folder, ExitStack() as opened:
            notes: Counter[str] = Counter()
            copied = _Pictures(
                folder / "images", f"{path.stem}_images" if container != "hf" else "images", pictures, notes
            )
            count = 0
            sink = open_sink(container, folder / f"rows{CONTAINERS[container][1]}", to, notes)
            opened.callback(sink.discard)
            for row in rows:
                if split is not None and split_of(row) != split:
                    continue
                found = schemas.losses(row, to)
                notes.update(found)
                if to in ANSWERED and "no_answer" in found:
                    continue
                sink.add(copied.take(row))
                count += 1
                if progress is not None and count % EVERY == 0:
                    progress(count)
            sink.close(lambda: progress(count) if progress is not None else None)
            written = folder / f"rows{CONTAINERS[container][1]}"
            size = sync(written)
            copied.place(written if container == "hf" else path.parent)
            place(written, path, folder)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    return Exported(path, count, size, dict(notes), copied.count)


class _Pictures:
    """Copies of the pictures that rows show, each once."""

    def __init__(self, folder: Path, name: str, find: Picture | None, notes: Counter[str]) -> None:
        self._folder, self._name, self._find, self._notes = folder, name, find, notes
        self._known: dict[str, str] = {}
        self.count = 0

    def take(self, row: Row) -> Row:
        """``row`` with the addresses of the copies."""
        if self._find is None or not any(each.get("images") for each in row["messages"]):
            return row
        messages: list[Message] = [
            {**each, "images": [self._copy(reference) for reference in each["images"]]} if each.get("images") else each
            for each in row["messages"]
        ]
        return {**row, "messages": messages}

    def _copy(self, reference: str) -> str:
        if reference not in self._known:
            assert self._find is not None
            try:
                self._known[reference] = (
                    f"{self._name}/{kept_pictures.keep(self._folder, inline(reference) or self._find(reference))}"
                )
                self.count += 1
            except (DataError, OSError) as error:
                if isinstance(error, OSError) and error.errno in _OURS:
                    raise
                self._known[reference] = reference
                self._notes["picture_missing"] += 1
        return self._known[reference]

    def place(self, parent: Path) -> None:
        """Move the copies below ``parent``. Names come from the content, so what is there already is the same."""
        for picture in self._folder.glob("*/*"):
            final = parent / self._name / picture.parent.name / picture.name
            final.parent.mkdir(parents=True, exist_ok=True)
            picture.replace(final)


def default_path(workspace: Workspace, version: Version, to: str, container: str, split: str = "") -> Path:
    """Where a version goes when nobody says: below ``exports/``, named by what it is, so that the same export is one file."""
    parts = [version.dataset, version.info.id[:6], to, *([split] if split else [])]
    return workspace.exports / f"{'-'.join(parts)}{CONTAINERS[container][1]}"


def summary(exported: Exported) -> dict[str, Any]:
    """JSON for the command line and for a job's result."""
    return {
        "path": str(exported.path),
        "rows": exported.rows,
        "bytes": exported.bytes,
        "pictures": exported.pictures,
        "warnings": [
            {"code": code, "count": count, "message": note_text(code, count)}
            for code, count in sorted(exported.warnings.items())
        ],
    }
