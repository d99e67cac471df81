"""Excel and OpenDocument tables: one sheet, the computed values of its formulas, merged cells filled down.

calamine reads a sheet whole, as a rectangle from its first to its last cell. So the size of this rectangle is found out before
(a sheet of two cells, A1 and XFD1048576, would be 17 thousand million), in the XML of the sheet, where also stand the formulas
that were never computed and the cells that hold an error: calamine gives both as empty.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.data.containers import archive
from backend.data.containers.records import Broken, Context, Item, Record
from backend.data.containers.sheet_xml import Facts, check_opendocument, column_name, examine
from backend.data.containers.table import heading
from backend.errors import DataError
from backend.i18n import N_

MAX_EXPANDED = 1 << 30
SHOWN = 5


def is_workbook(path: Path) -> bool:
    """Whether the ZIP archive ``path`` is a table of Excel or LibreOffice."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = set(packed.namelist())
            if "xl/workbook.xml" in names:
                return True
            return "mimetype" in names and b"opendocument.spreadsheet" in packed.read("mimetype")[:200]
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return False


def read(path: Path, name: str, context: Context, sheet: str | None) -> Iterator[Item]:
    """Records of one sheet of the file ``path``, called ``name``.

    Raises:
        DataError: ``data_excel_broken``, ``data_excel_locked``, ``data_excel_large``, ``data_sheet_unknown``, ``data_zip_bomb``.
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    suffixes = {".xls"}
    if zipfile.is_zipfile(path):
        with archive.opened(path) as packed:
            archive.check(packed.infolist(), name, MAX_EXPANDED)
            check_opendocument(packed, name)
            suffixes = {".ods"} if "content.xml" in packed.namelist() else {".xlsx", ".xlsm"}
    try:
        # By its path calamine believes the name, as a stream the content; but a stream it holds in memory.
        if path.suffix.lower() in suffixes:
            opened = CalamineWorkbook.from_path(path)
        else:
            opened = CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
        with opened as book:
            names = [s.name for s in book.sheets_metadata if "WorkSheet" in str(s.typ)] or book.sheet_names
            context.sheets = names
            chosen = _choose(names, sheet, name)
            if not chosen:
                return  # damaged so that it has no sheets
            facts = Facts()
            for title in chosen:
                facts = examine(path, title, name)
                data = book.get_sheet_by_name(title)
                if sheet is not None or data.height > 1 or title == chosen[-1]:
                    break
            _tell(names, title, facts, context)
            yield from _rows(data, title, context)
    except PasswordError:
        raise DataError(
            "data_excel_locked",
            N_("{name} is protected by a password."),
            N_("Save it without one, or save the sheet as CSV."),
            name=name,
        ) from None
    except CalamineError as error:
        raise _broken(name, error) from None
    except BaseException as error:
        if (
            type(error).__name__ == "PanicException"
        ):  # what Rust raises where it did not think of a damage; no Exception
            raise _broken(name, error) from None
        raise


def _broken(name: str, error: BaseException) -> DataError:
    return DataError(
        "data_excel_broken",
        N_("{name} cannot be read as an Excel file: {problem}."),
        N_("Open it in Excel or LibreOffice and save it again as .xlsx or CSV."),
        name=name,
        problem=str(error).rstrip("."),
    )


def _choose(names: list[str], sheet: str | None, name: str) -> list[str]:
    if sheet is None:
        return names
    if sheet not in names:
        raise DataError(
            "data_sheet_unknown",
            N_("{name} has no sheet “{sheet}”."),
            N_("It has: {names}"),
            name=name,
            sheet=sheet,
            names=", ".join(names),
        )
    return [sheet]


def _tell(names: list[str], title: str, facts: Facts, context: Context) -> None:
    others = [other for other in names if other != title]
    if others:
        context.notices.note(
            "data_other_sheets",
            N_("Sheet “{sheet}” was read; the file also has “{others}”."),
            sheet=title,
            others="”, “".join(others),
            part=context.part,
        )
    if facts.uncomputed_count:
        context.notices.note(
            "data_formulas_empty",
            N_(
                "Formulas that were never computed count as empty: {count} ({cells}). Open the file in Excel, and save it."
            ),
            count=facts.uncomputed_count,
            cells=_cells(title, facts.uncomputed, facts.uncomputed_count),
            part=context.part,
        )
    if facts.error_count:
        context.notices.note(
            "data_cells_error",
            N_("Cells that hold an error, such as #N/A, count as empty: {count} ({cells})."),
            count=facts.error_count,
            cells=_cells(title, facts.errors, facts.error_count),
            part=context.part,
        )


def _cells(title: str, cells: list[str], count: int) -> str:
    text = ", ".join(f"{title}!{cell}" for cell in cells[:SHOWN])
    return f"{text}, …" if count > SHOWN else text


def _rows(data: Any, title: str, context: Context) -> Iterator[Item]:
    start_column = (data.start or (0, 0))[1]
    merges = _Merges(data.merged_cell_ranges or [], start_column)
    columns: list[str] | None = None
    used: list[int] = []
    unused: list[int] = []
    beside = Counter[str]()
    number, total, skipped = context.first - 1, max(data.total_height, 1), 0
    width = data.width
    for row, cells in enumerate(data.iter_rows()):
        merges.fill(row, cells)
        filled = sum(cell != "" for cell in cells)
        if not filled:
            continue
        if columns is None:
            if filled == 1 and width > 1:
                skipped += 1  # a title above the table
                continue
            used = [i for i, cell in enumerate(cells) if cell != ""]
            unused = [i for i in range(len(cells)) if i not in used]
            columns = context.columns = heading([str(cells[i]) for i in used], context)
            continue
        if not any(cells[i] != "" for i in used):
            number += 1
            column = next(i for i, cell in enumerate(cells) if cell != "")
            yield Broken(number, _beside(title, row, start_column + column), str(cells[column])[:200], context.part)
            continue
        number += 1
        context.fraction = row / total
        beside.update(column_name(start_column + i) for i in unused if cells[i] != "")
        value = {name: plain(cells[i]) for name, i in zip(columns, used, strict=True)}
        yield Record(number, value, context.part, context.fraction, context.split)
    merges.tell(title, context)
    if beside:
        context.notices.note(
            "data_cells_beside",
            N_("Cells in columns without a heading were left out: {count}, in column {columns} of sheet “{sheet}”."),
            count=beside.total(),
            columns=", ".join(beside),
            sheet=title,
            part=context.part,
        )
    if skipped and columns is not None:
        context.notices.note(
            "data_title_rows",
            N_("Rows of one cell above the heading were passed over as titles: {count}."),
            count=skipped,
            part=context.part,
        )


def _beside(title: str, row: int, column: int) -> DataError:
    return DataError(
        "row_beside_table",
        N_("Cell {cell} stands in a column without a heading, alone in its row."),
        N_("Give its column a heading in the first row, or delete the cell."),
        cell=f"{title}!{column_name(column)}{row + 1}",
    )


def plain(value: Any) -> Any:
    """A cell as JSON has it: whole numbers without a point, dates as 2026-01-31."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, dt.timedelta) else value


