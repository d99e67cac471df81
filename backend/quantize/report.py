"""What the figures of a report card say: what a copy costs in quality, who is beaten by whom, and one sentence that recommends.

Covered: how well answers of held-out rows are foreseen, how near each next token is to the base's, and answers that can be checked.
Not covered: style, truth, harm, long texts; for these there are the answers side by side. A copy that foresees as well as the base on these
rows may be worse on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.quantize.report_records import Cell, Report, Subject, read, write
from backend.quantize.report_words import amount, change_words, joined, percent, quality, share

__all__ = ["LITTLE", "SAME", "Report", "pareto", "read", "recommend", "sentences", "verdict", "write"]

Verdict = Literal["same", "little", "much", "unknown"]
SAME, LITTLE = 0.03, 0.10
"""Perplexity above the base's, at the weaker end of its interval, up to which a copy keeps the quality, or costs a little of it."""
AGREES = 0.9
"""Share of tokens at which a copy that keeps the quality finds the same one likeliest."""
FELL = 0.05
"""Share of answers that are no longer right from which a loss that is no chance counts as more than a little."""
ALIKE, AS_FAST = 0.02, 0.05
"""Sizes, and speeds, that differ by less are the same; so are speeds whose intervals overlap."""
BUSY = 0.3
"""Share of the processor that others take from which speeds are said to be rough."""
SMALLER = ("memory_steady_bytes", "size_bytes")
FASTER = ("tokens_s_many", "tokens_s")


def verdict(subject: Subject) -> Verdict:
    """What the copy costs, in words that the intervals carry."""
    read_, score = subject.cell("perplexity"), subject.cell("score")
    worse = score is not None and score.change_high is not None and score.change_high < 0
    if worse and score is not None and (score.change or 0) < -FELL:
        return "much"
    if broken(subject):
        return "much"
    if read_ is None or read_.change_high is None or read_.change_low is None:
        return "unknown"
    if read_.change_low > LITTLE:
        return "much"
    agreement = subject.value("agreement")
    if read_.change_high <= SAME and not worse and (agreement is None or agreement >= AGREES):
        return "same"
    return "little" if read_.change_high <= LITTLE else "unknown"


def broken(subject: Subject) -> bool:
    """Whether it computes no numbers."""
    found = subject.cell("perplexity")
    return found is not None and (found.reason or {}).get("code") == "report_not_a_number"


def pareto(report: Report) -> dict[str, str]:
    """Name of each model that another one beats (no worse in quality, size, memory and speed, and better in one) -> that one's
    name."""
    found = {}
    for one in report.models:
        better = next((other for other in report.models if other is not one and _beats(other, one)), None)
        if better is not None:
            found[one.name] = better.name
    return found


def recommend(report: Report) -> str:
    """One sentence: which of them to use."""
    if report.problem is not None:
        return _("The report card could not be finished: {problem}").format(
            problem=PanelError.from_dict(report.problem).localized()[0]
        )
    if not report.models or not report.complete:
        return _("Not all is measured yet.")
    base, copies = report.base, report.copies
    if not copies:
        return _("There is no copy of {base} to compare it with.").format(base=base.name)
    beaten = pareto(report)
    told: dict[Verdict, list[Subject]] = {"same": [], "little": [], "much": [], "unknown": []}
    stored: list[Subject] = []
    for one in copies:
        if one.name in beaten:
            continue
        if 1 in (_smaller(one, base), _faster(one, base)):
            told[verdict(one)].append(one)
        elif _on_disk(one, base) == 1 and verdict(one) in ("same", "little"):
            stored.append(one)
    for kind in ("same", "little"):
        if told[kind]:
            # What can be used here comes before what needs another machine.
            best = min(told[kind], key=lambda one: (one.served is False, _size(one), -(_fast(one) or 0)))
            return _use(best, base, kind == "same")
    if stored:
        best = min(stored, key=lambda one: one.value("size_bytes") or 0)
        return _("Stay with {base} unless room on the disk counts; {name}: {gains} ({quality}).").format(
            base=base.name, name=best.name, quality=quality(best), gains=joined(_gains(best, base))
        )
    judged = [one for one in copies if verdict(one) != "unknown"]
    if not judged or told["unknown"]:
        return _unsure(told["unknown"] or list(copies))
    if all(verdict(one) != "much" for one in copies):
        return _("Stay with {base}: no copy is smaller or faster than it.").format(base=base.name)
    worst = [one for one in copies if verdict(one) == "much"]
    best = min(worst, key=lambda one: (broken(one), one.value("perplexity") or float("inf")))
    if broken(best):
        return _("Stay with {base}: {name} computes no numbers.").format(base=base.name, name=best.name)
    said = _("Stay with {base}: even {name} loses too much of its quality ({quality}).")
    if len(copies) == 1:
        said = _("Stay with {base}: {name} loses too much of its quality ({quality}).")
    return said.format(base=base.name, name=best.name, quality=quality(best))


