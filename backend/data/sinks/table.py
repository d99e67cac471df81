"""CSV and TSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.data.schemas.about import META
from backend.data.sinks.spool import Column, Spool, cell_text

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)."""


class CsvSink:
    """CSV begins with a byte order mark, without which Excel takes Chinese for Latin letters."""

    def __init__(self, path: Path, to: str, notes: Counter[str], delimiter: str) -> None:
        self._path = path
        self._spool = Spool(path.with_name("spool"), to, notes)
        self._notes = notes
        self._delimiter = delimiter
        self.add, self.discard = self._spool.add, self._spool.discard

    def close(self, pulse: Callable[[], None]) -> None:
        """See :class:`backend.data.sinks.Sink`."""
        columns = self._spool.columns()
        if len(columns) == 1:
            columns.append(Column(META, "text"))  # in a lone column nobody finds out what separates cells
        encoding = "utf-8-sig" if self._delimiter == "," else "utf-8"
        with self._path.open("w", encoding=encoding, newline="", buffering=1 << 20) as file:
            # "\r\n", because only then are cells with a lone one of the two put in quotation marks.
            writer = csv.writer(file, delimiter=self._delimiter, lineterminator="\r\n")
            if columns:
                writer.writerow([column.name for column in columns])
            for _split, record in self._spool.records(pulse):
                writer.writerow([self._cell(record, column) for column in columns])

    def _cell(self, record: dict[str, Any], column: Column) -> str:
        value = record.get(column.name)
        text = cell_text(value, column.kind)
        if text == "":
            return text
        if not isinstance(value, (str, list)):
            self._notes["values_as_text"] += 1
        if "\0" in text:
            self._notes["nul_removed"] += 1
            text = text.replace("\0", "")
        if text.startswith(FORMULA):
            self._notes["formula_like"] += 1
        return text
