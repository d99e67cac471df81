"""What is read out of an answer, and whether it is right. The same answer is always marked the same way; only ``judge`` needs a model.

An answer out of which nothing can be read is *unread*, which is not the same as wrong: the model may know it and say it in a way that
nobody asked for. The score counts it as not right all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from backend.errors import DataError
from backend.evaluate import patterns
from backend.evaluate.choosing import chosen, occurrence, plain
from backend.evaluate.questions import Question
from backend.evaluate.records import Outcome

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_HAN_GAP = re.compile(r"(?<=[\u3040-\u9fff]) (?=[\u3040-\u9fff])")
_ENDS = " \t\n.,;:!?。，、；：！？"
_QUOTES = "\"'“”‘’「」《》"


@dataclass(frozen=True)
class Marked:
    """taken: what was read out of the answer: a letter, the text that was compared, what a pattern found; empty where nothing was. note: why it is
    unread, where there is more to say than that (``PanelError.to_dict``)."""

    taken: str
    outcome: Outcome
    note: dict[str, Any] = field(default_factory=dict)


def mark(question: Question, said: str) -> Marked:
    """What ``said`` is worth. For the rule ``judge`` only what the judge is to read is taken; its outcome comes from
    :mod:`backend.evaluate.judging`, and is ``unread`` until then."""
    text = plain(said)
    if question.rule == "choice":
        letter = chosen(said, question.options)
        return Marked(letter, "unread" if not letter else _outcome(letter == question.answer.strip().upper()))
    if not text or question.rule == "judge":
        return Marked(text, "unread")
    if question.rule == "exact":
        return Marked(text, _outcome(any(same(text, each) for each in solutions(question))))
    if question.rule == "contains":
        found = next((each for each in solutions(question) if contains(text, each)), "")
        return Marked(found or text, _outcome(bool(found)))
    return _by_pattern(question, said)


def solutions(question: Question) -> tuple[str, ...]:
    """All that counts as right."""
    return (question.answer, *question.accept)


def same(a: str, b: str) -> bool:
    """Whether two texts are the same but for width, case, blanks, and punctuation around them; numbers by their value."""
    a, b = normal(a), normal(b)
    if a == b:
        return True
    one, other = _number(a), _number(b)
    return one is not None and one == other


def contains(text: str, wanted: str) -> bool:
    """Whether ``wanted`` occurs in ``text``; Latin words and numbers only as whole ones."""
    wanted = normal(wanted)
    return bool(wanted) and occurrence(wanted).search(_unified(text)) is not None


def normal(text: str) -> str:
    """``text`` as it is compared."""
    text = _unified(text).strip(_ENDS)
    while len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip(_ENDS)
    return text


def _unified(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return _HAN_GAP.sub("", " ".join(text.split()))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _by_pattern(question: Question, said: str) -> Marked:
    text = said.strip()
    try:
        found = _first(solutions(question), text)
    except DataError as error:
        return Marked("", "unread", error.to_dict())
    return Marked(found if found is not None else text, _outcome(found is not None))


def _first(wanted: Iterable[str], text: str) -> str | None:
    for pattern in wanted:
        found = patterns.search(pattern, text)
        if found is not None:
            return found
    return None


def _outcome(right: bool) -> Outcome:
    return "right" if right else "wrong"