def sentences(report: Report) -> list[str]:
    """All that can be said, the recommendation first."""
    told = [recommend(report)]
    told += [_about(one, report.base) for one in report.copies if one.cells]
    beaten = pareto(report)
    told += [
        _(
            "{better} is at least as good as {name} in quality, size, memory and speed, and better in one of them."
        ).format(better=beaten[one.name], name=one.name)
        for one in report.models
        if one.name in beaten
    ]
    return [*told, *cautions(report)]


def cautions(report: Report) -> list[str]:
    """What the figures do not carry."""
    told = []
    if report.dataset and not report.split:
        told.append(
            _("The dataset has no validation or test rows: the models may know these rows, which flatters all of them.")
        )
    elsewhere = [one.name for one in report.models if one.served is False]
    if elsewhere:
        told.append(
            _("Not served by this machine, so its speed is not measured: {names}.").format(names=joined(elsewhere))
        )
    if report.busy > BUSY:
        told.append(
            _("Others kept {share} of the processor busy meanwhile: the speeds are rough.").format(
                share=share(report.busy)
            )
        )
    scored = report.base.cell("score") if report.models else None
    if scored is not None and 0 < scored.n < 30:
        told.append(
            ngettext(
                "{n} question is few: the score is rough.", "{n} questions are few: the score is rough.", scored.n
            ).format(n=scored.n)
        )
    return told


def _use(best: Subject, base: Subject, same: bool) -> str:
    said = {
        (True, True): _("Use {name}: it keeps the quality of {base} ({quality}), {gains}."),
        (False, True): _("Use {name} where memory is short: it costs a little quality ({quality}), {gains}."),
        (True, False): _(
            "Use {name} on a machine that can serve it: it keeps the quality of {base} ({quality}), {gains}; on this one stay with {base}."
        ),
        (False, False): _(
            "Use {name} where memory is short, on a machine that can serve it: it costs a little quality ({quality}), {gains}; on this one stay with {base}."
        ),
    }[(same, best.served is not False or base.served is False)]
    return said.format(name=best.name, base=base.name, quality=quality(best), gains=joined(_gains(best, base)))


def _gains(best: Subject, base: Subject) -> list[str]:
    told = []
    for name, less, more in (
        ("size_bytes", _("{percent} smaller on the disk"), _("{percent} larger on the disk")),
        ("memory_steady_bytes", _("{percent} less memory"), _("{percent} more memory")),
    ):
        cell = best.cell(name)
        if cell is not None and cell.change is not None and abs(cell.change) >= ALIKE:
            told.append((less if cell.change < 0 else more).format(percent=percent(abs(cell.change))))
    name = next((name for name in FASTER if best.value(name) and base.value(name)), "")
    a, b = best.cell(name), base.cell(name)
    order = order_of_speeds(a, b) if a is not None and b is not None else 0
    if order and a is not None:
        said = _("{percent} faster") if order > 0 else _("{percent} slower")
        told.append(said.format(percent=percent(abs(a.change or 0))))
    return told


