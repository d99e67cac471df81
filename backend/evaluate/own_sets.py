"""One's own set as it is kept: ``questions.jsonl``, a question a line, solved examples marked ``"solved": true``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from backend.data.rows import plain
from backend.errors import DataError
from backend.evaluate import set_files
from backend.evaluate.layouts import version_of
from backend.evaluate.own_rows import Gathered
from backend.evaluate.questions import Question, Subject

_KEPT = ("subject", "number", "text", "rule", "answer", "options", "accept", "system", "language")


def write(folder: Path, gathered: Gathered, title: str) -> dict[str, Any]:
    """Write the questions into ``folder``; returns what belongs into ``set.json``.

    Raises:
        OSError: the disk is full or read-only.
    """
    with (folder / set_files.ROWS).open("wb") as file:
        for question in gathered.questions:
            file.write(_line(question, solved=False))
        for question in gathered.examples:
            file.write(_line(question, solved=True))
    return {
        "kind": "own",
        "title": title,
        "path": set_files.ROWS,
        "version": version_of(gathered.questions),
        "source": dict(gathered.source),
        "subjects": [asdict(subject) for subject in _subjects(gathered)],
        "rows": gathered.rows,
        "notices": gathered.told(),
    }


def read(home: Path, subject: str, *, solved: bool) -> tuple[Question, ...]:
    """The questions of a subject, or its solved examples.

    Raises:
        DataError: ``set_damaged``.
    """
    path = home / set_files.ROWS
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size).get((subject, solved), ())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(home) from error


@lru_cache(maxsize=4)
def _read(path: Path, _time: int, _size: int) -> dict[tuple[str, bool], tuple[Question, ...]]:
    found: dict[tuple[str, bool], list[Question]] = defaultdict(list)
    with path.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            values = {name: row[name] for name in _KEPT}
            values |= {"options": tuple(row["options"]), "accept": tuple(row["accept"])}
            found[row["subject"], bool(row.get("solved"))].append(Question(**values))
    return {key: tuple(rows) for key, rows in found.items()}


def _line(question: Question, *, solved: bool) -> bytes:
    row = {name: getattr(question, name) for name in _KEPT} | ({"solved": True} if solved else {})
    return orjson.dumps(plain(row)) + b"\n"


def _subjects(gathered: Gathered) -> list[Subject]:
    count: dict[str, list[int]] = {}
    languages: dict[str, set[str]] = defaultdict(set)
    for question in gathered.questions:
        count.setdefault(question.subject, [0, 0])[0] += 1
        languages[question.subject].add(question.language)
    for question in gathered.examples:
        if question.subject in count:
            count[question.subject][1] += 1
    return [
        Subject(name, asked, solved, language=next(iter(languages[name])) if len(languages[name]) == 1 else "")
        for name, (asked, solved) in count.items()
    ]


def _damaged(home: Path) -> DataError:
    return set_files.damaged(home.name, home)
