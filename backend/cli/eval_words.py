"""What several commands of ``eval`` print: runs, scores and comparisons, as JSON and for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from backend.errors import PanelError
from backend.evaluate import comparing, comparing_words, notices
from backend.evaluate.comparing import Comparison, Pair, Row
from backend.evaluate.export import number
from backend.evaluate.records import Run, Score
from backend.i18n import _


def run_dict(run: Run) -> dict[str, Any]:
    """A run as JSON. Times are epoch seconds."""
    return {**asdict(run), "settings": dict(run.settings), "notices": list(run.notices)}


def run_line(run: Run) -> str:
    """A run in one line."""
    when = datetime.fromtimestamp(run.began).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{run.id:>5}  {when}  {run.state:<8} {run.evaluator:<12} {run.model}  {run.set_title or run.set_name}"


def score_dict(score: Score) -> dict[str, Any]:
    """A cell as JSON, its cause in words."""
    return {
        "dataset": score.subject,
        "version": score.version,
        "metric": score.metric,
        "mode": score.mode,
        "value": score.value,
        "n": score.n,
        "group": score.group,
        "cause": problem_dict(score.cause) if score.cause else None,
        "evidence": score.evidence,
    }


def problem_dict(stored: Mapping[str, Any]) -> dict[str, str]:
    """What happened, in the language of who asks."""
    problem = PanelError.from_dict(dict(stored))
    message, hint = problem.localized()
    return {"code": problem.code, "message": message, "hint": hint}


def table(scores: Sequence[Score], model: str) -> list[str]:
    """The lines of a table as OpenCompass prints it, the causes of empty cells below."""
    rows = [["dataset", "version", "metric", "mode", model]]
    rows += [[score.subject, score.version or "-", score.metric, score.mode, number(score)] for score in scores]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told: dict[str, list[str]] = {}
    for score in scores:
        if score.cause:
            why = problem_dict(score.cause)
            told.setdefault(f"{why['message']} {why['hint']}".strip(), []).append(score.subject)
    return [*lines, *(f"- {', '.join(names)}: {why}" for why, names in told.items())]


def run_told(run: Run, scores: Sequence[Score]) -> list[str]:
    """A run with its table and what is to be known of it."""
    return [run_line(run), "", *table(scores, run.model), *(f"! {each}" for each in notices.sentences(run.notices))]


def comparison_dict(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON."""
    return {"runs": [run_dict(run) for run in found.runs], "pairs": [pair_dict(pair) for pair in found.pairs]}


def pair_dict(pair: Pair) -> dict[str, Any]:
    """Two runs as JSON."""
    return {
        "a": pair.a.id,
        "b": pair.b.id,
        "verdict": pair.verdict,
        "sentence": comparing_words.sentence(pair),
        "warning": comparing_words.warning(pair),
        "all": row_dict(pair.all),
        "subjects": [row_dict(row) for row in pair.subjects],
        "worse": [row.subject for row in comparing.worse(pair)],
        "only_a": pair.only_a,
        "only_b": pair.only_b,
        "smallest_shown": pair.smallest,
        "questions_needed": pair.needed,
        "refused": problem_dict(pair.refused) if pair.refused else None,
        "notices": [problem_dict(notice) for notice in pair.notices],
    }


def row_dict(row: Row) -> dict[str, Any]:
    """One subject of a comparison as JSON. Scores in percent, differences in points."""
    counts = asdict(row.counts) if row.counts else None
    return {
        "subject": row.subject,
        "a": row.a,
        "b": row.b,
        "difference": row.difference,
        "low": row.low,
        "high": row.high,
        "p": row.p,
        "n": row.n,
        "counts": counts,
    }


def comparison_told(found: Comparison) -> list[str]:
    """A comparison for a person."""
    lines = []
    for pair in found.pairs:
        lines += [f"#{pair.a.id} {pair.a.model}  ->  #{pair.b.id} {pair.b.model}", comparing_words.sentence(pair)]
        lines += filter(None, [comparing_words.warning(pair)])
        lines += _worse(comparing.worse(pair))
        for notice in pair.notices:
            told = problem_dict(notice)
            lines.append(f"! {told['message']} {told['hint']}".rstrip())
        lines.append("")
    return lines[:-1]


def _worse(rows: Iterable[Row]) -> list[str]:
    text = _("Worse: {subject}, {points} points ({low} to {high}), {n} questions")
    words = comparing_words.points
    return [
        text.format(
            subject=row.subject, points=words(row.difference), low=words(row.low), high=words(row.high), n=row.n
        )
        for row in rows
    ]