def _unsure(some: Sequence[Subject]) -> str:
    read_ = some[0].cell("perplexity")
    if read_ is None or read_.value is None:
        return _("Which one to use cannot be told: the quality of {name} could not be measured.").format(
            name=some[0].name
        )
    return ngettext(
        "Which one to use cannot be told from {n} row: measure with more.",
        "Which one to use cannot be told from {n} rows: measure with more.",
        read_.n,
    ).format(n=read_.n)


def _about(one: Subject, base: Subject) -> str:
    parts = []
    size = one.cell("size_bytes")
    if size is not None and size.change is not None:
        parts.append(_("{size} on the disk ({change})").format(size=amount(size), change=change_words(size)))
    parts += [quality(one)] if one.value("perplexity") is not None else []
    alike = one.value("agreement")
    if alike is not None:
        parts.append(_("the same likeliest token at {share} of the places").format(share=share(alike)))
    alike = one.value("first_tokens")
    if alike is not None:
        parts.append(_("{share} of the answers begin as those of {base}").format(share=share(alike), base=base.name))
    return _("{name}: {facts}.").format(name=one.name, facts=joined(parts))


def _beats(one: Subject, other: Subject) -> bool:
    """Whether ``one`` is no worse than ``other`` in quality, size, memory and speed, and better in one."""
    orders = (_nearer(one, other), _on_disk(one, other), _smaller(one, other), _faster(one, other))
    known = [order for order in orders if order is not None]
    return len(known) == len(orders) and min(known) >= 0 and max(known) == 1


def _nearer(one: Subject, other: Subject) -> int | None:
    """Quality: 1 better, 0 as good, -1 worse; None where it cannot be compared. The base is at no distance from itself."""
    a, b = _distance(one), _distance(other)
    if a is None or b is None:
        return None
    if a[2] < b[1]:
        return 1
    return 0 if a[0] <= b[0] or b[1] <= a[0] <= b[2] else -1


def _distance(one: Subject) -> tuple[float, float, float] | None:
    """(value, low, high) of the divergence from the base."""
    cell: Cell | None = one.cell("divergence")
    if cell is None:
        return (0.0, 0.0, 0.0) if one.cell("perplexity") is not None else None
    if cell.value is None:
        return None
    return (
        cell.value,
        cell.low if cell.low is not None else cell.value,
        cell.high if cell.high is not None else cell.value,
    )


def _smaller(one: Subject, other: Subject) -> int | None:
    for name in SMALLER:
        a, b = one.cell(name), other.cell(name)
        if a is not None and b is not None and a.value and b.value and a.source == b.source:
            return _order(b.value / a.value)
    return None


def _on_disk(one: Subject, other: Subject) -> int | None:
    a, b = one.value("size_bytes"), other.value("size_bytes")
    return _order(b / a) if a and b else None


def _faster(one: Subject, other: Subject) -> int:
    """0 where nothing is known of either; who cannot be served here is slower than who can."""
    if (one.served is False) != (other.served is False):
        return -1 if one.served is False else 1
    for name in FASTER:
        a, b = one.cell(name), other.cell(name)
        if a is not None and b is not None and a.value and b.value:
            return order_of_speeds(a, b)
    return int(_fast(one) is not None) - int(_fast(other) is not None)


def order_of_speeds(one: Cell, other: Cell) -> int:
    """1 where the one is faster by more than chance, -1 where it is slower, else 0."""
    ratio = (one.value or 0) / (other.value or 1)
    apart = (one.low or one.value or 0) > (other.high or other.value or 0)
    behind = (one.high or one.value or 0) < (other.low or other.value or 0)
    return 1 if ratio > 1 + AS_FAST and apart else -1 if ratio < 1 - AS_FAST and behind else 0


def _order(ratio: float) -> int:
    return 1 if ratio > 1 + ALIKE else -1 if ratio < 1 - ALIKE else 0


def _size(one: Subject) -> float:
    return next((value for name in SMALLER if (value := one.value(name)) is not None), float("inf"))


def _fast(one: Subject) -> float | None:
    return next((value for name in FASTER if (value := one.value(name)) is not None), None)
