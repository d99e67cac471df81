"""A source: files, their kind and encoding, and their rows one after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType

from backend.data.containers import reading
from backend.data.containers.encodings import checked
from backend.data.containers.parts import Meter, Part
from backend.data.containers.records import Broken, Context, Item, Notices
from backend.data.containers.unpacked import Unpacked
from backend.errors import DataError
from backend.i18n import N_


class Source:
    """Rows of a file, folder or archive, as an iterable of :class:`Record` and :class:`Broken`; it can be read more than once.

    Attributes:
        kind: ``json``, ``jsonl``, ``csv``, ``tsv``, ``text``, ``excel``, ``parquet``, ``arrow``; that of the first part.
        encoding: of the first part's text, as ``UTF-8``; empty for formats that have none.
        columns: names of the columns where the format has such.
        warnings: what a person should know; grows while it is read.
        bytes: of all parts, as they are stored.
        parts: names of the files.
        sheets: names of an Excel file's sheets.
    """

    def __init__(
        self,
        parts: list[Part],
        unpacked: Unpacked,
        *,
        notices: Notices,
        find_image: Callable[[str, Unpacked], Path],
        sheet: str | None = None,
        encoding: str | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.warnings = notices
        self.columns: list[str] | None = None
        self.sheets: list[str] = []
        self.bytes = sum(part.size for part in parts)
        self.parts = [part.name for part in parts]
        self._parts = parts
        self._told = reading.Told()
        self._unpacked = unpacked
        self._find_image = find_image
        self._options = reading.Options(sheet, checked(encoding) if encoding else None)
        self._close = close
        self._rows: Generator[Item, None, None] | None = None
        self._begun: list[Item] = []
        self._prime()

    @property
    def kind(self) -> str:
        """Of the first part."""
        return self._told.kind

    @property
    def encoding(self) -> str:
        """Of the first part that is text."""
        return self._told.encoding

    def __iter__(self) -> Iterator[Item]:
        begun, rows = self._begun, self._rows
        if rows is not None:
            self._begun, self._rows = [], None
            return itertools.chain(begun, rows)
        return self._read()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close files, and remove what was unpacked; the end of the object does the same."""
        if self._rows is not None:
            self._rows.close()
            self._rows = None
        self._close()
        self._unpacked.close()

    def image(self, reference: str) -> Path:
        """The picture that a row names, within the folder or archive.

        Raises:
            DataError: ``data_image_outside``, ``data_image_missing``, ``data_image_remote``, ``data_image_bad``.
        """
        return self._find_image(reference, self._unpacked)

    def _prime(self) -> None:
        """Read up to the first row, so that kind, encoding and columns are known and a file without rows is refused."""
        rows = self._read()
        first = next(rows, None)
        if first is None:
            raise DataError(
                "data_no_rows",
                N_("{name} holds no rows."),
                N_("Look into it with an editor: a heading or empty brackets alone are not enough."),
                name=self.parts[0],
            )
        self._rows, self._begun = rows, [first]

    def _read(self) -> Generator[Item, None, None]:
        meter = Meter(self.bytes)
        number = 0
        for part in self._parts:
            context = Context(part.name, number + 1, part.split, self.warnings, meter)
            items = reading.read(part, context, meter, self._unpacked, self._told, self._options)
            try:
                first = next(items, None)
                self.columns = self.columns or context.columns
                self.sheets = self.sheets or context.sheets
                if first is not None:
                    number = first.number
                    yield first
                for item in items:
                    number = item.number
                    yield item
            except DataError as error:
                if error.code == "data_zip_bomb" or (number == 0 and len(self._parts) == 1):
                    raise
                number += 1
                yield Broken(number, error, "", part.name, meter.at())
            except reading.STOPPED as error:
                if number == 0 and len(self._parts) == 1:
                    raise reading.stopped(part.name, error) from error
                number += 1
                yield Broken(number, reading.stopped(part.name, error), "", part.name, meter.at())
            meter.before += part.size
            meter.used = 0
