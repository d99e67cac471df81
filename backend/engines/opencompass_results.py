"""What OpenCompass leaves: a score for each subject and what was read out of each answer, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.engines.opencompass_config import ABBR, Evaluation
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import read_json

METRICS = ("accuracy", "score")
"""Looked for first: a file may hold several numbers."""


@dataclass(frozen=True)
class Answer:
    """One question. said: the model's whole answer. taken: what was read out of it, often one letter. right: the solution. prompt: what was sent, a text
    or turns, as it was kept. correct: its own verdict, None where its evaluator says none and ``taken`` is compared with ``right``."""

    said: str
    taken: str
    right: str
    prompt: Any = field(default="", compare=False)
    correct: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Score:
    """One subject. accuracy: in percent, or whatever ``metric`` is measured in."""

    accuracy: float
    answers: tuple[Answer, ...]
    metric: str = "accuracy"


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
    found = {subject: read(runs[-1], what.abbr(subject)) if runs else None for subject in what.subjects}
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


def read(run: Path, abbr: str, model: str = ABBR) -> Score | None:
    """Of one subject, from the folder ``run`` of one attempt; None where there is no number."""
    data = _json(run / "results" / model / f"{abbr}.json")
    metric = next((name for name in (*METRICS, *data) if _number(data.get(name)) is not None), "")
    accuracy = _number(data.get(metric))
    if accuracy is None:
        return None
    said = _json(run / "predictions" / model / f"{abbr}.json")
    details = data.get("details") or {}
    # Evaluators differ: AccEvaluator leaves an object with a number for each question, AccwithDetailsEvaluator a list.
    rows = details if isinstance(details, list) else [row for key, row in details.items() if key.isdecimal()]
    return Score(accuracy, tuple(_answer(row, said.get(str(number))) for number, row in enumerate(rows)), metric)


def attempt(work_dir: Path) -> Path | None:
    """The folder of the newest attempt in ``work_dir``; None where there is none. They are called by the time at which they began."""
    found = [path for path in work_dir.glob("*") if (path / "configs").is_dir() or (path / "predictions").is_dir()]
    return max(found, default=None, key=lambda path: path.name)


def so_far(run: Path, abbr: str, model: str = ABBR, known: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """How many questions of a subject are answered that is still being asked, and how many bytes tell so. known: what this said before; it goes on
    from there."""
    count, size = known
    try:
        with (run / "predictions" / model / f"tmp_{abbr}.jsonl").open("rb") as file:
            file.seek(size)
            whole, end, _half = file.read().rpartition(b"\n")
    except OSError:
        return known
    return count + whole.count(b"\n") + len(end), size + len(whole) + len(end)


def is_asked(run: Path, abbr: str, model: str = ABBR) -> bool:
    """Whether all questions of a subject are answered."""
    return (run / "predictions" / model / f"{abbr}.json").is_file()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _answer(row: dict[str, Any], said: Any) -> Answer:
    kept = said if isinstance(said, dict) else {}
    correct = next((row[name] for name in ("correct", "is_correct") if isinstance(row.get(name), bool)), None)
    return Answer(
        str(kept.get("prediction", "")),
        _first(row, "parsed", "predictions", "pred"),
        _first(row, "references", "refr", "answer"),
        kept.get("origin_prompt", ""),
        correct,
    )


def _first(row: dict[str, Any], *names: str) -> str:
    """What stands under one of ``names``; of several attempts at a question the first."""
    value = next((row[name] for name in names if name in row), "")
    return str((value or [""])[0] if isinstance(value, list) else value)


def _json(path: Path) -> dict[str, Any]:
    """Empty where there is no such object."""
    data = read_json(path)
    return data if isinstance(data, dict) else {}
