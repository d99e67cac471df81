"""Subjects down, runs across: the score in each cell, and under it how far it is from the first run. All text in it is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from backend.i18n import _
from backend.memory.report_table import DASHED_FROM, STYLE
from ui.evaluate import compare_chart as evaluate_compare_chart
from ui.evaluate import figures as evaluate_figures
from ui.evaluate.compare_chart import Bar

MORE_STYLE = (
    ".tdc tr.g th,.tdc tr.g td{background:color-mix(in srgb,currentColor 6%,transparent)}"
    ".tdc td.f{font-variant-numeric:tabular-nums}.tdc tbody th{font-weight:400}.tdc tr.g th{font-weight:600}"
    ".tdc small.sure{opacity:1;font-weight:600}"
)
UP, DOWN = "▲", "▼"
"""Beside a difference beyond what chance explains."""


@dataclass(frozen=True)
class Line:
    """One row. values: a score a run, None where there is none. differences: of each run from the first, None where it cannot be told.
    n: questions, as people read it. group: an average over subjects."""

    name: str
    values: tuple[float | None, ...]
    differences: tuple[Bar | None, ...] = ()
    n: str = ""
    group: bool = False


def html(lines: Sequence[Line], runs: Sequence[tuple[int, str]]) -> str:
    """The table with its style. runs: place and label of each."""
    labels = [label for _place, label in runs]
    heads = "".join(f'<th scope="col" class="f">{_mark(place)}{escape(label)}</th>' for place, label in runs)
    head = f'<th scope="col">{escape(_("Subject"))}</th><th scope="col" class="f">{escape(_("Questions"))}</th>{heads}'
    body = "".join(_row(line, labels) for line in lines)
    table = f'<div class="tdw"><table class="tdc"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<style>{STYLE}{MORE_STYLE}</style>{table}"


def _mark(place: int) -> str:
    dash = "dash" if place >= DASHED_FROM else ""
    return f'<i class="{dash}" style="border-color:{evaluate_compare_chart.colour(place)}"></i>'


def _row(line: Line, labels: Sequence[str]) -> str:
    n = escape(line.n or "–")
    cells = f'<th scope="row">{escape(line.name)}</th><td class="f" data-label="{escape(_("Questions"))}">{n}</td>'
    for place, label in enumerate(labels):
        difference = line.differences[place] if place < len(line.differences) else None
        cells += _cell(label, line.values[place], difference)
    return f"<tr{' class=g' if line.group else ''}>{cells}</tr>"


def _cell(label: str, value: float | None, difference: Bar | None) -> str:
    small = ""
    if value is not None and difference is not None:
        mark = {1: f" {UP}", -1: f" {DOWN}"}.get(difference.sure, "")
        title = f' title="{escape(difference.said)}"' if difference.said else ""
        small = (
            f"<small{' class=sure' if mark else ''}{title}>{evaluate_figures.points(difference.value)}{mark}</small>"
        )
    text = evaluate_figures.percent(value)
    return f'<td class="f" data-label="{escape(label)}"><span><b>{text}</b>{small}</span></td>'
