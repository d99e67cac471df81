"""What OpenCompass leaves: a score for each subject and what was read out of each answer, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.opencompass_config import ABBR, Evaluation
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import read_json


@dataclass(frozen=True)
class Answer:
    """One question. said: the model's whole answer. taken: what was read out of it, often one letter. right: the solution."""

    said: str
    taken: str
    right: str


@dataclass(frozen=True)
class Score:
    """One subject. accuracy: in percent."""

    accuracy: float
    answers: tuple[Answer, ...]


def results(what: Evaluation, work_dir: Path, code: int, lines: Sequence[str]) -> dict[str, Score]:
    """The score of every subject. ``code``, ``lines``: exit code and output of :func:`command`.

    Raises:
        PanelError: ``opencompass_failed``, with what it said; ``opencompass_no_score``: it ended well, and yet a subject has
            no number.
    """
    if code:
        raise PanelError(
            "opencompass_failed",
            N_("OpenCompass ended with exit code {exit}: {line}"),
            N_("The log of this job has all that it said."),
            exit=code,
            line=cause(lines) or "-",
        )
    runs = sorted(path.parent for path in work_dir.glob("*/results") if path.is_dir())
    found = {subject: _score(runs[-1], what.abbr(subject)) if runs else None for subject in what.subjects}
    missing = [subject for subject, score in found.items() if score is None]
    if missing:
        raise PanelError(
            "opencompass_no_score",
            N_("OpenCompass has no result for: {subjects}. {line}"),
            N_("Look at its log: a subject may be misspelt, or its file may be damaged."),
            subjects=", ".join(missing),
            line=cause(lines),
        )
    return {subject: score for subject, score in found.items() if score is not None}


def cause(lines: Sequence[str]) -> str:
    """The line of its output that says why it failed: the server's answer where it was refused, else the last one."""
    for line in reversed(lines):
        # 11/26 14:58:36 - OpenCompass - ERROR - <file> - <function> - <line> - Error code: 404 - …
        _, error, said = line.partition(" - OpenCompass - ERROR - ")
        text = said.split(" - ", 3)[-1].strip()
        if error and not text.startswith("error occurs at"):
            return text
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _score(run: Path, abbr: str) -> Score | None:
    """Of one subject, from the folder of one run; None where there is no number."""
    data = _json(run / "results" / ABBR / f"{abbr}.json")
    accuracy = data.get("accuracy")
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not math.isfinite(accuracy):
        return None
    said = _json(run / "predictions" / ABBR / f"{abbr}.json")
    details = data.get("details") or {}
    # Evaluators differ: AccEvaluator leaves an object with a number for each question, AccwithDetailsEvaluator a list.
    rows = details if isinstance(details, list) else [row for key, row in details.items() if key.isdecimal()]
    return Score(float(accuracy), tuple(_answer(row, said.get(str(number))) for number, row in enumerate(rows)))


def _answer(row: dict[str, Any], said: Any) -> Answer:
    whole = said.get("prediction", "") if isinstance(said, dict) else ""
    return Answer(str(whole), _first(row, "predictions", "pred"), _first(row, "references", "refr"))


def _first(row: dict[str, Any], *names: str) -> str:
    """What stands under one of ``names``; of several attempts at a question the first."""
    value = next((row[name] for name in names if name in row), "")
    return str((value or [""])[0] if isinstance(value, list) else value)


def _json(path: Path) -> dict[str, Any]:
    """Empty where there is no such object."""
    data = read_json(path)
    return data if isinstance(data, dict) else {}
