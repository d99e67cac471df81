"""Writing a version: everything goes into a folder of its own that gets its name when it is whole.

A writer that dies leaves a folder ``.partial-…``, which the next writer of the same dataset removes: its lock is free.
"""

from __future__ import annotations

import array
import fcntl
import getpass
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from backend.data import pictures
from backend.data.rows import Row, line, plain, split_of
from backend.data.versions import ID_CHARS, INFO, OFFSETS, REJECTED, ROWS, VersionInfo, read_info
from backend.workspace import explain_os_error, write_json

PARTIAL = ".partial-"
MAX_REJECTED = 100_000
"""As many records that could not be rows are kept; more are counted."""
MAX_REJECTED_CHARS = 2_000


class VersionWriter:
    """Takes rows in order; made by :meth:`backend.data.store.Datasets.write`."""

    version: VersionInfo
    """What was made; there once the ``with`` has ended."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder = folder
        self.images = images
        self.counts: dict[str, int] = {}
        self.rejected = 0
        self.size = 0
        self.schema = ""
        self._edges = array.array("Q", [0])
        self._hash = hashlib.sha256()
        self._rows: BinaryIO = (folder / ROWS).open("wb", buffering=1 << 20)
        self._refused: BinaryIO | None = None
        fcntl.flock(self._rows, fcntl.LOCK_EX)  # alive as long as this is held

    def __len__(self) -> int:
        return len(self._edges) - 1

    def add(self, row: Row) -> None:
        """The next row."""
        self.add_line(line(row), split_of(row))

    def add_line(self, data: bytes, split: str = "train") -> None:
        """The next row as :func:`backend.data.rows.line` made it, and the split that stands in it."""
        data = data + b"\n"
        self._rows.write(data)
        self._hash.update(data)
        self.size += len(data)
        self._edges.append(self.size)
        self.counts[split] = self.counts.get(split, 0) + 1

    def reject(self, number: int, error: Mapping[str, Any], text: str = "") -> None:
        """A record that could not be a row. number: of the record in its source, from 1. error: ``PanelError.to_dict()``."""
        self.rejected += 1
        if self.rejected > MAX_REJECTED:
            return
        if self._refused is None:
            self._refused = (self.folder / REJECTED).open("wb")
        kept = {"number": number, **error, "text": text[:MAX_REJECTED_CHARS]}
        self._refused.write(orjson.dumps(plain(kept)) + b"\n")

    def picture(self, source: bytes | Path) -> str:
        """Keep a picture beside the rows, named by its content; returns what ``images`` of a message holds."""
        return pictures.keep(self.images, source)

    def finish(self, **told: Any) -> VersionInfo:
        """Write what is left, to the disk. ``told``: the fields of :class:`VersionInfo` that the writer does not know."""
        self._close()
        edges = self._edges
        if sys.byteorder == "big":
            edges = edges[:]
            edges.byteswap()
        with (self.folder / OFFSETS).open("wb") as file:
            edges.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        info = VersionInfo(
            id=self._hash.hexdigest()[:ID_CHARS],
            rows=len(self),
            rejected=self.rejected,
            bytes=self.size,
            created=time.time(),
            by=user(),
            counts=self.counts,
            schema=self.schema,
            **told,
        )
        write_json(self.folder / INFO, asdict(info))
        return info

    def _close(self) -> None:
        for file in (self._rows, self._refused):
            if file is not None and not file.closed:
                file.flush()
                os.fsync(file.fileno())
                if file is not self._rows:
                    file.close()

    def release(self) -> None:
        """Close everything, whatever happened."""
        for file in (self._rows, self._refused):
            if file is not None:
                try:
                    file.close()
                except OSError:  # what is still in the buffer has no room; the folder is thrown away
                    continue


@contextmanager
def writing(
    folder: Path,
    images: Path,
    steps: Sequence[Mapping[str, Any]],
    made_from: Sequence[Mapping[str, Any]],
    note: str,
    schema: str,
) -> Iterator[VersionWriter]:
    """A writer of a new version below ``folder`` (``versions/`` of a dataset); whole at the end, or nothing.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    partial = folder / f"{PARTIAL}{os.getpid()}-{os.urandom(4).hex()}"
    writer: VersionWriter | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        partial.mkdir()
        writer = VersionWriter(partial, images)
        writer.schema = schema
        yield writer
        info = writer.finish(steps=[dict(s) for s in steps], made_from=[dict(m) for m in made_from], note=note)
        final = folder / info.id
        known = read_info(final)
        if known is not None:
            writer.version = known  # the same rows: what is there stays, with its own history
        else:
            shutil.rmtree(final, ignore_errors=True)  # without its version.json it was never one
            partial.rename(final)
            _sync(folder)
            writer.version = info
    except OSError as error:
        raise explain_os_error(error, folder) from error
    finally:
        if writer is not None:
            writer.release()
        shutil.rmtree(partial, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what writers that died have left."""
    for partial in folder.glob(f"{PARTIAL}*"):
        try:
            fd = os.open(partial / ROWS, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # it is just being made, or just went away
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(fd)


def user() -> str:
    """Who this is, by the name of the Linux user; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)  # a new name is on the disk only with its folder
    finally:
        os.close(fd)
