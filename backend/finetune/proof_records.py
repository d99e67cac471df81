"""What was measured to tell whether a fine-tuning worked, and which verdict it carries; the words are in :mod:`backend.finetune.proof`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.finetune import intervals

VERDICTS = ("learned", "learned_a_little", "no_difference", "worse", "unknown", "forgot")
LEAST = 10
"""Fewer questions than this carry no verdict, whatever their answers."""
FEW = 30
"""Fewer than this are said to be few."""
RIGHT = 0.75
"""Share of held-out questions that a model which learned answers right."""
KNEW = 0.9
"""Share above which the base is said to have known it already."""
FELL = 0.2
"""Part of the base's loss that has to be gone, at the interval's weaker end, where the loss alone says that it learned."""
FORGOT = 0.05
"""An alarm for more than so much of the general slice, where the interval lies below 0, too."""


@dataclass(frozen=True)
class Answer:
    """One question and both answers. part: ``questions`` or ``general``. *_right: None where it cannot be told. *_ended: the
    model ended the answer by itself, before the limit. distance: of the question's words from the taught ones, ``near``, ``far`` or
    not said."""

    part: str
    language: str
    question: str
    expected: str
    base: str
    tuned: str
    base_right: bool | None
    tuned_right: bool | None
    base_ended: bool = True
    tuned_ended: bool = True
    distance: str = ""


@dataclass(frozen=True)
class Tally:
    """Questions whose answers can be told right from wrong, asked of both. base, tuned, both: how many were right. low, high:
    95 % interval of the difference of the shares, tuned minus base."""

    n: int
    base: int
    tuned: int
    both: int
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Share of the tuned model minus that of the base, -1 to 1."""
        return (self.tuned - self.base) / self.n


@dataclass(frozen=True)
class Part:
    """Questions of one kind. split: of the dataset; ``general`` for the slice. asked: of ``there``, of both models; the rest
    was left out for the time. tally: None where no answer can be told. base_endless, tuned_endless: answers that ran to the limit.
    distances: ``near`` and ``far`` apart, where rows say how far their words are from the taught ones; near_languages: of ``near``."""

    split: str
    asked: int
    there: int
    tally: Tally | None = None
    languages: dict[str, Tally] = field(default_factory=dict)
    base_endless: int = 0
    tuned_endless: int = 0
    distances: dict[str, Tally] = field(default_factory=dict)
    near_languages: dict[str, Tally] = field(default_factory=dict)

    @property
    def judged(self) -> Tally | None:
        """What a verdict rests on: questions in the words that people use, where these are told apart and enough."""
        near = self.distances.get("near")
        return near if near is not None and near.n >= LEAST else self.tally

    @property
    def judged_languages(self) -> dict[str, Tally]:
        """The same by language."""
        return self.near_languages if self.judged is not self.tally else self.languages


@dataclass(frozen=True)
class Losses:
    """Loss of the same rows, in nats per learned token. low, high: 95 % interval of tuned minus base; None for too few rows."""

    split: str
    rows: int
    tokens: int
    base: float
    tuned: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Proof:
    """Whether it worked. verdicts: of :data:`VERDICTS`, the main one first; ``forgot`` may follow. step: of the state that was
    asked. seconds: that it took. made: epoch seconds. problem: why it could not be checked, as ``PanelError.to_dict`` has it."""

    verdicts: tuple[str, ...] = ("unknown",)
    questions: Part | None = None
    loss: Losses | None = None
    general: Part | None = None
    answers: tuple[Answer, ...] = ()
    step: int = 0
    seconds: float = 0.0
    made: float = 0.0
    device: str = ""
    problem: dict[str, Any] | None = None


def part(split: str, answers: Sequence[Answer], there: int) -> Part:
    """Count ``answers`` of one kind, of ``there`` questions."""
    near = [one for one in answers if one.distance == "near"]
    return Part(
        split,
        len(answers),
        there,
        tally(answers),
        _tallies(answers, lambda one: one.language),
        sum(not one.base_ended for one in answers),
        sum(not one.tuned_ended for one in answers),
        _tallies([one for one in answers if one.distance], lambda one: one.distance),
        _tallies(near, lambda one: one.language),
    )


def _tallies(answers: Sequence[Answer], kind: Callable[[Answer], str]) -> dict[str, Tally]:
    """Kind -> its count, for kinds of which something can be told."""
    kinds = sorted(set(map(kind, answers)))
    found = {name: tally([one for one in answers if kind(one) == name]) for name in kinds}
    return {name: one for name, one in found.items() if one is not None}


def tally(answers: Sequence[Answer]) -> Tally | None:
    """Count those that can be told; None where there are none."""
    told = [(one.base_right, one.tuned_right) for one in answers if None not in (one.base_right, one.tuned_right)]
    if not told:
        return None
    both, neither = told.count((True, True)), told.count((False, False))
    base, tuned = told.count((True, False)), told.count((False, True))
    low, high = intervals.paired(both, base, tuned, neither)
    return Tally(len(told), both + base, both + tuned, both, low, high)


def verdicts(questions: Part | None, loss: Losses | None, general: Part | None) -> tuple[str, ...]:
    """What the numbers carry: the main verdict, and ``forgot`` where that is so, too."""
    asked = questions.judged if questions is not None else None
    main, by_loss = _of_tally(asked), _of_loss(loss)
    if main == "unknown":
        # Of too few questions the loss says more; but not that answers are right.
        main = by_loss
    elif main == "no_difference" and by_loss.startswith("learned") and not knew(asked):
        main = "learned_a_little"
    return (main, "forgot") if forgot(general) else (main,)


def forgot(general: Part | None) -> bool:
    """Whether the general slice is lower by more than chance and more than :data:`FORGOT`."""
    found = general.tally if general is not None else None
    return found is not None and found.n >= LEAST and found.difference < -FORGOT and found.high < 0


def knew(found: Tally | None) -> bool:
    """Whether the base answered nearly all of them right."""
    return found is not None and found.base >= KNEW * found.n


def _of_tally(found: Tally | None) -> str:
    if found is None or found.n < LEAST:
        return "unknown"
    if found.high < 0:
        return "worse"
    if found.low <= 0:
        return "no_difference"
    return "learned" if found.tuned >= RIGHT * found.n else "learned_a_little"


def _of_loss(found: Losses | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "unknown"
    if found.low > 0:
        return "worse"
    if found.high >= 0:
        return "no_difference"
    return "learned" if -found.high >= FELL * found.base else "learned_a_little"
