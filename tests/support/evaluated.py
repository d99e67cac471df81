"""Evaluations that were never run, put into the store as a job would: for pages, comparisons and their speed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from backend.errors import PanelError
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer, Evaluator, Outcome, Run, Score
from backend.evaluate.store import EvaluateStore

SUBJECTS = {"capitals": 10, "arithmetic": 10, "animals": 10}
OPTIONS = ("one", "two", "three", "four")
GONE = PanelError("server_gone", "The server went away.", "Start it again, then run only this again.")
BEGAN = 1_790_000_000.0


def question(subject: str, number: int) -> Question:
    """Question ``number`` of ``subject``; the right option differs from question to question."""
    letter = "ABCD"[(number * 7 + len(subject)) % 4]
    return Question(subject, number, f"What is {number} of {subject}?", "choice", letter, OPTIONS)


def answer(subject: str, number: int, outcome: Outcome, note: Mapping[str, Any] | None = None) -> Answer:
    """What a model said to it."""
    asked = question(subject, number)
    shown = "\n".join((asked.text, *(f"{letter}. {text}" for letter, text in zip("ABCD", OPTIONS, strict=True))))
    other = "ABCD"["ABCD".index(asked.answer) - 1]
    taken = {"right": asked.answer, "wrong": other, "unread": "", "failed": ""}[outcome]
    said = {"unread": "That depends on what you mean.", "failed": ""}.get(outcome, f"The answer is {taken}.")
    prompt = json.dumps([{"role": "user", "content": f"{shown}\nAnswer with the letter."}])
    known = dict(note or (GONE.to_dict() if outcome == "failed" else {}))
    return Answer(subject, number, asked.key, shown, prompt, said, taken, asked.answer, outcome, 0.4, 12, known)


def outcomes(n: int, right: float, unread: float, failed: float, seed: int) -> list[Outcome]:
    """``n`` outcomes in about those shares, the same for the same ``seed``."""
    drawn = random.Random(seed)
    names: tuple[Outcome, ...] = ("right", "unread", "failed", "wrong")
    return drawn.choices(names, (right, unread, failed, max(0.0, 1 - right - unread - failed)), k=n)


def evaluated(
    store: EvaluateStore,
    model: str = "starter",
    subjects: Mapping[str, int] = SUBJECTS,
    *,
    right: float = 0.6,
    unread: float = 0.0,
    failed: float = 0.0,
    missing: tuple[str, ...] = (),
    seed: int = 1,
    evaluator: Evaluator = "tunedeck",
    set_name: str = "bundled",
    set_version: str = "0123456789ab",
    job: int | None = None,
    began: float = BEGAN,
    **more: Any,
) -> int:
    """A run that ended; its number. missing: subjects without a score, whose cause is that the server went away."""
    state = "partial" if missing else "done"
    run = Run(
        0, "", evaluator, "1", model, set_name, set_version, "Questions", job=job, state="running", began=began, **more
    )
    run_id = store.begin(run)
    store.plan(run_id, [Score(subject, n=n) for subject, n in subjects.items()])
    for place, (subject, n) in enumerate(subjects.items()):
        if subject in missing:
            lost = Score(subject, n=n, cause=GONE.to_dict(), evidence="ConnectionRefusedError: [Errno 111]")
            store.put_scores(run_id, [lost])
            continue
        said = outcomes(n, right, unread, failed, seed * 1000 + place)
        store.put_answers(run_id, _answers(subject, said))
        counted = n - said.count("failed")
        value = 100 * said.count("right") / counted if counted else None
        store.put_scores(run_id, [Score(subject, value, counted)])
    store.end(run_id, state)  # type: ignore[arg-type]  # one of two of its states
    return run_id


def _answers(subject: str, said: list[Outcome]) -> Iterator[Answer]:
    return (answer(subject, number, outcome) for number, outcome in enumerate(said))
