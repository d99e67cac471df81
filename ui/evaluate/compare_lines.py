"""What a comparison draws: the rows of its table, the bars, the axes; made of the runs' scores and of what they share question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.evaluate import groups
from backend.evaluate.comparing import Pair, Row
from backend.evaluate.records import Run, Score
from backend.i18n import _
from ui.evaluate import compare_maps as evaluate_compare_maps
from ui.evaluate import figures as evaluate_figures
from ui.evaluate.compare_chart import Bar
from ui.evaluate.compare_table import Line
from ui.evaluate.figures import Headline


@dataclass(frozen=True)
class Side:
    """One run of a comparison. scores: with the averages of its groups. pair: with the first run, None of the first one
    itself. place: in the choice, which gives it its letter and its colour."""

    run: Run
    label: str
    scores: Sequence[Score]
    headline: Headline
    pair: Pair | None = None
    place: int = 0

    @property
    def letter(self) -> str:
        return self.label.split(" ")[0]

    def values(self, *, averages: bool) -> dict[str, float | None]:
        """Subject -> score, of single subjects or of the averages."""
        return {
            _name(self.run, score): score.value
            for score in self.scores
            if score.group == averages and not _twice(self.run, score)
        }


def lines(sides: Sequence[Side]) -> list[Line]:
    """All questions, the averages, then the subjects, in the order of the first run."""
    found = [_all(sides)]
    for averages in (True, False):
        values = [side.values(averages=averages) for side in sides]
        counts = [
            {_name(side.run, score): score.n for score in side.scores if score.group == averages} for side in sides
        ]
        for name in dict.fromkeys(name for each in values for name in each):
            row = tuple(each.get(name) for each in values)
            away = tuple(
                _away(side, name, row[0], row[place], averages) if place else None for place, side in enumerate(sides)
            )
            found.append(Line(name, row, away, _asked([each.get(name) for each in counts if name in each]), averages))
    return found


def bars(sides: Sequence[Side]) -> list[tuple[int, Bar]]:
    """The accuracy of each run that has one, with its interval; and the run's place."""
    found = [(side.place, side.headline, side.label) for side in sides]
    return [
        (place, Bar(label, headline.share, headline.low, headline.high, _said(headline)))
        for place, headline, label in found
        if headline.share is not None
    ]


def by_subject(side: Side) -> list[Bar]:
    """The difference of that run from the first in each subject that both answered, the largest gain first."""
    found = [difference(row.subject, row) for row in (side.pair.subjects if side.pair else ()) if row.n]
    return sorted((bar for bar in found if bar is not None), key=lambda bar: -bar.value)


def axes(sides: Sequence[Side]) -> tuple[list[str], list[list[float | None]]]:
    """(names, the scores of each run) for a radar: the averages where there are enough for a shape, else the subjects; those that all runs have."""
    for averages in (True, False):
        values = [side.values(averages=averages) for side in sides]
        names = [name for name in values[0] if all(each.get(name) is not None for each in values)]
        if evaluate_compare_maps.FEWEST_AXES <= len(names) <= evaluate_compare_maps.MOST_AXES:
            return names, [[each[name] for name in names] for each in values]
    return [], []


def cells(sides: Sequence[Side]) -> tuple[list[str], list[list[float | None]]]:
    """(subjects, the scores of each run) for a heat map."""
    values = [side.values(averages=False) for side in sides]
    names = list(dict.fromkeys(name for each in values for name in each))
    return names, [[each.get(name) for name in names] for each in values]


def difference(label: str, row: Row) -> Bar | None:
    """How many points the second has more, as a bar; without an interval where only scores are there; None without any."""
    value, counts = row.difference, row.counts
    if value is None:
        return None
    if counts is None or row.low is None or row.high is None:
        return Bar(label, value)
    said = _("{difference} points ({low} to {high}), {b} of {n} against {a}").format(
        difference=evaluate_figures.points(value),
        low=evaluate_figures.points(row.low),
        high=evaluate_figures.points(row.high),
        a=f"{counts.a_right:,}",
        b=f"{counts.b_right:,}",
        n=f"{counts.n:,}",
    )
    return Bar(label, value, row.low, row.high, said, row.sure)


def _all(sides: Sequence[Side]) -> Line:
    """The accuracy over all questions of each run, and how far it is from the first over those that both answered."""
    away = [difference(_("All questions"), side.pair.all) if side.pair else None for side in sides]
    counts = [side.headline.n for side in sides]
    return Line(
        _("All questions"),
        tuple(side.headline.share for side in sides),
        tuple(away),
        _asked(counts),
        True,
    )


def _asked(counts: Sequence[int | None]) -> str:
    """``120``; ``98–120`` where not all were asked as many."""
    known = sorted(count for count in counts if count is not None)
    if not known or len(known) < len(counts):
        return ""
    return f"{known[0]:,}" if known[0] == known[-1] else f"{known[0]:,}–{known[-1]:,}"


def _away(side: Side, name: str, first: float | None, own: float | None, averages: bool) -> Bar | None:
    """How far a score is from that of the first run; with an interval where the questions are known."""
    rows = {row.subject: row for row in side.pair.subjects} if side.pair and not averages else {}
    if name in rows:
        return difference(name, rows[name])
    return None if first is None or own is None else Bar(name, own - first)


def _name(run: Run, score: Score) -> str:
    """What a row is called: the metric tells apart two averages of the same subjects, and two numbers of one subject."""
    if score.group and score.subject == run.set_name and score.metric == groups.NAIVE:
        return _("Mean of the subjects")
    return score.subject if score.metric in ("accuracy", groups.NAIVE) else f"{score.subject} ({score.metric})"


def _twice(run: Run, score: Score) -> bool:
    """The share of all questions of a set of one's own: the first row says it already."""
    return score.group and score.subject == run.set_name and score.metric == groups.WEIGHTED


def _said(found: Headline) -> str:
    return found.said() + (f" ({found.interval})" if found.interval else "")