class _Merges:
    """Merged cells: the value of the first is that of all below it."""

    def __init__(self, ranges: list[tuple[tuple[int, int], tuple[int, int]]], start_column: int) -> None:
        self._waiting = sorted((r for r in ranges if r[1][0] > r[0][0]), reverse=True)
        self._start = start_column
        self._active: dict[int, tuple[int, Any]] = {}  # column -> (last row, value)
        self.filled = 0
        self.first = ""

    def fill(self, row: int, cells: list[Any]) -> None:
        """Fill the merged cells of ``row``."""
        while self._waiting and self._waiting[-1][0][0] <= row:
            (top, left), (bottom, _right) = self._waiting.pop()
            at = left - self._start
            if top == row and 0 <= at < len(cells) and cells[at] != "":
                self._active[at] = (bottom, cells[at])
                self.first = self.first or f"{column_name(left)}{top + 1}:{column_name(left)}{bottom + 1}"
        for at, (last, value) in list(self._active.items()):
            if row > last:
                del self._active[at]
            elif cells[at] == "":
                cells[at] = value
                self.filled += 1

    def tell(self, title: str, context: Context) -> None:
        """The notice, if there were any."""
        if self.filled:
            context.notices.note(
                "data_merged_cells",
                N_("Merged cells were filled down; cells that took the value above them: {count} (first {cells})."),
                count=self.filled,
                cells=f"{title}!{self.first}",
                part=context.part,
            )
