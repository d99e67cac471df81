"""Whether one run is better than another: the same questions, the difference with its interval, and a sentence that says no more than they show.

The first run is compared with each other one. What cannot be compared says why: another evaluator marks in its own way, another version of the set
asks something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.errors import DataError, PanelError
from backend.evaluate import comparing_reasons as reasons
from backend.evaluate import groups, statistics
from backend.evaluate.pairing import Counts, Pairs
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore
from backend.i18n import N_

__all__ = ["Comparison", "Counts", "Pair", "Pairs", "Row", "compare", "worse"]

Verdict = Literal["better", "worse", "same_within", "too_few", "no_interval", "refused"]
"""no_interval: only scores are there, nobody can tell what chance does. refused: not comparable."""
SURE = 0.05
FINE = 0.05
"""A number of questions that cannot show five points is too small to say that two are alike."""
MANY = 10
"""From so many subjects on some stand out by chance alone."""


@dataclass(frozen=True)
class Row:
    """One subject, or all together. a, b: percent right of the same questions; of runs without answers their scores. counts: None without answers.
    low, high: 95 % interval of the difference in points. p: of the sign test."""

    subject: str
    a: float | None
    b: float | None
    counts: Counts | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def n(self) -> int | None:
        return self.counts.n if self.counts else None

    @property
    def difference(self) -> float | None:
        """Points that the second has more; None where one has no score."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def sure(self) -> int:
        """1 better, -1 worse, beyond what chance explains; else 0."""
        return self._side if self.p is not None and self.p < SURE else 0

    @property
    def leaning(self) -> int:
        """1 better, -1 worse, where the interval says so and the sign test does not bear it out; else 0."""
        return 0 if self.sure else self._side

    @property
    def _side(self) -> int:
        """The side of zero that the interval lies on; 0 where it holds zero, or there is none."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return 0
        return 1 if self.low > 0 else -1


@dataclass(frozen=True)
class Pair:
    """The first run and another. all: over all shared questions. only_a, only_b: questions that the other was not asked. smallest: points that so many
    questions could show. needed: questions that would show the difference that was seen. refused: why they are not compared; notices: what else is
    to be known (both :meth:`PanelError.to_dict`)."""

    a: Run
    b: Run
    all: Row
    subjects: tuple[Row, ...] = ()
    verdict: Verdict = "refused"
    only_a: int = 0
    only_b: int = 0
    smallest: float | None = None
    needed: int | None = None
    refused: Mapping[str, Any] | None = None
    notices: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """runs: in the order in which they were named. pairs: the first with each other."""

    runs: tuple[Run, ...]
    pairs: tuple[Pair, ...]


def compare(store: EvaluateStore, run_ids: Sequence[int], subjects: Sequence[str] | None = None) -> Comparison:
    """The first of ``run_ids`` with each other one, over ``subjects`` or all.

    Raises:
        DataError: ``compare_one``. NotFoundError: ``evaluation_unknown``.
    """
    if len(run_ids) < 2:
        raise DataError(
            "compare_one",
            N_("One evaluation alone cannot be compared."),
            N_("Choose a second one of the same questions."),
        )
    runs = [store.run(run_id) for run_id in run_ids]
    first = store.scores(run_ids[0])
    return Comparison(tuple(runs), tuple(_pair(store, runs[0], other, first, subjects) for other in runs[1:]))


def worse(pair: Pair) -> list[Row]:
    """The subjects that got worse beyond chance, the worst first. The questions: ``store.different(a, b, "a_only", subject=…)``."""
    return sorted((row for row in pair.subjects if row.sure < 0), key=lambda row: row.difference or 0.0)


def row(subject: str, counts: Counts) -> Row:
    """The figures of ``counts``."""
    interval = counts.interval
    if interval is None:
        return Row(subject, None, None, counts)
    return Row(
        subject,
        100 * counts.a_right / counts.n,
        100 * counts.b_right / counts.n,
        counts,
        100 * interval[0],
        100 * interval[1],
        statistics.sign_test(counts.a_only, counts.b_only),
    )


def verdict(found: Row) -> Verdict:
    """What the questions of ``found`` show."""
    if found.counts is None:
        return "no_interval"
    if found.sure:
        return "better" if found.sure > 0 else "worse"
    differ = found.counts.a_only + found.counts.b_only
    return "same_within" if statistics.smallest_shown(differ, found.counts.n) <= FINE else "too_few"


def _pair(store: EvaluateStore, a: Run, b: Run, first: Sequence[Score], subjects: Sequence[str] | None) -> Pair:
    refused = reasons.refusal(a, b)
    if refused is not None:
        return Pair(a, b, Row("", None, None), refused=refused.to_dict())
    notices = reasons.differences(a, b)
    one, other = groups.main(first), groups.main(store.scores(b.id))
    changed = [name for name in one if name in other and _told_apart(one[name].version, other[name].version)]
    if changed:
        notices.append(reasons.other_prompts(changed))
        subjects = [name for name in subjects or one if name not in changed]
    pairs = store.pairs(a.id, b.id, subjects)
    if pairs.all.n:
        return _by_answers(a, b, pairs, notices)
    if pairs.only_a and pairs.only_b:
        return Pair(
            a,
            b,
            Row("", None, None),
            only_a=pairs.only_a,
            only_b=pairs.only_b,
            refused=reasons.nothing_shared().to_dict(),
            notices=_dicts(notices),
        )
    return _by_scores(
        a, b, [(each, other[name]) for name, each in one.items() if _asked(name, other, subjects)], notices
    )


def _by_answers(a: Run, b: Run, pairs: Pairs, notices: list[PanelError]) -> Pair:
    found = row("", pairs.all)
    differ = pairs.all.a_only + pairs.all.b_only
    if len(pairs.subjects) >= MANY:
        notices.append(reasons.by_chance(len(pairs.subjects), SURE))
    if pairs.only_a or pairs.only_b:
        notices.append(reasons.not_shared(pairs))
    return Pair(
        a,
        b,
        found,
        tuple(row(name, counts) for name, counts in pairs.subjects.items()),
        verdict(found),
        pairs.only_a,
        pairs.only_b,
        100 * statistics.smallest_shown(differ, pairs.all.n),
        statistics.needed(pairs.all.difference, differ, pairs.all.n),
        notices=_dicts(notices),
    )


def _by_scores(a: Run, b: Run, shared: Sequence[tuple[Score, Score]], notices: list[PanelError]) -> Pair:
    """Two runs of which one is known by its scores alone."""
    rows = tuple(Row(one.subject, one.value, other.value) for one, other in shared if one.metric == other.metric)
    told = [each for each in rows if each.difference is not None]
    if not told:
        return Pair(
            a, b, Row("", None, None), rows, refused=reasons.nothing_shared().to_dict(), notices=_dicts(notices)
        )
    mean_a, mean_b = (sum(values) / len(told) for values in ([r.a or 0.0 for r in told], [r.b or 0.0 for r in told]))
    notices.append(reasons.no_answers())
    return Pair(a, b, Row("", mean_a, mean_b), rows, "no_interval", notices=_dicts(notices))


def _asked(name: str, other: Mapping[str, Score], subjects: Sequence[str] | None) -> bool:
    return name in other and (subjects is None or name in subjects)


def _told_apart(one: str, other: str) -> bool:
    """Whether two versions are known and not the same."""
    return bool(one and other and one != other)


def _dicts(notices: Sequence[PanelError]) -> tuple[dict[str, Any], ...]:
    return tuple(each.to_dict() for each in notices)
