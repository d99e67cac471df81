"""JSON Lines, and one list of JSON: nothing is held but the row that is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from backend.data import schemas
from backend.data.rows import Row

BUFFER_BYTES = 1 << 20
CHUNK_BYTES = 10 << 20
"""Of JSON Lines, `datasets` takes the columns from so much at the beginning (its JSON builder's chunksize)."""


class TextSink:
    """``listed``: a list, a row a line; otherwise a row a line and nothing else."""

    def __init__(self, path: Path, to: str, notes: Counter[str], *, listed: bool) -> None:
        self._file = path.open("wb", buffering=BUFFER_BYTES)
        self._write_record = schemas.FORMATS[to].write
        self._notes = notes
        self._listed = listed
        self._bytes = 0
        self._names: set[str] = set()

    def add(self, row: Row) -> None:
        """See :class:`backend.data.sinks.Sink`."""
        record = self._write_record(row)
        data = orjson.dumps(record)
        if self._listed:
            self._file.write((b",\n" if self._bytes else b"[\n") + data)
        else:
            self._file.write(data + b"\n")
            self._look(record)
        self._bytes += len(data) + 1

    def _look(self, record: dict[str, Any]) -> None:
        """Keep the names of columns and of what is in them; one that comes late is told."""
        names = set(record)
        for value in record.values():
            if type(value) is list:
                for each in value:
                    if type(each) is dict:
                        names.update(each)
            elif type(value) is dict:
                names.update(value)
        if not names <= self._names:
            if self._bytes > CHUNK_BYTES:
                self._notes["late_columns"] += 1
            self._names |= names

    def close(self, pulse: Callable[[], None]) -> None:
        """See :class:`backend.data.sinks.Sink`."""
        if self._listed:
            self._file.write(b"\n]\n" if self._bytes else b"[]\n")
        self._file.close()

    def discard(self) -> None:
        """See :class:`backend.data.sinks.Sink`."""
        with suppress(OSError):  # what it still holds does not fit on a full disk
            self._file.close()
