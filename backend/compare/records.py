"""A comparison as it is stored and shown: contenders, turns with one answer each, and the verdict on a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.chat.params import ChatParams
from backend.chat.records import Message

MOST = 4
"""Contenders of one comparison: more columns cannot be read."""
LETTERS = "ABCD"
BETTER, TIE, BAD = "better", "tie", "both_bad"


@dataclass(frozen=True)
class Contender:
    """A model and how it is asked. The seed of ``params`` does not count: the turn has one for all."""

    model: str
    params: ChatParams = field(default_factory=ChatParams)


@dataclass(frozen=True)
class Comparison:
    """One comparison; times are epoch seconds. ``columns``: the conversation of each contender, in the same order.

    seed: of the newest turn. blind: the names are hidden until the first vote, or until ``revealed``.
    """

    id: str
    title: str
    contenders: tuple[Contender, ...]
    columns: tuple[str, ...]
    seed: int
    blind: bool
    revealed: bool
    created: float
    updated: float

    @property
    def hidden(self) -> bool:
        """Whether the person must not know yet who is who."""
        return self.blind and not self.revealed


@dataclass(frozen=True)
class Vote:
    """The verdict on one turn. verdict: ``better`` (``winner`` is the column), ``tie`` or ``both_bad``.

    blind: cast while the names were hidden.
    """

    verdict: str
    winner: int | None = None
    reason: str = ""
    blind: bool = False
    created: float = 0.0


@dataclass(frozen=True)
class Turn:
    """One prompt and the answers to it, by column; None in a column that was not asked (its panel died before)."""

    id: int
    prompt: str
    seed: int
    answers: tuple[Message | None, ...]
    vote: Vote | None = None

    @property
    def running(self) -> bool:
        return any(answer is not None and answer.running for answer in self.answers)

    @property
    def votable(self) -> bool:
        """Whether there are answers to choose from: all ended, and somebody said something."""
        return not self.running and sum(bool(answer and answer.content) for answer in self.answers) > 0


def labels(contenders: Sequence[Contender]) -> list[str]:
    """A name for each: its model; with the settings in which they differ, where a model is there more than once.

    ``starter (temperature=0.2)``: in the API's words, because they are stored with the votes.
    """
    names = []
    for contender in contenders:
        same = [other for other in contenders if other.model == contender.model]
        own = _settings(contender)
        differing = [
            f"{name}={_short(value)}"
            for name, value in own.items()
            if any(_settings(other)[name] != value for other in same)
        ]
        names.append(f"{contender.model} ({', '.join(differing)})" if differing else contender.model)
    return names


def _settings(contender: Contender) -> dict[str, Any]:
    return contender.params.model_dump(exclude={"seed"})


def _short(value: Any) -> str:
    if isinstance(value, str):
        line = " ".join(value.split())
        return f'"{line[:23]}…"' if len(line) > 24 else f'"{line}"'
    return f"{value:g}" if isinstance(value, float) else str(value)
