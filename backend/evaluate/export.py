"""Scores of one to eight runs as a file: CSV as OpenCompass writes it, Markdown, and a page of HTML that needs nothing else.

A run is a column, so scores of two evaluators never stand in one; scores of two versions of a prompt never stand in one row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from backend import i18n
from backend.errors import PanelError
from backend.evaluate import groups, notices, triage
from backend.evaluate.evaluators import TITLES
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore
from backend.evaluate.summaries import HEAD
from backend.i18n import _
from backend.memory.report import PAGE_STYLE
from backend.memory.report_table import FORMULA, STYLE

EMPTY = "-"
NONE = Score("")
Key = tuple[str, str, str, str]
"""Subject, version, metric, mode: what stands before the values in a row."""


@dataclass(frozen=True)
class Line:
    """One row. cells: a score for each run, None where it has no such row."""

    subject: str
    version: str
    metric: str
    mode: str
    group: bool
    cells: tuple[Score | None, ...]


@dataclass(frozen=True)
class Table:
    """runs: the columns. labels: what they are called, each differently."""

    runs: tuple[Run, ...]
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


def table(store: EvaluateStore, run_ids: Sequence[int], group_names: Mapping[str, str] | None = None) -> Table:
    """The scores and group averages of these runs. group_names: see :func:`backend.evaluate.groups.with_averages`.

    Raises:
        NotFoundError: ``evaluation_unknown``.
    """
    runs = [store.run(run_id) for run_id in run_ids]
    columns: list[dict[Key, Score]] = []
    for run in runs:
        scores = triage.with_causes(run, store.scores(run.id), store.tallies(run.id))
        columns.append({_key(score): score for score in groups.with_averages(run.set_name, scores, group_names)})
    known = {key: score.group for column in columns for key, score in column.items()}
    _fit_in(columns, known)
    keys = sorted((key for key in known if any(key in column for column in columns)), key=known.__getitem__)
    lines = (Line(*key, known[key], tuple(column.get(key) for column in columns)) for key in keys)
    return Table(tuple(runs), tuple(labels(runs)), tuple(lines))


def labels(runs: Sequence[Run]) -> list[str]:
    """The model of each, with the number of the run where one model stands there twice."""
    models = [run.model for run in runs]
    return [run.model if models.count(run.model) == 1 else f"{run.model} (#{run.id})" for run in runs]


def files(found: Table) -> dict[str, str]:
    """Ending of the file -> what is in it."""
    return {"csv": to_csv(found), "md": to_markdown(found), "html": to_html(found)}


def to_csv(found: Table) -> str:
    """As OpenCompass writes it: two decimals, ``-`` for none, a blank for a comma. Spreadsheets read it as UTF-8."""
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\n")
    out.writerow([*HEAD, *map(_harmless, found.labels)])
    for line in found.lines:
        values = (number(cell) for cell in line.cells)
        out.writerow(
            [
                _harmless(line.subject),
                _harmless(line.version) or EMPTY,
                line.metric or EMPTY,
                line.mode or EMPTY,
                *values,
            ]
        )
    text = file.getvalue()
    return text if text.isascii() else "\ufeff" + text


def to_markdown(found: Table) -> str:
    """A table for notes and issues, the reasons of empty cells below it."""
    heads = [_("Subject"), _("Version"), _("Metric"), _("Mode"), *map(_plain, found.labels)]
    rows = [_cells(heads), _cells(["---"] * 4 + ["---:"] * len(found.labels))]
    for line in found.lines:
        name = f"**{_plain(line.subject)}**" if line.group else _plain(line.subject)
        rows.append(
            _cells([name, _plain(line.version) or EMPTY, _plain(line.metric), line.mode, *map(number, line.cells)])
        )
    told = [f"- {_plain(each)}" for each in (*facts(found), *reasons(found))]
    return "\n".join([f"# {_plain(heading(found))}", "", *rows, "", *told]).rstrip() + "\n"


def to_html(found: Table) -> str:
    """The whole file, in the language of who asks."""
    heads = [_("Subject"), _("Version"), _("Metric"), _("Mode")]
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    head += "".join(f'<th scope="col" class="f">{escape(each)}</th>' for each in found.labels)
    body = "".join(_row(found, line, heads) for line in found.lines)
    told = "".join(f"<p>{escape(each)}</p>" for each in facts(found))
    why = "".join(f"<li>{escape(each)}</li>" for each in reasons(found))
    name = escape(heading(found))
    # The policy makes the promise hold whatever a name contains.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="{i18n.current().replace("_", "-")}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{PAGE_STYLE}{STYLE}</style></head><body><h1>{name}</h1>{told}"
        f'<div class="tdw"><table class="tdc"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<ul class="tds">{why}</ul></body></html>\n'
    )


def number(score: Score | None) -> str:
    """As OpenCompass prints it."""
    return EMPTY if score is None or score.value is None else f"{score.value:.2f}"


def heading(found: Table) -> str:
    """What was asked."""
    sets = dict.fromkeys(run.set_title or run.set_name for run in found.runs)
    return _("Evaluation: {names}").format(names=", ".join(filter(None, sets)) or "–")


def facts(found: Table) -> list[str]:
    """Where each column comes from, and what is to be known to read it rightly."""
    told = []
    for label, run in zip(found.labels, found.runs, strict=True):
        when = datetime.fromtimestamp(run.began).astimezone().strftime("%Y-%m-%d %H:%M")
        by = " ".join(filter(None, (TITLES[run.evaluator], run.version)))
        told.append(_("{label}: measured by {evaluator}, {time}.").format(label=label, evaluator=by, time=when))
        told += [f"{label}: {each}" for each in notices.sentences(run.notices)]
    return told


def reasons(found: Table) -> list[str]:
    """Why cells are empty, each reason once a run."""
    told: dict[str, list[str]] = {}
    for line in found.lines:
        for label, cell in zip(found.labels, line.cells, strict=True):
            if cell is not None and cell.value is None and cell.cause:
                why = " ".join(filter(None, PanelError.from_dict(cell.cause).localized()))
                told.setdefault(f"{label}: {why}", []).append(line.subject)
    return [f"{', '.join(names)} · {why}" for why, names in told.items()]


def _row(found: Table, line: Line, heads: Sequence[str]) -> str:
    name = f"<b>{escape(line.subject)}</b>" if line.group else escape(line.subject)
    cells = f'<th scope="row">{name}</th>'
    for head, value in zip(heads[1:], (line.version, line.metric, line.mode), strict=True):
        cells += f'<td data-label="{escape(head)}">{escape(value or EMPTY)}</td>'
    for label, cell in zip(found.labels, line.cells, strict=True):
        cells += f'<td class="f" data-label="{escape(label)}"><b>{number(cell)}</b></td>'
    return f"<tr>{cells}</tr>"


def _key(score: Score) -> Key:
    return score.subject, score.version, score.metric, score.mode


def _fit_in(columns: Sequence[dict[Key, Score]], known: Mapping[Key, bool]) -> None:
    """A cell without a number does not know by what it would have been measured: it goes into the row that its subject has in another run."""
    for column in columns:
        for key in [key for key, score in column.items() if score.value is None and not key[1]]:
            others = [each for each in known if each[0] == key[0] and each != key and each not in column]
            others = [each for each in others if any(run.get(each, NONE).value is not None for run in columns)]
            if others:
                column[others[0]] = column.pop(key)


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|").replace("\n", " ") for each in texts) + " |"


def _plain(text: str) -> str:
    """Without what Markdown or HTML would make of it."""
    return escape(text, quote=False).replace("*", "\\*").replace("`", "\\`").replace("[", "\\[")


def _harmless(value: str) -> str:
    text = " ".join(value.replace(",", " ").split("\n"))
    return f"'{text}" if text.startswith(FORMULA) else text
