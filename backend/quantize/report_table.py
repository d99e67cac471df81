"""The report card as a table, and as files to take along: Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backend.i18n import _
from backend.memory.report_table import FORMULA
from backend.quantize import report
from backend.quantize.report_records import NAMES, Cell, Report, Said
from backend.quantize.report_words import ABOUT, MARKS, amount, change_words, interval, name_of, reason


@dataclass(frozen=True)
class Entry:
    """One cell as texts. value: with its unit. small: interval and change. mark: where it comes from. note: number of the
    footnote that says why it is missing or otherwise; 0: none."""

    value: str
    small: str = ""
    mark: str = "measured"
    note: int = 0


@dataclass(frozen=True)
class Line:
    """One figure, an entry a model."""

    name: str
    label: str
    about: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """heads: names of the models, and below them how they are kept. notes: the footnotes, the first is number 1."""

    heads: tuple[str, ...]
    abouts: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = field(default=())


def table(found: Report) -> Table:
    """All figures that some model has."""
    notes: list[str] = []
    lines = []
    for name in NAMES:
        cells = [one.cell(name) for one in found.models]
        if any(cell is not None for cell in cells):
            entries = tuple(_entry(cell, notes) for cell in cells)
            lines.append(Line(name, name_of(name, found.people), _(ABOUT[name]), entries))
    heads = tuple(one.name for one in found.models)
    return Table(heads, tuple(one.about for one in found.models), tuple(lines), tuple(notes))


def differing(found: Report) -> list[int]:
    """Places of the answers in which not all models said the same."""
    return [at for at, one in enumerate(found.answers) if len({said.text for said in one.said if said is not None}) > 1]


def to_markdown(found: Report, answers: int = 20) -> str:
    """The report as a Markdown text: sentences, table, and the first ``answers`` answers that differ, else the first ones."""
    shown = table(found)
    title = _("Report card: {models}").format(models=", ".join(shown.heads))
    told = [f"# {_plain(title)}", "", *(f"{_plain(text)}\n" for text in report.sentences(found))]
    told += [_row([_("Figure"), *map(_head, shown.heads, shown.abouts)]), _row(["---"] * (len(shown.heads) + 1))]
    told += [_row([_plain(line.label), *map(_cell, line.entries)]) for line in shown.lines]
    told += ["", *(f"[{number}] {_plain(text)}\n" for number, text in enumerate(shown.notes, 1))]
    told += [_plain(_measured(found)), ""]
    places = (differing(found) or list(range(len(found.answers))))[:answers]
    if places:
        told += [f"## {_plain(_('Answers side by side'))}", ""]
        told += [_row([_("Question"), *map(_plain, shown.heads)]), _row(["---"] * (len(shown.heads) + 1))]
        told += [_row([_plain(one.question), *map(_said, one.said)]) for one in (found.answers[at] for at in places)]
        told.append("")
    return "\n".join(told)


def to_csv(found: Report) -> str:
    """One line for each model and figure, as numbers."""
    out = io.StringIO()
    writer = csv.writer(out)
    heads = ["model", "weights", "figure", "value", "unit", "low", "high", "n", "source", "change", "change_low"]
    writer.writerow([*heads, "change_high", "reason"])
    for one in found.models:
        for cell in one.cells:
            numbers = [cell.value, cell.unit, cell.low, cell.high, cell.n, cell.source]
            changes = [cell.change, cell.change_low, cell.change_high]
            row = [one.name, one.about, cell.name, *numbers, *changes, reason(cell)]
            writer.writerow(["" if value is None else _harmless(value) for value in row])
    return out.getvalue()


def answers_csv(found: Report) -> str:
    """One line for each question, a column for each model's answer."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_harmless(text) for text in ["question", "expected", *(one.name for one in found.models)]])
    for one in found.answers:
        said = [each.text if each is not None else "" for each in one.said]
        writer.writerow([_harmless(text) for text in [one.question, one.expected, *said]])
    return out.getvalue()


def spread(some: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of them, evenly taken, so that nobody chose the good ones."""
    return list(some) if len(some) <= most else [some[number * len(some) // most] for number in range(most)]


def _entry(cell: Cell | None, notes: list[str]) -> Entry:
    if cell is None:
        return Entry("–", mark="")
    text = reason(cell)
    if text and text not in notes:
        notes.append(text)
    note = notes.index(text) + 1 if text else 0
    small = " · ".join(filter(None, [interval(cell), change_words(cell)]))
    return Entry(amount(cell), small, _(MARKS[cell.source]) if cell.source != "measured" else "", note)


def _measured(found: Report) -> str:
    source = _("bundled rows in two languages")
    if found.dataset:
        source = f"{found.dataset}@{found.version}" if found.version else found.dataset
    when = datetime.fromtimestamp(found.made, UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = _("Measured {when} on {device}: {rows} rows ({tokens} tokens) and {questions} questions of {source}.")
    return text.format(
        when=when, device=found.device or "?", rows=found.rows, tokens=f"{found.tokens:,}", questions=found.questions, source=source
    )  # fmt: skip


def _head(name: str, about: str) -> str:
    return _plain(f"{name} ({about})" if about else name)


def _cell(one: Entry) -> str:
    parts = [one.value, one.small, one.mark, f"[{one.note}]" if one.note else ""]
    return _plain(" · ".join(filter(None, parts)))


def _said(one: Said | None) -> str:
    if one is None:
        return "–"
    mark = {True: " ✓", False: " ✗", None: ""}[one.right]
    return _plain(one.text) + mark


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _plain(text: str) -> str:
    """As a cell of a Markdown table holds it, and no markup."""
    for character in "\\`*_<>|#":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def _harmless(value: object) -> object:
    """As a spreadsheet shows it and does not compute it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
