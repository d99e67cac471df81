"""CSV and TSV: which character separates, what the heading is called, and rows that do not fit it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator

from backend.data.containers import problems
from backend.data.containers.lines import pieces
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Context, Item, Record, excerpt
from backend.errors import DataError
from backend.i18n import N_

SEPARATORS = ",\t;|"
_SAMPLE_ROWS = 50
LONG_HEADING_CHARS = 80


def separator(head: str, whole: bool) -> str | None:
    """The character that divides the lines of ``head`` into equally many cells, at least two; None: none does."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    lines = head.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    if lines[0][:4].lower() == "sep=" and len(lines[0].rstrip()) == 5:
        return lines[0][4]
    best, score = None, 0.0
    for candidate in SEPARATORS:
        counts: Counter[int] = Counter()
        named = 0
        try:
            for cells in csv.reader((line + "\n" for line in lines), delimiter=candidate):
                if cells:
                    named = named or len(cells)
                    counts[len(cells)] += 1
                if counts.total() == _SAMPLE_ROWS:
                    break
        except csv.Error:
            continue
        if not counts:
            continue
        width, often = counts.most_common(1)[0]
        agreement = often / counts.total() * (1 if named == width else 0.5)
        if width > 1 and agreement > score:
            best, score = candidate, agreement
    return best if score >= 0.5 else None


def read(chunks: Iterator[bytes], context: Context, delimiter: str) -> Iterator[Item]:
    """Records of UTF-8 ``chunks``; the first line that is not blank is the heading. All values are texts."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    source = _Lines(chunks)
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    number, line = context.first - 1, 0
    part, split = context.part, context.split
    columns: list[str] | None = None
    width = 0
    while True:
        first = line + 1
        try:
            cells = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            line = rows.line_num
            number += 1
            yield Broken(number, _quote(error, first, line), source.current[:200], part, source_at(context))
            continue
        line = rows.line_num
        while source.lost:
            number += 1
            at_line, size, text = source.lost.pop(0)
            yield Broken(number, problems.too_long(at_line, size=size), excerpt(text), part, source_at(context))
        if not cells or cells == [""]:
            continue
        if columns is None:
            if first == 1 and line == 1 and cells[0][:4].lower() == "sep=":
                continue
            columns = context.columns = heading(cells, context)
            width = len(columns)
            continue
        number += 1
        if len(cells) != width:
            yield Broken(
                number, _cells(first, len(cells), width), delimiter.join(cells)[:200], part, source_at(context)
            )
        elif source.nul and any("\0" in cell for cell in cells):
            count = sum(cell.count("\0") for cell in cells)
            yield Broken(number, _nul(first, count), delimiter.join(cells)[:200].replace("\0", "\ufffd"), part, 0.0)
        else:
            yield Record(number, dict(zip(columns, cells, strict=True)), part, source_at(context), split)
    while source.lost:
        number += 1
        at_line, size, text = source.lost.pop(0)
        yield Broken(number, problems.too_long(at_line, size=size), excerpt(text), part, 1.0)


def source_at(context: Context) -> float:
    """How far the file was read."""
    return context.progress.at()


def heading(cells: Iterable[str], context: Context) -> list[str]:
    """Names of the columns: blank ones are numbered, repeated ones told apart; a doubtful heading gets a notice."""
    names: list[str] = []
    for at, cell in enumerate(cells, 1):
        name = " ".join(cell.split()) or f"column {at}"
        again = sum(1 for known in names if known == name or known.startswith(f"{name} ("))
        names.append(f"{name} ({again + 1})" if again else name)
    first = max(names, key=len)
    if len(first) > LONG_HEADING_CHARS:
        context.notices.note(
            "data_heading_doubtful",
            N_("The first line was read as the heading, but does not look like one: “{text}…”."),
            text=first[:40],
            part=context.part,
        )
    return names


class _Lines:
    """Lines of chunks as text, for the csv module. ``nul``: a NUL byte was seen. ``lost``: (line, bytes, beginning) of lines too
    long to be held."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._pieces = pieces(chunks)
        self._lines: Iterator[str] = iter(())
        self._count = 0
        self.current = ""
        self.nul = False
        self.lost: list[tuple[int, int, bytes]] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while (line := next(self._lines, None)) is None:
            piece = next(self._pieces)
            if piece.skipped:
                self.lost.append((self._count + 1, piece.skipped, piece.lines[0][:1024]))
                self._count += 1
                self._lines = iter(("\n",))
                continue
            data = b"\n".join(piece.lines)
            self.nul = self.nul or b"\0" in data
            self._lines = iter(data.decode("utf-8", "replace").split("\n"))
        self._count += 1
        self.current = line
        return line + "\n"


def _quote(error: csv.Error, first: int, last: int) -> DataError:
    if "expected after" in str(error):
        return DataError(
            "row_quote_inside",
            N_(
                "A quotation mark stands inside a cell, in line {last}; the row from line {line} on cannot be told apart."
            ),
            N_('Write it twice ("") and put the whole cell in quotation marks, or save the table as Excel.'),
            line=first,
            last=last,
        )
    return DataError(
        "row_quote_open",
        N_("A quotation mark that opens in line {line} is not closed; the lines up to {last} are lost to it."),
        N_("Close it, or remove it, in line {line}."),
        line=first,
        last=last,
    )


def _cells(line: int, found: int, width: int) -> DataError:
    return DataError(
        "row_cells",
        N_("Cells in line {line}: {found}; in the heading: {width}."),
        N_("A separator inside a text needs quotation marks around the cell; or save the table as Excel."),
        line=line,
        found=found,
        width=width,
    )


def _nul(line: int, count: int) -> DataError:
    return DataError(
        "row_nul_bytes",
        N_("NUL bytes in line {line}: {count}."),
        N_("A crash or a full disk leaves such bytes behind: copy the file again from where it came."),
        line=line,
        count=count,
    )
