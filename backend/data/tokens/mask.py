"""What of a row is learned. The one masking of fine-tuning with transformers and peft, and the view of any engine's.

Learned are the answers of the assistant (and what a row's ``loss`` flags say), each with the token that ends it; never what
the model is given to read: the other turns, the line that announces an answer, the blanks after its end. Where the template has
``{% generation %}``, that says what an answer is, as ``return_assistant_tokens_mask`` of transformers takes it. Where not, an
answer is found by rendering the conversation up to it; in a template that writes earlier turns otherwise than the last one, by
rendering it once more with another text in its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from backend.data.rows import Row, trained
from backend.data.tokens import xtuner
from backend.data.tokens.encoded import Encoded, Note, Piece, shares
from backend.data.tokens.model import TokenModel
from backend.data.tokens.template import Renderer, Span, conversation
from backend.errors import DataError

Engine = Literal["peft", "xtuner"]
_MARK = "qzxMARKERxzq"


class Learned(NamedTuple):
    """text: the whole row. spans: what of it is learned, in order."""

    text: str
    spans: list[Span]
    notes: tuple[Note, ...]


def view(model: TokenModel, row: Row, engine: Engine = "peft", cutoff: int | None = None) -> list[Piece]:
    """``row`` token by token as ``engine`` feeds it to the model; at most ``cutoff`` tokens.

    Raises:
        ModelError: there is no template, or it is broken. DataError: the template or the engine refuses the row.
    """
    return pieces(model, encoded(model, row, engine, cutoff))


def encoded(model: TokenModel, row: Row, engine: Engine = "peft", cutoff: int | None = None) -> Encoded:
    """The same, with what is worth knowing about it.

    Raises:
        As :func:`view`.
    """
    return xtuner.encode(model, row, cutoff) if engine == "xtuner" else encode(model, row, cutoff)


def pieces(model: TokenModel, found: Encoded) -> list[Piece]:
    """The tokens of ``found`` one by one."""
    return [
        Piece(token, text, learned, token in model.specials)
        for token, text, learned in zip(found.ids, found.texts, found.trained, strict=True)
    ]


def encode(model: TokenModel, row: Row, cutoff: int | None = None) -> Encoded:
    """``row`` for a fine-tuning with transformers and peft.

    A token is learned where any of its characters is, as in transformers; of a character that takes several tokens, all are.

    Raises:
        As :func:`view`.
    """
    found = learned(model, row)
    encoding = model.tokenizer.encode(found.text, add_special_tokens=False)
    ids, offsets = list(encoding.ids), encoding.offsets
    flags = _overlapping(offsets, found.spans)
    notes = list(found.notes)
    if any(message.get("images") for message in row["messages"]):
        notes.append(Note("images"))
    if cutoff is not None and len(ids) > cutoff:
        notes.append(Note("cut", {"count": len(ids) - cutoff}))
    if not any(flags[:cutoff]):
        notes.append(Note("nothing_learned"))
    return Encoded(ids[:cutoff], shares(found.text, offsets)[:cutoff], flags[:cutoff], len(ids), tuple(notes))


def learned(model: TokenModel, row: Row) -> Learned:
    """``row`` as text, and which characters of it are learned.

    Raises:
        As :func:`view`.
    """
    render, messages = Renderer(model, row), conversation(row)
    wanted = [place for place, message in enumerate(row["messages"]) if trained(message)]
    if render.marks:
        text, spans = render.marked(messages)
        found = _of_wanted(render, row, messages, spans, wanted)
        if found is not None:
            return Learned(text, found, ())
        if spans:
            return Learned(text, spans, (Note("flags_ignored"),))
    else:
        text = render.text(messages)
    notes: list[Note] = []
    spans = []
    for place in wanted:
        span = _by_rendering(model, render, text, messages, place, notes)
        if span is not None and span[1] > span[0]:
            spans.append(span)
    return Learned(text, sorted(spans), tuple(notes))


def _of_wanted(
    render: Renderer, row: Row, messages: list[dict[str, Any]], spans: list[Span], wanted: list[int]
) -> list[Span] | None:
    """Those of ``spans`` that belong to messages that are learned; None where nobody can tell."""
    answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    if not spans or any(place not in answers for place in wanted):
        return None
    if wanted == answers:
        return spans
    if len(spans) == len(answers):
        return [span for place, span in zip(answers, spans, strict=True) if place in wanted]
    found: list[Span] = []
    try:
        before = 0
        for place in answers:
            count = len(render.marked(messages[: place + 1])[1])
            found += spans[before:count] if place in wanted else []
            before = count
    except DataError:
        return None
    return found if before == len(spans) else None


def _by_rendering(
    model: TokenModel, render: Renderer, text: str, messages: list[dict[str, Any]], place: int, notes: list[Note]
) -> Span | None:
    """Where message ``place`` stands in ``text``."""
    turn = place + 1
    if messages[place]["role"] != "assistant":
        # What is announced as another's is no part of what is said.
        span = _by_replacing(model, render, text, messages, place)
        if span is None:
            notes.append(Note("not_found", {"turn": turn}))
        return span
    try:
        through = render.text(messages[:turn])
        plain = render.text(messages[:place]) if place else ""
        prompt = render.text(messages[:place], prompt=True)
    except DataError:
        through = plain = prompt = ""
    if through and text.startswith(through) and through.startswith(plain):
        begin = _common(prompt, text)
        if len(plain) <= begin < len(through):
            if begin < len(prompt):
                notes.append(Note("prompt_differs", {"turn": turn, "prompt": prompt[len(plain) :].strip()}))
            return begin, _without_blanks(model, through, begin)
    span = _by_replacing(model, render, text, messages, place)
    if span is None:
        notes.append(Note("not_found", {"turn": turn}))
    elif through:
        notes.append(Note("rewrites", {"turn": turn}))
    return span


def _common(one: str, other: str) -> int:
    """How many characters they begin with in common."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _without_blanks(model: TokenModel, through: str, begin: int) -> int:
    """The end of an answer: blanks after the token that ends it belong to the layout."""
    end = len(through.rstrip())
    ended = end < len(through) and any(through.endswith(one, begin, end) for one in model.ends)
    return end if ended else len(through)


def _by_replacing(
    model: TokenModel, render: Renderer, text: str, messages: list[dict[str, Any]], place: int
) -> Span | None:
    """The same by the text around it, with the token that ends it."""
    if not str(messages[place].get("content") or "").strip() or _MARK in text:
        return None
    other = [*messages[:place], {**messages[place], "content": _MARK}, *messages[place + 1 :]]
    try:
        before, mark, after = render.text(other).partition(_MARK)
    except DataError:
        return None
    begin, end = len(before), len(text) - len(after)
    if not mark or _MARK in after or end < begin or not text.startswith(before) or not text.endswith(after):
        return None
    close = re.match(r"\s*(?:" + "|".join(map(re.escape, sorted(model.ends, key=len, reverse=True))) + ")", after)
    return begin, end + (close.end() if close else 0)


def _overlapping(offsets: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[bool]:
    """Whether each token has a character in one of ``spans``, which are in order."""
    found, at = [], 0
    for begin, end in offsets:
        while at < len(spans) and spans[at][1] <= begin:
            at += 1
        found.append(at < len(spans) and begin < end and spans[at][0] < end)
    return found
