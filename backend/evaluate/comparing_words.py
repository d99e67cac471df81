"""What a comparison comes to, in one sentence and, where it must be, a warning."""

from __future__ import annotations

from backend.errors import PanelError
from backend.evaluate.comparing import Counts, Pair, Verdict
from backend.i18n import N_, _

SENTENCES: dict[Verdict, str] = {
    "better": N_(
        "{b} is better on these questions than {a}: {second} against {first} right of the same {n}, {points} points (interval {low} to {high}, 95 %)."
    ),
    "worse": N_(
        "{b} is worse on these questions than {a}: {second} against {first} right of the same {n}, {points} points (interval {low} to {high}, 95 %)."
    ),
    "same_within": N_(
        "No difference beyond chance between {a} and {b}: {first} and {second} right of the same {n}, {points} points (interval {low} to {high}, 95 %)."
    ),
    "too_few": N_(
        "Too few questions to tell {a} and {b} apart: {first} and {second} right of the same {n}, {points} points (interval {low} to {high}, 95 %)."
    ),
    "no_interval": N_(
        "{b} has {points} points against {a} ({second} and {first}); whether that is chance cannot be told without the answers."
    ),
}
DOUBTED = {
    1: N_(
        "{b} looks better than {a}, but these questions do not settle it: {second} against {first} right of the same {n}, {points} points (interval {low} to {high}, 95 %). Only {differ} of them came out differently, {more} in favour of {b}; chance alone splits them as unevenly {times} times in 100."
    ),
    -1: N_(
        "{b} looks worse than {a}, but these questions do not settle it: {second} against {first} right of the same {n}, {points} points (interval {low} to {high}, 95 %). Only {differ} of them came out differently, {more} in favour of {a}; chance alone splits them as unevenly {times} times in 100."
    ),
}
"""Where the interval leaves out zero and the sign test, which is exact, does not bear it out: else the sentence would deny its own interval."""
TOO_FEW = N_(
    "{n} questions show a difference from about {smallest} points on. To be sure of one of {seen} points it takes about {needed} questions."
)
TOO_FEW_ALIKE = N_("{n} questions show a difference from about {smallest} points on; smaller ones may be there.")


def sentence(pair: Pair) -> str:
    """The answer to "is it better?", in the language of the current person."""
    if pair.refused:
        return " ".join(filter(None, PanelError.from_dict(dict(pair.refused)).localized()))
    found = pair.all
    told = DOUBTED.get(found.leaning, SENTENCES[pair.verdict])
    counts = found.counts or Counts()
    return _(told).format(
        a=label(pair, pair.a.id),
        b=label(pair, pair.b.id),
        n=f"{found.n or 0:,}",
        first=f"{percent(found.a)} %",
        second=f"{percent(found.b)} %",
        points=points(found.difference),
        low=points(found.low),
        high=points(found.high),
        differ=f"{counts.a_only + counts.b_only:,}",
        more=f"{max(counts.a_only, counts.b_only):,}",
        times=f"{100 * (found.p or 0.0):.0f}",
    )


def warning(pair: Pair) -> str:
    """What the number of questions could show; empty where it told the two apart, or nothing can be said."""
    if pair.verdict not in ("too_few", "same_within") or pair.smallest is None:
        return ""
    n, smallest = f"{pair.all.n or 0:,}", f"{pair.smallest:.1f}"
    if pair.needed is None or pair.all.n is None or pair.needed <= pair.all.n:
        return _(TOO_FEW_ALIKE).format(n=n, smallest=smallest)
    seen = f"{abs(pair.all.difference or 0.0):.1f}"
    return _(TOO_FEW).format(n=n, smallest=smallest, seen=seen, needed=f"{pair.needed:,}")


def label(pair: Pair, run_id: int) -> str:
    """What a run of the pair is called: its model, with its number where both are the same model."""
    run = pair.a if run_id == pair.a.id else pair.b
    return f"{run.model} (#{run.id})" if pair.a.model == pair.b.model else run.model


def percent(value: float | None) -> str:
    """One decimal; a dash for none."""
    return "–" if value is None else f"{value:.1f}"


def points(value: float | None) -> str:
    """With its sign."""
    if value is None:
        return "–"
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")
