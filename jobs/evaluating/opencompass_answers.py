"""Answers as OpenCompass leaves them become ours: beside the question, with what its extractor took, and whether it took anything at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from backend.engines import opencompass_results as results
from backend.evaluate import marking, wording
from backend.evaluate.questions import LETTERS, Question
from backend.evaluate.records import Answer, Outcome

ROLES = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}


def kept(cell: str, said: Sequence[results.Answer], asked: Sequence[Question], *, guesses: bool) -> list[Answer]:
    """``said`` as answers of the subject ``cell``. asked: the questions, empty or of another number where a person's own config asked others. guesses:
    its extractor never gives up, as that of custom sets, which takes the option that is spelled most alike."""
    known = asked if len(asked) == len(said) else [None] * len(said)
    return [
        _answer(cell, number, one, question, guesses)
        for number, (one, question) in enumerate(zip(said, known, strict=True))
    ]


def _answer(cell: str, number: int, one: results.Answer, question: Question | None, guesses: bool) -> Answer:
    prompt = one.prompt if isinstance(one.prompt, str) else json.dumps(_turns(one.prompt), ensure_ascii=False)
    return Answer(
        subject=cell,
        number=question.number if question else number,
        key=question.key if question else hashlib.sha256(f"{prompt}\n{one.right}".encode()).hexdigest()[:16],
        question=wording.shown(question) if question else _last(one.prompt),
        prompt=prompt,
        said=one.said,
        taken=one.taken,
        gold=one.right,
        outcome=_outcome(one, question, guesses),
    )


def _outcome(one: results.Answer, question: Question | None, guesses: bool) -> Outcome:
    if one.correct if one.correct is not None else one.taken == one.right:
        return "right"
    if not one.taken.strip() or not one.said.strip():
        return "unread"
    if question is None or question.rule != "choice":
        return "wrong"
    if one.taken not in LETTERS[: len(question.options)]:
        return "unread"
    return "unread" if guesses and marking.mark(question, one.said).outcome == "unread" else "wrong"


def _turns(prompt: Any) -> Any:
    """Turns as they are sent, of turns as OpenCompass keeps them."""
    if not isinstance(prompt, list):
        return prompt
    return [
        {"role": ROLES.get(str(turn.get("role")), turn.get("role")), "content": turn.get("prompt", turn.get("content"))}
        for turn in prompt
        if isinstance(turn, dict)
    ]


def _last(prompt: Any) -> str:
    """The question of a prompt: its last turn."""
    turns = _turns(prompt)
    return str(turns[-1]["content"]) if isinstance(turns, list) and turns else str(prompt)
