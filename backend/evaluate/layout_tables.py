"""One file of C-Eval or MMLU: its questions, and everything that is wrong with it, with line and file.

C-Eval's files have a heading, ``id,question,A,B,C,D,answer,explanation``; MMLU's have none, and six cells: question, A to D, answer. A row that cannot
be a question is left out and told of; the others are asked. Lines are counted as an editor counts them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backend.data.containers.records import MAX_RECORD_BYTES
from backend.errors import DataError
from backend.evaluate import layout_places, wording
from backend.evaluate.questions import Question
from backend.i18n import N_

Kind = Literal["ceval", "mmlu"]
OPTIONS = ("A", "B", "C", "D")
MMLU_CELLS = 6


@dataclass
class Table:
    """What was read of a file. rows: that hold anything. replaced: characters that could not be read. clean: OpenCompass, which takes nothing but
    UTF-8 and breaks at a bad row, reads the same out of it."""

    file: str
    encoding: str = layout_places.UTF8
    replaced: int = 0
    rows: int = 0
    questions: list[Question] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)
    clean: bool = True


@dataclass
class _Bad:
    """Rows with the same fault: how many, and where the first one stands."""

    line: int
    value: str
    count: int = 1


def heading(text: str) -> list[str]:
    """The cells of the first row, in lower case."""
    for _, cells in _rows(text[:100_000], strict=False):
        return [cell.strip().lower() for cell in cells]
    return []


def read(kind: Kind, subject: str, file: str, data: bytes) -> Table:
    """The questions in the content ``data`` of ``file``, each with its solution."""
    text, encoding, replaced = layout_places.text(data)
    table = Table(file, encoding, replaced, clean=encoding == layout_places.UTF8 and not replaced)
    if not text.strip():
        table.problems.append(_empty(file))
        return table
    rows = _all_rows(text, table)
    columns = _columns(kind, rows, table)
    if columns is None:
        return table
    _fill(table, subject, rows, columns)
    if not table.questions and not table.problems:
        table.problems.append(_empty(file))
    table.clean = table.clean and not table.problems
    return table


def _all_rows(text: str, table: Table) -> list[tuple[int, list[str]]]:
    """Rows with the line that each begins in. A quotation mark that is not closed swallows what follows: said, and read as it is all the same."""
    try:
        return list(_rows(text, strict=True))
    except csv.Error:
        last = _last_good(text)
        table.problems.append(
            DataError(
                "set_quote",
                N_(
                    "{file}: a quotation mark in the row that begins in line {line} is not closed, or stands inside a cell."
                ),
                N_('Write it twice ("") and put the whole cell in quotation marks.'),
                file=table.file,
                line=last,
            )
        )
    try:
        return list(_rows(text, strict=False))
    except csv.Error:
        return []


def _rows(text: str, *, strict: bool) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict)
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _last_good(text: str) -> int:
    csv.field_size_limit(MAX_RECORD_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error:
        pass
    return line


def _columns(kind: Kind, rows: list[tuple[int, list[str]]], table: Table) -> dict[str, int] | None:
    """Where question, options and answer stand in a row; takes the heading off ``rows``. None: they are not all there."""
    if kind == "mmlu":
        if rows and [cell.strip().upper() for cell in rows[0][1][1:5]] == list(OPTIONS):
            table.problems.append(
                DataError(
                    "set_heading",
                    N_("{file} begins with a heading, which files of MMLU do not have; it was left out."),
                    N_("Nothing needs to be done; OpenCompass is given a copy without it."),
                    file=table.file,
                )
            )
            del rows[0]
        return {"question": 0, "A": 1, "B": 2, "C": 3, "D": 4, "answer": 5, "": MMLU_CELLS}
    if not rows:
        return {"question": 0}
    line, names = rows.pop(0)
    known = {name.strip().lower(): at for at, name in reversed(list(enumerate(names)))}
    wanted = ("question", *OPTIONS, "answer")
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        table.problems.append(
            DataError(
                "set_columns",
                N_("{file}, line {line}: the heading lacks {missing}. It has: {found}"),
                N_("Files of C-Eval begin with id,question,A,B,C,D,answer,explanation."),
                file=table.file,
                line=line,
                missing=", ".join(missing),
                found=", ".join(name.strip() for name in names)[:200],
            )
        )
        return None
    return {**{name: known[name.lower()] for name in wanted}, "": len(names)}


def _fill(table: Table, subject: str, rows: list[tuple[int, list[str]]], columns: dict[str, int]) -> None:
    bad: dict[str, _Bad] = {}
    for line, cells in rows:
        table.rows += 1
        fault, value = _fault(cells, columns)
        if fault:
            if fault in bad:
                bad[fault].count += 1
            else:
                bad[fault] = _Bad(line, value)
            continue
        answer = cells[columns["answer"]]
        table.clean = table.clean and answer in OPTIONS
        text = cells[columns["question"]]
        table.questions.append(
            Question(
                subject,
                len(table.questions),
                text,
                "choice",
                answer.strip().upper(),
                tuple(cells[columns[letter]] for letter in OPTIONS),
                language=wording.language_of(text),
            )
        )
    table.problems += [_told(table.file, fault, each, columns) for fault, each in bad.items()]


def _fault(cells: Sequence[str], columns: dict[str, int]) -> tuple[str, str]:
    """(what is wrong with a row, the value that shows it); empty where nothing is."""
    if len(cells) != columns[""]:
        return "cells", str(len(cells))
    if not cells[columns["question"]].strip():
        return "question", ""
    answer = cells[columns["answer"]].strip()
    return ("", "") if answer.upper() in OPTIONS else ("answer", answer)


def _told(file: str, fault: str, bad: _Bad, columns: dict[str, int]) -> DataError:
    place = {"file": file, "line": bad.line, "count": bad.count}
    if fault == "cells":
        return DataError(
            "set_row_cells",
            N_("{file}, line {line}: {found} cells instead of {wanted}. Rows like this: {count}; they are left out."),
            N_(
                "A comma inside a text needs quotation marks around the cell; or save the table again from a spreadsheet."
            ),
            found=bad.value,
            wanted=columns[""],
            **place,
        )
    if fault == "question":
        return DataError(
            "set_question_empty",
            N_("{file}, line {line}: there is no question. Rows like this: {count}; they are left out."),
            N_("Write the question, or remove the row."),
            **place,
        )
    return DataError(
        "set_answer_bad",
        N_(
            "{file}, line {line}: the answer is “{value}”, which is none of A, B, C and D. Rows like this: {count}; they are left out."
        ),
        N_("Write the letter of the right option into the column of the answer."),
        value=bad.value[:40],
        **place,
    )


def _empty(file: str) -> DataError:
    return DataError(
        "set_file_empty",
        N_("{file} holds no questions."),
        N_("An interrupted copy leaves such a file: copy or download it again."),
        file=file,
    )
