"""Rows that come from anywhere, laid down as lines in a temporary file, so that they can be looked at twice and in two halves."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from backend.data.doctor.scan import Lines
from backend.data.rows import line
from backend.data.versions import OFFSETS, ROWS, Version


@contextmanager
def spooled(rows: Iterable[tuple[int, Any]], images: Path | None = None) -> Iterator[Lines]:
    """``(number, row)`` as lines; the file goes away with the block."""
    edges, numbers = array("Q", [0]), array("Q")
    counted = True
    with tempfile.TemporaryDirectory(prefix="tunedeck-doctor-") as name:
        path = Path(name) / ROWS
        with path.open("wb", buffering=1 << 20) as file:
            at = 0
            for number, row in rows:
                at += file.write(line(row) + b"\n")
                edges.append(at)
                numbers.append(number)
                counted = counted and number == len(numbers)
        own = None if counted else np.frombuffer(numbers, np.uint64)
        yield Lines(path, np.frombuffer(edges, np.uint64), images, own)


def of_version(version: Version) -> Lines:
    """The rows of a version where they lie.

    Raises:
        DataError: ``dataset_damaged``.
    """
    try:
        edges = np.memmap(version.folder / OFFSETS, "<u8", "r") if len(version) else np.zeros(1, np.uint64)
    except (OSError, ValueError) as error:
        raise version.damaged(OFFSETS) from error
    rows = version.folder / ROWS
    if len(edges) != len(version) + 1 or not rows.is_file() or rows.stat().st_size < int(edges[-1]):
        raise version.damaged(OFFSETS)
    # datasets/sets/<name>/versions/<version> -> datasets/images
    return Lines(rows, edges, version.folder.parents[3] / "images")
