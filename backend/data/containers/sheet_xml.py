"""What calamine does not tell about a sheet, from its XML: how far it reaches, formulas without a value, cells with errors."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backend.data.containers import opendocument
from backend.errors import DataError
from backend.i18n import N_

MAX_CELLS = 5_000_000
"""The rectangle of a sheet: five columns of a million rows, which take about 450 MB while they are read."""
_CHUNK = 1 << 20
_KEPT = 5
_COLUMN = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br\s*=\s*[\"']([A-Za-z]{1,3})\d")
_ROW = re.compile(rb"<(?:\w+:)?row\s[^>]*?\br\s*=\s*[\"'](\d{1,9})[\"']")
_CELL_ROW = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br\s*=\s*[\"'][A-Za-z]{1,3}(\d{1,9})[\"']")
_UNCOMPUTED = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]{1,3}\d{1,7})"[^>]*>\s*<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>)\s*'
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_ERROR = re.compile(rb'<(?:\w+:)?c r="([A-Z]{1,3}\d{1,7})"[^>]*?\bt="e"')
_SHEET = re.compile(r"<(?:\w+:)?sheet\b[^>]*>")


@dataclass
class Facts:
    """``uncomputed``, ``errors``: addresses of the first few such cells; and how many there are."""

    uncomputed: list[str] = field(default_factory=list)
    uncomputed_count: int = 0
    errors: list[str] = field(default_factory=list)
    error_count: int = 0


def examine(path: Path, title: str, name: str) -> Facts:
    """Facts about the sheet ``title``; nothing for formats that are no XML.

    Raises:
        DataError: ``data_excel_large``.
    """
    facts = Facts()
    if not zipfile.is_zipfile(path):
        return facts  # .xls ends at 65,536 x 256 cells
    with zipfile.ZipFile(path) as packed:
        member = _member(packed, title)
        if member is None:
            return facts
        rows: set[int] = set()
        columns: set[int] = set()
        for text in _cells(packed, member):
            numbers = [int(n) for pattern in (_ROW, _CELL_ROW) for n in set(pattern.findall(text))]
            if numbers:
                rows = {*rows, min(numbers), max(numbers)}
                rows = {min(rows), max(rows)}
            columns.update(column_number(name.decode().upper()) for name in set(_COLUMN.findall(text)))
            _collect(_UNCOMPUTED.findall(text) if b"<f" in text or b":f" in text else [], facts, "uncomputed")
            _collect(_ERROR.findall(text) if b't="e"' in text else [], facts, "errors")
    if rows and columns:
        _check_size((max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1), name)
    return facts


def check_opendocument(packed: zipfile.ZipFile, name: str) -> None:
    """Refuse an OpenDocument file whose tables are too large; calamine unfolds them when it opens it.

    Raises:
        DataError: ``data_excel_large``.
    """
    if "content.xml" in packed.namelist():
        _check_size(opendocument.reach(packed), name)


def _check_size(cells: int, name: str) -> None:
    if cells > MAX_CELLS:
        raise DataError(
            "data_excel_large",
            N_("A table in {name} reaches over {cells:,} cells; at most {limit:,} are read from Excel."),
            N_("Delete what stands far from the table, or save the sheet as CSV, which has no limit."),
            name=name,
            cells=cells,
            limit=MAX_CELLS,
        )


def _collect(found: list[bytes], facts: Facts, what: str) -> None:
    kept: list[str] = getattr(facts, what)
    kept += [cell.decode() for cell in found[: _KEPT - len(kept)]]
    if what == "errors":
        facts.error_count += len(found)
    else:
        facts.uncomputed_count += len(found)


def _cells(packed: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """The XML in pieces that end before a cell."""
    rest = b""
    with packed.open(member) as stream:
        while data := stream.read(_CHUNK):
            text = rest + data
            cut = max(text.rfind(b"<c "), text.rfind(b":c "))
            if cut > 0:
                cut = text.rfind(b"<", 0, cut + 1)
            if cut <= 0:
                cut = max(0, len(text) - 65536)
            yield text[:cut]
            rest = text[cut:]
    yield rest


def _member(packed: zipfile.ZipFile, title: str) -> str | None:
    """Where the XML of the sheet ``title`` is."""
    try:
        book = packed.read("xl/workbook.xml").decode("utf-8", "replace")
        links = packed.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    except KeyError:
        return None
    from html import unescape

    for tag in _SHEET.findall(book):
        if unescape(_attribute(tag, "name")) != title:
            continue
        link = _attribute(tag, r"\w+:id")
        for relation in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", links):
            if _attribute(relation, "Id") == link:
                target = _attribute(relation, "Target").removeprefix("/")
                member = target if target.startswith("xl/") else f"xl/{target}"
                return member if member in packed.namelist() else None
    return None


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\s{name}\s*=\s*(?:"([^"]*)"|\'([^\']*)\')', tag)
    return (found[1] or found[2] or "") if found else ""


def column_name(column: int) -> str:
    """A, B, …, Z, AA of the column counted from 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def column_number(name: str) -> int:
    """The inverse of :func:`column_name`, from 1."""
    number = 0
    for letter in name:
        number = 26 * number + ord(letter) - 64
    return number
