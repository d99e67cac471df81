"""Tables of scores as OpenCompass prints and writes them: ``.csv``, ``.txt`` with its sections, ``.md``, and what somebody copied out of a terminal.

The columns are ``dataset  version  metric  mode`` and one for each model. Numbers have two decimals there; an empty cell is ``-``, in the notes of
many people ``--``.
"""

from __future__ import annotations

import ast
import csv
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import DataError, WorkspaceError
from backend.i18n import N_
from backend.workspace import explain_os_error

HEAD = ("dataset", "version", "metric", "mode")
EMPTY = frozenset({"", "-", "--", "---", "–", "—", "nan", "none", "n/a"})
GROUP_METRICS = frozenset({"naive_average", "weighted_average", "harmonic_mean", "standard_deviation", "sum"})
MOST_BYTES = 20 << 20
UNREADABLE = (DataError, WorkspaceError)
"""What :func:`decoded` raises."""
_TIME = re.compile(r"(?<!\d)(\d{8}_\d{6})(?!\d)")
_DASHES = re.compile(r"^\s*-{2,}(\s+-{2,})+\s*$")


@dataclass(frozen=True)
class Line:
    """One row of a table. values: as they were printed, one for each model."""

    dataset: str
    version: str
    metric: str
    mode: str
    values: tuple[str, ...]

    @property
    def group(self) -> bool:
        """Whether it is an average over others: those have no prompt, and so no version."""
        return self.metric in GROUP_METRICS


@dataclass(frozen=True)
class Summary:
    """One table. time: ``20260101_120000`` where it is told, else empty. raw: (model, dataset) -> what its file of results held, unrounded; only
    ``.txt`` has it."""

    models: tuple[str, ...]
    lines: tuple[Line, ...]
    time: str = ""
    raw: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


def read(path: Path) -> Summary:
    """The table of a file.

    Raises:
        DataError: ``summary_unreadable``, ``summary_no_table``. WorkspaceError: the file cannot be opened.
    """
    found = parse(decoded(path), path.name)
    if found is None:
        raise DataError(
            "summary_no_table",
            N_("{name} holds no table of scores."),
            N_("It begins with the line: dataset version metric mode, then one column for each model."),
            name=path.name,
        )
    return found


def parse(text: str, name: str = "") -> Summary | None:
    """The table in ``text``, None where there is none. name: of its file, which may tell when it was written."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # The columns of the printed table are surest: in the others a comma in a name is a column more.
    tables = [*_printed(lines), *_marked(lines), *_separated(lines)]
    if not tables:
        return None
    head, rows = max(tables, key=lambda table: len(table[1]))
    told = _TIME.search(lines[0]) or _TIME.search(name)
    return Summary(tuple(head[len(HEAD) :]), tuple(_line(row) for row in rows), told[1] if told else "", _raw(lines))


def number(text: str) -> float | None:
    """A printed score; None for an empty cell, or what is none."""
    plain = text.strip().removesuffix("%").strip()
    if plain.casefold() in EMPTY:
        return None
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def decoded(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 with its mark, or GB18030.

    Raises:
        DataError: ``summary_unreadable``. WorkspaceError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(data) <= MOST_BYTES and "\0" not in text:
            return text
    raise DataError(
        "summary_unreadable",
        N_("{name} is no text in UTF-8, UTF-16 or GB18030, or is larger than {most} MiB."),
        N_("Choose summary_….csv or summary_….txt of OpenCompass, or its whole output folder."),
        name=path.name,
        most=MOST_BYTES >> 20,
    )


Table = tuple[list[str], list[list[str]]]


def _printed(lines: Sequence[str]) -> Iterator[Table]:
    """Tables in columns, a line of dashes below the head."""
    for at, line in enumerate(lines[1:], 1):
        if not _DASHES.match(line) or lines[at - 1].split()[:1] != [HEAD[0]]:
            continue
        spans = [match.span() for match in re.finditer(r"-+", line)]
        head = _columns(lines[at - 1], spans)
        if not _is_head(head):
            continue
        rows = []
        for each in lines[at + 1 :]:
            if not each.strip() or _DASHES.match(each) or set(each.strip()) <= {"$", "^", "-", "="}:
                break
            row = _columns(each, spans)
            if len(row) == len(head):
                rows.append(row)
        yield head, rows


def _columns(line: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The cells of a printed line: apart by two blanks or more, else where the dashes stand."""
    cells = re.split(r"\s{2,}|\t", line.strip())
    if len(cells) == len(spans):
        return cells
    for wide in (True, False):  # whoever printed it counted a Chinese character as two columns, or as one
        cut = _cut(line, spans, wide)
        if cut and all(cut):
            return cut
    return cells


def _cut(line: str, spans: Sequence[tuple[int, int]], wide: bool) -> list[str]:
    """The cells below the dashes; none where something stands between two columns, so that it was counted otherwise."""
    cells = ["" for _span in spans]
    column = 0
    for character in line:
        place = next((at for at, (begin, end) in enumerate(spans) if begin <= column < end), None)
        if place is not None:
            cells[place] += character
        elif not character.isspace():
            return []
        column += 2 if wide and unicodedata.east_asian_width(character) in "WF" else 1
    return [cell.strip() for cell in cells]


def _marked(lines: Sequence[str]) -> Iterator[Table]:
    """Tables of Markdown."""
    for at, line in enumerate(lines):
        head = _bars(line)
        if head and _is_head(head):
            rows = []
            for each in lines[at + 1 :]:
                row = _bars(each)
                if len(row) != len(head):
                    break
                if not all(set(cell) <= {"-", ":", " "} and len(cell) > 2 for cell in row):
                    rows.append(row)
            yield head, rows


def _bars(line: str) -> list[str]:
    text = line.strip()
    return [cell.strip() for cell in text[1:-1].split("|")] if text.startswith("|") and text.endswith("|") else []


def _separated(lines: Sequence[str]) -> Iterator[Table]:
    """Tables apart by commas, tabs or semicolons."""
    for at, line in enumerate(lines):
        if not line.lstrip(' "').casefold().startswith(HEAD[0]):
            continue
        for mark in (",", "\t", ";"):
            head = _split(line, mark)
            if len(head) > len(HEAD) and _is_head(head):
                rows = []
                for each in lines[at + 1 :]:
                    row = _split(each, mark)
                    if len(row) != len(head):
                        break
                    rows.append(row)
                yield head, rows


def _split(line: str, mark: str) -> list[str]:
    # OpenCompass quotes nothing; a table that went through a spreadsheet may be quoted.
    cells = next(csv.reader([line], delimiter=mark), []) if '"' in line else line.split(mark)
    return [cell.strip() for cell in cells]


def _raw(lines: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The last section of a ``.txt``: each result as Python prints it, below the name of its model."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    model = ""
    for line in lines[lines.index("raw format") + 1 :] if "raw format" in lines else ():
        name, mark, value = line.partition(": ")
        if name == "Model" and mark:
            model = value.strip()
        elif model and value.startswith("{"):
            try:
                result = ast.literal_eval(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(result, dict):
                found[model, name] = result
    return found


def _is_head(cells: Sequence[str]) -> bool:
    return tuple(cell.casefold() for cell in cells[: len(HEAD)]) == HEAD and len(cells) > len(HEAD)


def _line(cells: Sequence[str]) -> Line:
    dataset, version, metric, mode = ("" if cell in EMPTY else cell for cell in cells[: len(HEAD)])
    return Line(dataset, version, metric, mode, tuple(cells[len(HEAD) :]))
