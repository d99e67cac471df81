"""One version of a dataset: a folder that never changes.

    rows.jsonl        a row a line (:mod:`backend.data.rows`); the first 12 hex digits of its SHA-256 name the folder
    offsets.u64       where each line begins, and where the last one ends: little-endian, 8 bytes each
    rejected.jsonl    records that could not be rows, as they were read: {"number", "code", "message", "hint", "params", "text"}
    version.json      :class:`VersionInfo`

Whatever else lies there was derived from these (the doctor's report, token counts) and may be deleted.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import orjson

from backend import stamps
from backend.data.rows import Row, parse
from backend.errors import DataError, PanelError
from backend.i18n import N_
from backend.workspace import read_json

ROWS, OFFSETS, REJECTED, INFO = "rows.jsonl", "offsets.u64", "rejected.jsonl", "version.json"
ID_CHARS = 12


@dataclass(frozen=True)
class VersionInfo:
    """What is known of a version without reading its rows.

    rejected: records of the source that could not be rows. bytes: size of the rows. created: epoch seconds. by: Linux user.
    steps: what was done, ``{"do": "split", …}`` each. made_from: ``{"dataset", "version"}`` or ``{"file", "sha256"}`` each.
    counts: rows of each split. schema: the format that it was read from; empty: made here.
    """

    id: str
    rows: int
    rejected: int
    bytes: int
    created: float
    by: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    made_from: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    schema: str = ""


class Version:
    """The rows of a version. Reads what is asked for and nothing more; safe to keep, opens its files for each call."""

    def __init__(self, dataset: str, folder: Path, info: VersionInfo) -> None:
        self.dataset = dataset
        self.folder = folder
        self.info = info

    def __len__(self) -> int:
        return self.info.rows

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from map(parse, self.lines())
        except orjson.JSONDecodeError as error:
            raise self.damaged(ROWS) from error

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self.rows(start, stop)[::step] if step > 0 else [self[i] for i in range(start, stop, step)]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        return self.rows(at, at + 1)[0]

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from ``start`` up to and without ``stop``, counted from 0; fewer at the end of the set.

        Raises:
            DataError: ``dataset_damaged``.
        """
        start, stop = max(0, start), min(stop, len(self))
        if start >= stop:
            return []
        edges = self.offsets(start, stop)
        with self._open(ROWS) as fd:
            data = os.pread(fd, edges[-1] - edges[0], edges[0])
        if len(data) != edges[-1] - edges[0]:
            raise self.damaged(ROWS)
        try:
            return [parse(data[a - edges[0] : b - edges[0]]) for a, b in itertools.pairwise(edges)]
        except orjson.JSONDecodeError as error:
            raise self.damaged(ROWS) from error

    def offsets(self, start: int, stop: int) -> tuple[int, ...]:
        """Where the rows from ``start`` up to ``stop`` begin in the file, and where the last one ends: one more than rows."""
        wanted = stop - start + 1
        with self._open(OFFSETS) as fd:
            data = os.pread(fd, 8 * wanted, 8 * start)
        if len(data) != 8 * wanted:
            raise self.damaged(OFFSETS)
        return struct.unpack(f"<{wanted}Q", data)

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The lines as they are kept, in order, without their ends."""
        stop = len(self) if stop is None else min(stop, len(self))
        if start >= stop:
            return
        try:
            with (self.folder / ROWS).open("rb", buffering=1 << 20) as file:
                if start:
                    file.seek(self.offsets(start, start + 1)[0])
                count = 0
                for line in itertools.islice(file, stop - start):
                    count += 1
                    yield line.rstrip(b"\n")
        except OSError as error:
            raise self.damaged(ROWS) from error
        if count != stop - start:
            raise self.damaged(ROWS)

    def rejected(self, start: int = 0, stop: int = 100) -> list[dict[str, Any]]:
        """Records that could not be rows, from ``start`` up to ``stop``."""
        path = self.folder / REJECTED
        if not self.info.rejected or not path.is_file():
            return []
        with path.open("rb") as file:
            return [orjson.loads(line) for line in itertools.islice(file, start, stop)]

    def damaged(self, name: str) -> DataError:
        """The error for a file of this version that is not what was written."""
        return DataError(
            "dataset_damaged",
            N_("The file {name} of dataset '{dataset}', version {version}, is damaged or missing."),
            N_("Go back to another version on the tab Versions, or import the rows again. The folder: {path}"),
            name=name,
            dataset=self.dataset,
            version=self.info.id,
            path=str(self.folder),
        )

    def _open(self, name: str) -> _Opened:
        return _Opened(self, name)


class _Opened:
    """A file of a version, opened for ``pread``."""

    def __init__(self, version: Version, name: str) -> None:
        self.version, self.name = version, name

    def __enter__(self) -> int:
        try:
            self.fd = os.open(self.version.folder / self.name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self.version.damaged(self.name) from error
        return self.fd

    def __exit__(self, *exc: object) -> None:
        os.close(self.fd)


def read_info(folder: Path) -> VersionInfo | None:
    """What stands in the version at ``folder``; None where that is no whole version."""
    data = read_json(folder / INFO)
    try:
        return VersionInfo(**data) if isinstance(data, dict) else None
    except TypeError:
        return None


def info_stamp(folder: Path) -> stamps.Stamp:
    """Whether what :func:`read_info` said still holds."""
    return stamps.stamp(f"{folder}/{INFO}")


def rejected_error(record: dict[str, Any]) -> PanelError:
    """Why a record of ``rejected.jsonl`` could not be a row."""
    return PanelError.from_dict(record)
