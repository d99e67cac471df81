"""Rows of ``evaluate.db`` as records, and records as rows."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any

from backend.chat.records import clean
from backend.evaluate.records import Answer, Run, Score

RUN_COLUMNS = (
    "name", "evaluator", "version", "model", "set_name", "set_version", "set_title", "fingerprint", "source", "job", "path", "state", "began",
    "ended", "settings", "notices",
)  # fmt: skip
ANSWER_COLUMNS = (
    "run", "subject", "number", "outcome", "key", "nth", "question", "prompt", "seconds", "tokens", "taken", "gold", "note", "said",
)  # fmt: skip
SCORE_COLUMNS = (
    "run", "subject", "metric", "place", "value", "n", "version", "mode", "is_group", "cause", "evidence"
)  # fmt: skip
PACKING = 1
"""Prompts repeat themselves: the quickest way to pack them makes them nearly as small as the best."""


def run(row: sqlite3.Row) -> Run:
    """A row of ``runs``."""
    same = {name: row[name] for name in ("id", *RUN_COLUMNS) if name not in ("settings", "notices")}
    return Run(**same, settings=json.loads(row["settings"]), notices=tuple(json.loads(row["notices"])))


def score(row: sqlite3.Row) -> Score:
    """A row of ``scores``."""
    return Score(
        subject=row["subject"],
        value=row["value"],
        n=row["n"],
        version=row["version"],
        metric=row["metric"],
        mode=row["mode"],
        group=bool(row["is_group"]),
        cause=json.loads(row["cause"]),
        evidence=row["evidence"],
    )


def answer(row: sqlite3.Row) -> Answer:
    """A row of ``answers`` with ``question_text`` and ``prompt_packed`` beside it."""
    return Answer(
        subject=row["subject"],
        number=row["number"],
        key=row["key"],
        question=row["question_text"],
        prompt=unpacked(row["prompt_packed"]),
        said=row["said"],
        taken=row["taken"],
        gold=row["gold"],
        outcome=row["outcome"],
        seconds=row["seconds"],
        tokens=row["tokens"],
        note=json.loads(row["note"]),
    )


def run_row(run: Run) -> tuple[Any, ...]:
    """The values of :data:`RUN_COLUMNS`."""
    texts = {"settings": dumped(run.settings), "notices": dumped(list(run.notices))}
    values = (texts[name] if name in texts else getattr(run, name) for name in RUN_COLUMNS)
    return tuple(clean(value) if isinstance(value, str) else value for value in values)


def score_row(run_id: int, place: int, score: Score) -> tuple[Any, ...]:
    """The values of :data:`SCORE_COLUMNS`."""
    return (
        run_id,
        clean(score.subject),
        clean(score.metric),
        place,
        score.value,
        score.n,
        clean(score.version),
        clean(score.mode),
        int(score.group),
        dumped(score.cause),
        clean(score.evidence),
    )


def answer_row(run_id: int, answer: Answer, nth: int, question: int, prompt: int) -> tuple[Any, ...]:
    """The values of :data:`ANSWER_COLUMNS`. nth: which of its twins. question, prompt: the numbers of their texts."""
    return (
        run_id,
        clean(answer.subject),
        answer.number,
        answer.outcome,
        clean(answer.key),
        nth,
        question,
        prompt,
        answer.seconds,
        answer.tokens,
        clean(answer.taken),
        clean(answer.gold),
        dumped(answer.note),
        clean(answer.said),
    )


def dumped(value: Mapping[str, Any] | list[Any]) -> str:
    """As JSON that SQLite can hold."""
    return clean(json.dumps(value, ensure_ascii=False))


def packed(text: str) -> bytes:
    """A prompt as it is kept."""
    return zlib.compress(text.encode(), PACKING)


def unpacked(data: bytes | None) -> str:
    """What :func:`packed` made; empty for none."""
    return zlib.decompress(data).decode() if data else ""
