"""What lm-evaluation-harness leaves: a score for each subject, each answer with what was read out of it, and before that the answers as they come."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.lm_eval_rules import INVALID
from backend.engines.lm_eval_text import FILTER, METRIC, Part, Task
from backend.errors import DataError
from backend.evaluate import patterns, wording
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer, Outcome
from backend.workspace import read_json


@dataclass(frozen=True)
class Results:
    """Of one run. version: of the program. scores: name of a task or group -> percent. answers: name of a task -> its answers."""

    version: str
    scores: Mapping[str, float]
    answers: Mapping[str, Sequence[Answer]]


def read(out: Path, parts: Iterable[Part]) -> Results | None:
    """The results below ``out``, the newest where there are several; None where there are none."""
    files = sorted(out.glob("*/results_*.json"), key=lambda path: path.name)
    if not files:
        return None
    data = read_json(files[-1])
    data = data if isinstance(data, dict) else {}
    stamp = files[-1].stem.removeprefix("results_")
    answers = {
        task.name: tuple(_answers(files[-1].with_name(f"samples_{task.name}_{stamp}.jsonl"), part.subject, task))
        for part in parts
        for task in part.tasks
    }
    return Results(str(data.get("lm_eval_version") or ""), _scores(data), answers)


def _scores(data: dict[str, Any]) -> dict[str, float]:
    found = {}
    for name, row in {**(data.get("groups") or {}), **(data.get("results") or {})}.items():
        value = row.get(f"{METRIC},{FILTER}") if isinstance(row, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            found[name] = 100 * float(value)
    return found


def _answers(file: Path, subject: str, task: Task) -> Iterator[Answer]:
    known = {question.number: question for question in task.questions}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        sample = json.loads(line)
        question = known.get(int(sample["doc"]["number"]))
        if question is not None:
            yield answer(subject, question, sample)


def answer(subject: str, question: Question, sample: Mapping[str, Any]) -> Answer:
    """One line of its file of samples."""
    said, taken = str(_first(sample["resps"])), str(_first(sample["filtered_resps"]))
    right = float(sample.get(METRIC) or 0.0) > 0
    outcome: Outcome = "right" if right else "unread" if taken == INVALID else "wrong"
    if outcome == "unread":
        taken = ""
    elif question.rule == "choice":
        taken = taken.upper()
    elif question.rule == "regex" and right:
        taken = _found(taken, said)
    return Answer(
        subject,
        question.number,
        question.key,
        wording.shown(question),
        _prompt(sample),
        said,
        taken,
        question.answer,
        outcome,
    )


def _found(pattern: str, said: str) -> str:
    """What a pattern that fits has found."""
    try:
        return patterns.search(pattern, said.strip()) or ""
    except DataError:
        return ""


def _first(value: Any) -> Any:
    while isinstance(value, list | tuple):
        value = value[0] if value else ""
    return value


def _prompt(sample: Mapping[str, Any]) -> str:
    """What was sent: the messages, as JSON."""
    try:
        return str(_first(sample["arguments"]["gen_args_0"]["arg_0"]))
    except (KeyError, TypeError):
        return ""


# --- before it has ended


def request_key(messages: Sequence[Mapping[str, str]], answer_tokens: int) -> str:
    """Under what it keeps the answer to ``messages`` in its file of answers."""
    kwargs = {"until": [], "max_gen_toks": answer_tokens, "temperature": 0.0, "do_sample": False}
    said = ["generate_until", [json.dumps(messages, ensure_ascii=False)], kwargs]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def kept(cache: Path) -> set[str]:
    """The keys of all answers that have come so far. It may be writing meanwhile."""
    if not cache.is_file():
        return set()
    try:
        with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True, timeout=1)) as db:
            return {str(row[0]) for row in db.execute("SELECT key FROM unnamed")}
    except sqlite3.Error:
        return set()
