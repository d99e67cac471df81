"""Which pairs become rows: those with a question, an answer, and a quote that stands in the chunk; each question once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backend.data.documents import prompts, quoting
from backend.data.documents.document import Chunk
from backend.data.documents.pairs import Pair
from backend.data.rows import Row
from backend.i18n import N_

REASONS = {
    "pair_none": N_("The model's answer holds no question with an answer."),
    "pair_no_question": N_("There is no question."),
    "pair_no_answer": N_("There is no answer."),
    "pair_copied": N_("It is the example of the instructions, not a question about the text."),
    "pair_language": N_("It is in another language than the one asked for."),
    "pair_no_quote": N_("It names no sentence of the text, and the answer does not stand in the text word for word."),
    "pair_quote_missing": N_("The quote does not stand in the text."),
    "pair_twice": N_("The same question is there already."),
    "chunk_too_long": N_("The passage and the instructions are longer than what the model can read at once."),
    "chunk_refused": N_("The model's server refused the request."),
}
"""Why a pair, or a whole chunk, became no row; the stored codes."""


@dataclass(frozen=True)
class Refused:
    """A pair that became no row, or (``pair`` None) a chunk that gave none. said: what the model wrote, or the server."""

    code: str
    chunk: int
    pair: Pair | None = None
    said: str = ""

    @property
    def message(self) -> str:
        return REASONS[self.code]

    @property
    def text(self) -> str:
        """What is kept of it, for a person to read."""
        if self.pair is None:
            return self.said[:2000]
        parts = (("Q", self.pair.question), ("A", self.pair.answer), ("Quote", self.pair.quote))
        return "\n".join(f"{label}: {part}" for label, part in parts if part)[:2000]


class Checker:
    """Judges pairs, and remembers which questions it has seen."""

    def __init__(self, model: str, questions: Iterable[str] = ()) -> None:
        self.model = model
        self._seen = {quoting.key(question) for question in questions}

    def check(self, chunk: Chunk, pair: Pair, language: prompts.Language) -> Row | Refused:
        """The row that ``pair`` becomes, or why it becomes none."""
        question, answer = pair.question.strip(), pair.answer.strip()
        if code := _missing(question, answer):
            return Refused(code, chunk.number, pair)
        if prompts.language_of(f"{question} {answer}") != language:
            return Refused("pair_language", chunk.number, pair)
        # Small models forget the quote; an answer that is itself a sentence of the text needs none.
        place = quoting.find(pair.quote or answer, chunk.text)
        if place is None:
            return Refused("pair_quote_missing" if pair.quote else "pair_no_quote", chunk.number, pair)
        known = quoting.key(question)
        if known in self._seen:
            return Refused("pair_twice", chunk.number, pair)
        self._seen.add(known)
        return _row(chunk, question, answer, place, self.model)


def _missing(question: str, answer: str) -> str:
    if not any(map(str.isalnum, question)):
        return "pair_copied" if set(question) & set("….") else "pair_no_question"
    if not any(map(str.isalnum, answer)):
        return "pair_copied" if set(answer) & set("….") else "pair_no_answer"
    return "pair_no_answer" if quoting.key(question) == quoting.key(answer) else ""


def _row(chunk: Chunk, question: str, answer: str, place: tuple[int, int], model: str) -> Row:
    at = chunk.start + place[0], chunk.start + place[1]
    meta: dict[str, Any] = {
        "source": chunk.source,
        "quote": chunk.text[place[0] : place[1]],
        "at": list(at),
        "chunk": chunk.number,
        "model": model,
        "reviewed": False,
    }
    if (page := chunk.page_at(at[0])) is not None:
        meta["page"] = page
    if chunk.heading:
        meta["heading"] = " › ".join(chunk.heading)
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "meta": meta,
    }
