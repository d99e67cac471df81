"""Rows of a file, a folder or an archive for the doctor: numbered as they stand there, with their pictures, read twice if need be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.data import importing, schemas
from backend.data.containers import Broken, Source, open_source
from backend.data.doctor.findings import Finding
from backend.data.doctor.look import decodes
from backend.data.rows import Row
from backend.errors import DataError, PanelError

LISTED = 1_000


class FileRows:
    """The rows of ``path``.

    After reading: rejected, records that could not be rows, as a version keeps them, at most ``LISTED``; refused, how many there
    were; broken, findings of pictures; schema, the format it is in. A picture that can be shown stays the address that it was.

    Raises:
        DataError: it cannot be opened, or holds nothing that could be a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mapping = importing.inspect(path).detection.mapping
        self.schema = self.mapping.schema
        self._source = open_source(path)
        self._clear()

    def _clear(self) -> None:
        self.rejected: list[dict[str, Any]] = []
        self.refused = 0
        self.broken: list[Finding] = []

    def numbered(self) -> Iterator[tuple[int, Row]]:
        """``(number, row)``; numbers are those of the records, so there are gaps where one could not be a row."""
        self._clear()
        self._source = source = open_source(self.path)  # kept: its end removes what was unpacked
        for item in source:
            try:
                if isinstance(item, Broken):
                    raise item.error
                row = schemas.to_row(item.value, self.mapping)
            except DataError as error:
                self._refuse(item.number, error)
                continue
            split = getattr(item, "split", None)
            if split and split != "train" and "split" not in row.get("meta", {}):
                row.setdefault("meta", {})["split"] = split
            self.broken += _broken(source, item.number, row)
            yield item.number, row

    def __iter__(self) -> Iterator[Row]:
        for _number, row in self.numbered():
            yield row

    def picture(self, reference: str) -> Path:
        """Where a picture that a row names lies, while this object is there.

        Raises:
            DataError: there is none, or it is outside.
        """
        return self._source.image(reference)

    def whole(self) -> Iterator[Row]:
        """Only the rows whose pictures can be shown."""
        for number, row in self.numbered():
            if not self.broken or self.broken[-1].row != number:
                yield row

    def rejected_later(self) -> Iterator[dict[str, Any]]:
        """``rejected`` as it is when somebody asks for it: after the rows were read."""
        yield from self.rejected

    def _refuse(self, number: int, error: PanelError) -> None:
        self.refused += 1
        if len(self.rejected) < LISTED:
            self.rejected.append({"number": number, **error.to_dict()})


def _broken(source: Source, number: int, row: Row) -> list[Finding]:
    found = []
    for turn, message in enumerate(row["messages"], 1):
        for reference in message.get("images") or ():
            try:
                right = decodes(source.image(reference))
            except (DataError, OSError):
                right = False
            if not right:
                found.append(Finding(number, "image_broken", {"turn": turn}))
                break
    return found
