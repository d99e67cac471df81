"""Containers that rows are exported into: lines and lists of JSON, tables, Arrow. Each writes one file (or folder) from end to end.

Nothing here knows of partial files or of full disks: that is :mod:`backend.data.export`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from backend.data.rows import Row


class Sink(Protocol):
    """Takes rows one after another; the file is whole only after :meth:`close`."""

    def add(self, row: Row) -> None:
        """One more row."""

    def close(self, pulse: Callable[[], None]) -> None:
        """Finish. ``pulse`` is called now and then; what it raises ends the work."""

    def discard(self) -> None:
        """Let go of what is open, finished or not; never raises."""


def open_sink(container: str, path: Path, to: str, notes: Counter[str]) -> Sink:
    """A sink for ``path``. notes: counts of what a person has to be told, filled while rows pass."""
    if container in ("jsonl", "json"):
        from backend.data.sinks.text import TextSink

        return TextSink(path, to, notes, listed=container == "json")
    if container in ("csv", "tsv"):
        from backend.data.sinks.table import CsvSink

        return CsvSink(path, to, notes, "," if container == "csv" else "\t")
    if container == "excel":
        from backend.data.sinks.excel import ExcelSink

        return ExcelSink(path, to, notes)
    from backend.data.sinks.arrow import HfSink, ParquetSink

    return ParquetSink(path, to, notes) if container == "parquet" else HfSink(path, to, notes)
