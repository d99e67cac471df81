"""How the figures of a report card read: names, explanations, and values with units, intervals and what they were before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.quantize.report_records import Cell, Subject

NAMES = {
    "size_bytes": N_("On the disk"),
    "load_s": N_("Loading"),
    "memory_steady_bytes": N_("Memory, steady"),
    "memory_peak_bytes": N_("Memory, at most"),
    "ttft_s": N_("First token (TTFT)"),
    "tokens_s": N_("Tokens/s, one person"),
    "tokens_s_many": N_("Tokens/s, {people} people"),
    "perplexity": N_("Perplexity"),
    "divergence": N_("KL divergence (nats per token)"),
    "agreement": N_("Same likeliest token"),
    "first_tokens": N_("Same first token"),
    "score": N_("Answers right"),
}
ABOUT = {
    "size_bytes": N_("All files in its folder."),
    "load_s": N_("From the start of the server to its first answer."),
    "memory_steady_bytes": N_("Of the server and all its processes while it answers one person."),
    "memory_peak_bytes": N_("The most that the server held while all were asking."),
    "ttft_s": N_("Wait until an answer starts, with one person asking."),
    "tokens_s": N_("Tokens of answers a second, with one person asking."),
    "tokens_s_many": N_("Tokens of answers a second over all, with so many asking at once."),
    "perplexity": N_(
        "How surprised the model is by the answers of rows that were held out: lower is better, 1 would be no surprise at all."
    ),
    "divergence": N_(
        "How far the probabilities of the next token are from those of the base, on the same rows: 0 is no difference."
    ),
    "agreement": N_("Share of tokens of these rows at which the copy finds the same one likeliest as the base."),
    "first_tokens": N_("Share of questions whose answer begins with the same token as the base's."),
    "score": N_("Share of questions whose answer holds what it has to hold; nobody judged it otherwise."),
}
SHARES = ("agreement", "first_tokens", "score")
MARKS = {"measured": N_("measured"), "estimated": N_("estimated"), "cannot": N_("not measured")}


def name_of(name: str, people: int) -> str:
    """The name of a figure."""
    return _(NAMES[name]).format(people=people)


def amount(cell: Cell) -> str:
    """The value with its unit; a dash where there is none."""
    return "–" if cell.value is None else figure(cell.name, cell.value)


def figure(name: str, value: float) -> str:
    """A value of the figure ``name``."""
    if name in SHARES:
        return share(value)
    if name.endswith("_bytes"):
        return size(value)
    if name in ("ttft_s", "load_s"):
        return seconds(value)
    if name.startswith("tokens_s"):
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    if name == "divergence":
        return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}" if value else "0"
    return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"


def interval(cell: Cell) -> str:
    """``(1.21 to 1.32)``, empty where there is none."""
    if cell.low is None or cell.high is None:
        return ""
    return _("({low} to {high})").format(low=figure(cell.name, cell.low), high=figure(cell.name, cell.high))


def change_words(cell: Cell) -> str:
    """How far it is from the base, with the interval of that: ``+0.8 % (+0.2 to +1.5)``; empty where that is not known."""
    if cell.change is None:
        return ""
    points = cell.name == "score"
    text = _points(cell.change) if points else signed_percent(cell.change)
    if cell.change_low is not None and cell.change_high is not None:
        both = [_signed(100 * one, 0 if points else 1) for one in (cell.change_low, cell.change_high)]
        return _("{change} ({low} to {high})").format(change=text, low=both[0], high=both[1])
    return text


def quality(one: Subject) -> str:
    """The figures of quality that carry most: perplexity against the base, and the score."""
    parts = []
    cell = one.cell("perplexity")
    if cell is not None and cell.value is not None:
        change = amount(cell) if cell.change is None else signed_percent(cell.change)
        parts.append(_("perplexity {change}").format(change=change))
    score = one.cell("score")
    if score is not None and score.value is not None:
        right = round(score.value * score.n)
        parts.append(_("{right} of {n} answers right").format(right=right, n=score.n))
    return joined(parts) or _("quality not known")


def reason(cell: Cell) -> str:
    """Why there is no figure, or how it was measured otherwise: message and hint; empty for a plain one."""
    told = cell.reason or cell.note
    if not told:
        return ""
    return " ".join(part for part in PanelError.from_dict(told).localized() if part)


def share(value: float) -> str:
    """``97 %``; what is not quite all is never said to be."""
    shown = f"{100 * value:.0f}" if value in (0, 1) else f"{min(99.9, max(0.1, 100 * value)):.1f}"
    return _("{percent} %").format(percent=shown)


def percent(value: float) -> str:
    """``44 %`` of a share."""
    return _("{percent} %").format(percent=f"{100 * value:.0f}")


def signed_percent(value: float) -> str:
    """``+0.8 %``, ``-44 %``."""
    return _("{percent} %").format(percent=_signed(100 * value, 1 if abs(value) < 0.1 else 0))


def size(count: float) -> str:
    """Bytes in the unit that fits: ``12.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def seconds(value: float) -> str:
    """``210 ms``, ``3.4 s``."""
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def joined(parts: Sequence[str]) -> str:
    """An enumeration."""
    return reduce(lambda first, rest: _("{first}, {rest}").format(first=first, rest=rest), parts) if parts else ""


def _points(value: float) -> str:
    return _("{points} points").format(points=_signed(100 * value, 0))


def _signed(value: float, places: int) -> str:
    """``+0.8``, ``-3``; nothing has no sign."""
    text = f"{value:+.{places}f}"
    return text if float(text) else text[1:]
