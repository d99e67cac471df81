"""Benchmarks as they lie on a disk: folders of C-Eval and MMLU with questions made up here."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

HEADING = ("id", "question", "A", "B", "C", "D", "answer", "explanation")
Rows = Sequence[Sequence[str]]


def questions(subject: str, count: int, chinese: bool = False) -> list[tuple[str, ...]]:
    """``count`` rows: question, four options, letter."""
    ask = "{}的第{}题是什么？" if chinese else "{}: which is number {}?"
    return [
        (ask.format(subject, n), *(f"{letter}{n}" for letter in "wxyz"), "ABCD"[n % 4]) for n in range(1, count + 1)
    ]


def ceval(root: Path, subjects: Sequence[str] = ("law", "logic"), *, count: int = 4, encoding: str = "utf-8") -> Path:
    """C-Eval: ``count`` questions in val, five examples in dev, test without answers."""
    for subject in subjects:
        asked, solved = questions(subject, count, chinese=True), questions(f"{subject}例", 5, chinese=True)
        write(root, "val", subject, numbered(asked), encoding=encoding)
        write(root, "dev", subject, numbered(solved), encoding=encoding)
        write(root, "test", subject, [row[:6] for row in numbered(asked)], heading=HEADING[:6], encoding=encoding)
    return root


def mmlu(root: Path, subjects: Sequence[str] = ("anatomy", "virology"), *, count: int = 4) -> Path:
    """MMLU: no heading."""
    for subject in subjects:
        write(root, "test", subject, questions(subject, count), heading=())
        write(root, "dev", subject, questions(f"{subject} example", 5), heading=())
    return root


def numbered(rows: Rows) -> list[tuple[str, ...]]:
    """Rows of C-Eval: with number and explanation."""
    return [(str(n), *row, "") for n, row in enumerate(rows)]


def write(
    root: Path, split: str, subject: str, rows: Rows, *, heading: Sequence[str] = HEADING, encoding: str = "utf-8"
) -> Path:
    """One file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([heading, *rows] if heading else rows)
    path = root / split / f"{subject}_{split}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def zipped(folder: Path, path: Path, above: str = "") -> Path:
    """``folder`` as an archive, all of it below ``above``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, f"{above}{file.relative_to(folder).as_posix()}")
    return path
