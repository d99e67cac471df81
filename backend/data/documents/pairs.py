"""Questions and answers in what a model said: as JSON, also where it is cut off or wrapped, or as plain ``Q: … A: …``.

Small models rarely keep to one form, so each is tried; what holds neither is told by an empty list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KEYS = {
    "question": ("question", "q", "instruction", "prompt", "问题", "问", "提问"),
    "answer": ("answer", "a", "output", "response", "答案", "回答", "答"),
    "quote": ("quote", "source", "evidence", "citation", "context", "原文", "引用", "出处", "引文"),
}
_PLAIN = {
    "question": r"questions?|q|问题|问|提问",
    "answer": r"answers?|a|答案|回答|答",
    "quote": r"quotes?|source|evidence|原文|引用|出处|引文",
}
_LABEL = re.compile(
    r"^[\s>*#\-]*(?:\d+\s*[.)、．]\s*)?\**(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _PLAIN.items())
    + r")\s*\d*\s*\**\s*[:：]\s*\**",
    re.IGNORECASE | re.MULTILINE,
)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Pair:
    """One question with its answer and the sentence that proves it, as the model wrote them."""

    question: str = ""
    answer: str = ""
    quote: str = ""


def parse(said: str) -> list[Pair]:
    """The pairs in an answer, in their order; a part that is missing is empty."""
    text = _THOUGHT.sub("", said)
    found = [pair for item in _objects(text) if (pair := _pair(item)) is not None]
    return found or [pair for pair in _plain(text) if pair.question or pair.answer]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in ``text`` that has a question in it, also inside of others; what is cut off is left out."""
    decoder = json.JSONDecoder(strict=False)
    place = text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield from _within(value)
        place = text.find("{", end)


def _within(value: Any) -> Iterator[dict[str, Any]]:
    held = [value]
    while held:
        each = held.pop(0)
        if isinstance(each, dict) and _said(each, "question") is not None:
            yield each
        elif isinstance(each, dict):
            held += each.values()
        elif isinstance(each, list):
            held += each


def _said(item: dict[str, Any], name: str) -> str | None:
    lower = {str(key).strip().lower(): value for key, value in item.items()}
    for key in _KEYS[name]:
        if isinstance(value := lower.get(key), str | int | float):
            return str(value).strip()
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return " ".join(value).strip()
    return None


def _pair(item: dict[str, Any]) -> Pair | None:
    parts = {name: _said(item, name) or "" for name in _KEYS}
    return Pair(**parts) if parts["question"] or parts["answer"] else None


def _plain(text: str) -> Iterator[Pair]:
    """Labels at the beginnings of lines; what follows a label, up to the next one, belongs to it."""
    labels = list(_LABEL.finditer(text))
    held: dict[str, str] = {}
    for number, label in enumerate(labels):
        name = str(label.lastgroup)
        end = labels[number + 1].start() if number + 1 < len(labels) else len(text)
        if name == "question" and held:
            yield Pair(**held)
            held = {}
        held.setdefault(name, _cleaned(text[label.end() : end]))
    if held.keys() & {"question", "answer"}:
        yield Pair(**held)


def _cleaned(text: str) -> str:
    lines = [line.strip() for line in text.strip().split("\n")]
    # A line of dashes, and the number of the next pair, are no part of this one.
    while lines and re.fullmatch(r"[-*_=`\s]*|\**\d+[.)、]\**|#+\s*\S{0,20}\s*\d+", lines[-1]):
        lines.pop()
    return "\n".join(lines).strip().strip("*").strip()
