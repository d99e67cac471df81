"""A benchmark as OpenCompass reads it, where its own files are not so: UTF-8 without a mark, letters as letters, no row that it breaks at, and a
``test`` for each subject of C-Eval, which it opens without asking anything of it."""

from __future__ import annotations

import csv
import os
import shutil
import zlib
from pathlib import Path
from typing import cast

from backend.evaluate import layout_places, layout_tables, layouts, set_files
from backend.evaluate.layouts import Kind
from backend.evaluate.questions import Question, QuestionSet
from backend.workspace import Workspace, explain_os_error

HEADING = ("id", "question", "A", "B", "C", "D", "answer", "explanation")


def copy(workspace: Workspace, known: QuestionSet, state: object) -> Path:
    """The folder with the splits of a copy of ``known``, which is made where there is none yet. state: of its files; another one is copied anew, and
    what a running evaluation reads stays as it is.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    home = workspace.question_sets / set_files.COPIES / known.name
    target = home / f"{known.version}-{zlib.crc32(repr(state).encode()):08x}"
    if target.is_dir():
        return target
    fresh = home / f".new-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        for subject in known.subjects:
            if not subject.problem:
                _write(known, subject.name, fresh)
        try:
            fresh.rename(target)
        except OSError:
            if not target.is_dir():  # else another process made the same one meanwhile
                raise
            shutil.rmtree(fresh)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise explain_os_error(error, home) from error
    return target


def remove(workspace: Workspace, name: str) -> None:
    """Delete the copies of the set ``name``."""
    shutil.rmtree(workspace.question_sets / set_files.COPIES / name, ignore_errors=True)


def _write(known: QuestionSet, subject: str, into: Path) -> None:
    assert known.path is not None
    kind = cast(Kind, known.kind)
    for split in layouts.NEEDED[kind]:
        file = layouts.file_name(subject, split)
        path, target = known.path / file, into / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if split in (layouts.ASKED[kind], layouts.EXAMPLES):
            if path.exists():
                _table(target, kind, layout_tables.read(kind, subject, file, path.read_bytes()).questions)
        elif path.exists():
            target.write_text(layout_places.text(path.read_bytes())[0], encoding="utf-8", newline="")
        else:
            _table(target, kind, [])


def _table(path: Path, kind: Kind, questions: list[Question]) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        if kind == "ceval":
            writer.writerow(HEADING)
        for number, question in enumerate(questions):
            row = (question.text, *question.options, question.answer)
            writer.writerow((number, *row, "") if kind == "ceval" else row)
