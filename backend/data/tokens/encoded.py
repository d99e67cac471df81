"""A row as an engine feeds it to the model: tokens, and which of them are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.i18n import N_, _

IGNORE = -100
"""The label of a token that is not learned (``IGNORE_INDEX``, torch's cross entropy)."""


@dataclass(frozen=True)
class Piece:
    """One token. id: its number. text: its share of the text; empty where a character's earlier token has it. trained: it
    is learned. special: it is no text, such as the end of a turn."""

    id: int
    text: str
    trained: bool
    special: bool


NOTES = {
    "rewrites": N_(
        "The template writes answer {turn} otherwise once the conversation goes on. What is learned there is its text as it "
        "stands in the whole conversation."
    ),
    "prompt_differs": N_(
        "When this model answers, answer {turn} begins after “{prompt}”; in the row it begins otherwise. It learns from the "
        "first place where they differ."
    ),
    "not_found": N_("Message {turn} is not to be found in what the template makes of the row, so it is not learned."),
    "flags_ignored": N_(
        "The template says by itself what is learned, and not which message it belongs to: flags of single messages do "
        "not count here."
    ),
    "images": N_("Pictures become further tokens that are not counted here."),
    "no_answer": N_("No token of this row is learned; XTuner leaves such rows out."),
    "nothing_learned": N_("No token of this row is learned."),
    "answers_skipped": N_("XTuner skips answers before the first question."),
    "questions_dropped": N_("XTuner leaves out what follows the last answer."),
    "tools_dropped": N_("XTuner does not show the functions (tools) to the model."),
    "calls_dropped": N_("XTuner leaves the calls of functions out: it reads only the text of an answer."),
    "flags_of_others": N_("XTuner learns answers only: flags on other messages do not count."),
    "cut": N_("{count} tokens at the end are cut off."),
}
"""What is worth knowing about a row and an engine: code -> sentence."""


@dataclass(frozen=True)
class Note:
    """One of :data:`NOTES`."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def message(self) -> str:
        return _(NOTES[self.code]).format(**self.values)


@dataclass(frozen=True)
class Encoded:
    """A row for one engine. ids, texts, trained: of each token, cut off at the limit. total: tokens before that."""

    ids: list[int]
    texts: list[str]
    trained: list[bool]
    total: int
    notes: tuple[Note, ...] = ()

    @property
    def labels(self) -> list[int]:
        """What a training is given: the token where it is learned, else -100."""
        return [token if learned else IGNORE for token, learned in zip(self.ids, self.trained, strict=True)]


def shares(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """The text's share of each token; joined they are the text again."""
    pieces, at = list[str](), 0
    for _begin, end in offsets:
        pieces.append(text[at : max(at, end)])
        at = max(at, end)
    return [*pieces[:-1], pieces[-1] + text[at:]] if pieces else pieces
