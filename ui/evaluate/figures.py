"""What a run comes to in figures: right answers of those that count, how sure the share is, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.evaluate import comparing_words
from backend.evaluate.records import Score, Tally
from backend.finetune.intervals import wilson
from backend.i18n import _

SMALL = 30
"""Of fewer questions an interval is so wide that the number alone says next to nothing."""


@dataclass(frozen=True)
class Headline:
    """share: right answers of those that count, in percent; None where nothing is known. low, high: its 95 % interval after Wilson, None
    where the number of questions is not known. right, n: what it rests on. unread, failed: None where nobody counted them. planned: questions
    that were to be asked. cells, missing: scores that were to be, and those that are not."""

    share: float | None = None
    low: float | None = None
    high: float | None = None
    right: int | None = None
    n: int | None = None
    unread: int | None = None
    failed: int | None = None
    planned: int | None = None
    cells: int = 0
    missing: int = 0

    @property
    def interval(self) -> str:
        """``56.1–73.0``; empty where it is not known."""
        return "" if self.low is None or self.high is None else f"{self.low:.1f}–{self.high:.1f}"

    @property
    def unread_share(self) -> float:
        """Of the answers that count, 0 to 1."""
        return (self.unread or 0) / self.n if self.n else 0.0

    def said(self) -> str:
        """``65.0 %``; a dash where there is no number."""
        return "–" if self.share is None else f"{self.share:.1f} %"


def headline(scores: Sequence[Score], tallies: Sequence[Tally] = ()) -> Headline:
    """Of the answers where there are any, else of what was reported."""
    single = [score for score in scores if not score.group]
    missing = sum(score.value is None for score in single)
    counted = sum(tally.counted for tally in tallies)
    if counted:
        right = sum(tally.right for tally in tallies)
        low, high = wilson(right, counted)
        return Headline(
            100 * right / counted,
            100 * low,
            100 * high,
            right,
            counted,
            sum(tally.unread for tally in tallies),
            sum(tally.failed for tally in tallies),
            sum(tally.planned for tally in tallies),
            len(single),
            missing,
        )
    return _reported(single, missing)


def _reported(single: Sequence[Score], missing: int) -> Headline:
    """Of scores without answers: weighted by their questions where all of them say how many, else their plain mean."""
    known = [(score.value, score.n) for score in single if score.value is not None and score.metric == "accuracy"]
    if not known:
        return Headline(cells=len(single), missing=missing)
    if all(n for _value, n in known):
        n = sum(n or 0 for _value, n in known)
        right = sum(round(value * (n or 0) / 100) for value, n in known)
        low, high = wilson(right, n)
        return Headline(100 * right / n, 100 * low, 100 * high, right, n, planned=n, cells=len(single), missing=missing)
    mean = sum(value for value, _n in known) / len(known)
    return Headline(mean, cells=len(single), missing=missing)


def wilson_percent(right: int, n: int) -> tuple[float, float] | None:
    """The 95 % interval of ``right`` of ``n`` in percent; None without questions."""
    if n <= 0:
        return None
    low, high = wilson(min(right, n), n)
    return 100 * low, 100 * high


def percent(value: float | None) -> str:
    """``65.0``; a dash where there is none."""
    return "–" if value is None else f"{value:.1f}"


def points(value: float) -> str:
    """A difference with its sign: ``+10.8``."""
    return comparing_words.points(value)


def rests_on(found: Headline) -> str:
    """``78 of 120 right``; what an import says of it."""
    if found.n is None or found.right is None:
        return _("the number of questions is not known") if found.share is not None else _("no answer yet")
    return _("{right} of {n} right").format(right=f"{found.right:,}", n=f"{found.n:,}")
