"""Why something failed: a table of ours that grows, read from a log and an exit code.

    row.py            what a row is: its patterns, its cause in plain words, what helps
    rows_*.py         the rows, by field; a new failure is a new row and its log in tests/data/diagnosis
    fixes.py          fixes that several rows share
    patterns.py       how the words of a row are found, however the log is wrapped and prefixed
    prefixes.py       what stands around a message: times, levels, ranks, boxes
    lines.py          the lines of a log, as they are compared
    reading.py        reading a log that may be huge
    matcher.py        which rows fit, the most likely first

Nothing is guessed: an empty list means that nobody knows, and the log itself has to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.diagnosis import (
    reading,
    rows_engines,
    rows_formats,
    rows_gpu,
    rows_hub,
    rows_install,
    rows_memory,
    rows_models,
    rows_packages,
    rows_system,
    rows_training,
)
from backend.diagnosis.matcher import Finding, find
from backend.diagnosis.row import Fix, Row

__all__ = ["ROWS", "Finding", "Fix", "Row", "diagnose", "diagnose_lines"]

ROWS: tuple[Row, ...] = (
    *rows_memory.ROWS,
    *rows_gpu.ROWS,
    *rows_system.ROWS,
    *rows_install.ROWS,
    *rows_packages.ROWS,
    *rows_hub.ROWS,
    *rows_models.ROWS,
    *rows_formats.ROWS,
    *rows_training.ROWS,
    *rows_engines.ROWS,
)


def diagnose(
    path: Path,
    *,
    exit_code: int | None = None,
    about: Sequence[str] = (),
    count_up_to: int = reading.COUNT_UP_TO,
) -> list[Finding]:
    """What the log ``path`` says about a failure, the most likely cause first; empty where nothing is known.

    Only its first 256 KiB and last 1 MiB are looked at; see :mod:`backend.diagnosis.reading` for what is raised.

    Args:
        exit_code: how the program ended; negative for a signal.
        about: the engine and verb that the log is from, to leave out what cannot be meant.
        count_up_to: bytes up to which a log is read through for the numbers of its lines.
    """
    return find(reading.read(path, count_up_to), ROWS, exit_code=exit_code, about=about)


def diagnose_lines(lines: Sequence[str], *, exit_code: int | None = None, about: Sequence[str] = ()) -> list[Finding]:
    """The same for lines that are in memory."""
    numbered = reading.lines_of("\n".join(lines).encode("utf-8", "replace"), "-") if lines else []
    return find(numbered, ROWS, exit_code=exit_code, about=about)
