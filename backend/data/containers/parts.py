"""The files that a source is made of, each opened as a stream or as a file on the disk, counting the bytes read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from backend.data.rows import Split


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""


@dataclass
class Part:
    """One file. ``size``: its bytes as they are stored. ``open``: a stream; ``local``: a path for formats that need to seek.
    ``split``: the part of the dataset that its place says it is."""

    name: str
    size: int
    open: Callable[[], contextlib.AbstractContextManager[BinaryIO]]
    local: Callable[[], Path]
    split: Split | None = None


def file_part(path: Path, name: str, split: Split | None = None) -> Part:
    """The part that is the file ``path``."""

    @contextlib.contextmanager
    def opened() -> Iterator[BinaryIO]:
        with path.open("rb", buffering=0) as file:
            yield file  # unbuffered: it is read by the megabyte

    return Part(name, path.stat().st_size, opened, lambda: path, split)


class Meter:
    """How many of all bytes were read; ``total`` in the unit that is counted."""

    def __init__(self, total: int) -> None:
        self.total = max(total, 1)
        self.used = 0
        self.before = 0

    def at(self) -> float:
        """The fraction read, 0 to 1."""
        return min(1.0, (self.before + self.used) / self.total)


class Counted:
    """A stream whose bytes a meter counts."""

    def __init__(self, file: Readable, meter: Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        data = self._file.read(size)
        self._meter.used += len(data)
        return data
