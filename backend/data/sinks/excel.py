"""Excel, written row by row; a text that looks like a formula or an address stays a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.data.sinks.spool import Spool, cell_text
from backend.errors import DataError
from backend.i18n import N_

CELL_CHARS = 32_767
ROWS = 1_048_576
"""What a cell and a sheet hold: support.microsoft.com, "Excel specifications and limits"."""
EXACT = 10**15
"""Numbers in Excel are exact to 15 digits."""


class ExcelSink:
    """One sheet."""

    def __init__(self, path: Path, to: str, notes: Counter[str]) -> None:
        self._path = path
        self._spool = Spool(path.with_name("spool"), to, notes)
        self._notes = notes
        self.add, self.discard = self._spool.add, self._spool.discard

    def close(self, pulse: Callable[[], None]) -> None:
        """See :class:`backend.data.sinks.Sink`.

        Raises:
            DataError: ``export_excel_rows``, ``export_excel_cell``: a sheet cannot hold it.
        """
        import xlsxwriter
        from xlsxwriter.exceptions import FileCreateError

        columns = self._spool.columns()
        if sum(self._spool.splits.values()) >= ROWS:
            raise DataError(
                "export_excel_rows",
                N_("A sheet of Excel holds {limit} rows and a heading; these are {rows}."),
                N_("Export as CSV, JSON Lines or Parquet instead."),
                limit=f"{ROWS - 1:,}",
                rows=f"{sum(self._spool.splits.values()):,}",
            )
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            # Beside the file, so that a full /tmp is not what ends it.
            "tmpdir": str(self._path.parent),
        }
        book = xlsxwriter.Workbook(str(self._path), options)
        sheet = book.add_worksheet("rows")
        try:
            sheet.freeze_panes(1, 0)
            for place, column in enumerate(columns):
                sheet.write_string(0, place, column.name)
            for number, (_split, record) in enumerate(self._spool.records(pulse), start=1):
                for place, column in enumerate(columns):
                    value = record.get(column.name)
                    if isinstance(value, bool):
                        sheet.write_boolean(number, place, value)
                    elif isinstance(value, (int, float)) and abs(value) < EXACT:
                        sheet.write_number(number, place, value)
                    elif (text := cell_text(value, column.kind)) != "":
                        self._check(number, column.name, text)
                        if not isinstance(value, (str, list)):
                            self._notes["values_as_text"] += 1
                        sheet.write_string(number, place, text)
            book.close()
        except FileCreateError as error:
            raise error.args[0] if error.args and isinstance(error.args[0], OSError) else OSError(str(error)) from error
        finally:
            book.fileclosed = True  # one that is given up would try to write itself when it is collected
            with suppress(OSError):
                if sheet.row_data_fh is not None:
                    sheet.row_data_fh.close()

    @staticmethod
    def _check(number: int, column: str, text: str) -> None:
        # Excel counts as UTF-16 does: signs beyond the first 65,536 are two.
        if len(text) * 2 <= CELL_CHARS or len(text.encode("utf-16-le")) // 2 <= CELL_CHARS:
            return
        raise DataError(
            "export_excel_cell",
            N_("Row {row} has {chars} characters in '{column}'; a cell of Excel holds {limit}."),
            N_("Export as CSV, JSON Lines or Parquet instead, or shorten the row."),
            row=f"{number:,}",
            chars=f"{len(text):,}",
            column=column,
            limit=f"{CELL_CHARS:,}",
        )
