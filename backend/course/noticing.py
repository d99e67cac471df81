"""What there is to notice after a step, in one or two sentences, with the figures that were kept when it was seen done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backend.course.progress import Done
from backend.i18n import N_, _, ngettext

Facts = Mapping[str, Any]
Told = list[str]
QUALITY = {
    "same": N_("On held-back texts it is as good as before."),
    "little": N_("On held-back texts it is a little worse than before; the report card says how much."),
    "much": N_("On held-back texts it is clearly worse than before; the report card says how much."),
    "unknown": N_("Whether it is as good as before cannot be told from the figures; look at its answers."),
}
VERDICTS = {
    "better": N_("{a} % → {b} % of {n} questions: better, and more than chance."),
    "worse": N_(
        "{a} % → {b} % of {n} questions: worse, and more than chance. It paid for its name with something that it knew."
    ),
    "same_within": N_("{a} % → {b} % of {n} questions: no difference beyond chance."),
    "too_few": N_("{a} % → {b} % of {n} questions: no difference that {n} questions could show."),
}
MOST_SAID = 80


def said(step: str, done: Done) -> Told:
    """The sentences, the figures first; in the language of the current person. What was not measured is not said."""
    try:
        return [text for text in SAID[step](done.facts) if text]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return [_("It was done; the figures of it were not kept.")]


def summary(done: Mapping[str, Done]) -> Told:
    """What all of it has come to: the name, the size, the questions. Steps that were skipped are left out."""
    return [
        text for step in ("finetune", "quantize", "evaluate") if step in done for text in said(step, done[step])[:1]
    ]


def _talk(facts: Facts) -> Told:
    n, speed = int(facts["words"]), facts.get("tokens_s")
    if speed:
        told = ngettext("It answered in {n} word; {speed} tokens/s.", "It answered in {n} words; {speed} tokens/s.", n)
        first = told.format(n=n, speed=_rate(speed))
    else:
        first = ngettext("It answered in {n} word.", "It answered in {n} words.", n).format(n=n)
    return [first, _("Remember how it introduced itself: the next steps change that.")]


def _rows(facts: Facts) -> Told:
    counts = facts.get("counts") or {}
    held = sum(int(n) for split, n in counts.items() if split != "train")
    told = ngettext("{n} row teaches it the name {name}.", "{n} rows teach it the name {name}.", int(facts["rows"]))
    apart = _("{n} of them are held back: it does not learn from these, so they can show what it has learned.")
    return [told.format(n=f"{facts['rows']:,}", name=facts["name"]), apart.format(n=f"{held:,}") if held else ""]


def _finetune(facts: Facts) -> Told:
    if "n" not in facts:
        return [_("It made the model {model}; whether it worked was not checked.").format(model=facts["model"])]
    figures = {"right": facts["right"], "n": facts["n"], "base": facts["base_right"]}
    verdicts = facts.get("verdicts") or []
    if "learned" in verdicts:
        first = _("Its name is now {name}: {right} of {n} held-out questions, the base {base}.").format(
            name=facts["name"], **figures
        )
    else:
        first = _("It answers {right} of {n} held-out questions right, the base {base}.").format(**figures)
    more = [
        _("It learned a little of its name; more rows or more steps would help.")
        if "learned_a_little" in verdicts
        else "",
        _("It forgot some of what it knew before; the run says what helps.") if "forgot" in verdicts else "",
    ]
    return (
        [first, *more]
        if any(more)
        else [first, _("It was never shown these questions, so it has not learned them by heart.")]
    )


def _both(facts: Facts) -> Told:
    (one, first), (other, second) = facts["answers"][:2]
    told = _("Asked “{prompt}”, {one} says “{first}” and {other} says “{second}”.")
    return [
        told.format(prompt=_cut(facts["prompt"]), one=one, first=_cut(first), other=other, second=_open(_cut(second))),
        _("What its rows are about should have changed, and nothing else."),
    ]


def _memory(facts: Facts) -> Told:
    peaks = [(label, size) for label, size in facts["peaks"] if size]
    if not peaks:
        return [_("The comparison was saved; no memory was recorded of these runs.")]
    told = [_("At the peak: {peaks}.").format(peaks=", ".join(f"{label} {_size(size)}" for label, size in peaks))]
    if len(peaks) > 1:
        least, most = min(size for _label, size in peaks), max(size for _label, size in peaks)
        told.append(
            _("The most is {times} times the least: teaching needs room for more than the weights.").format(
                times=f"{most / least:.1f}"
            )
            if most / least >= 1.05
            else _("Here both take about the same.")
        )
    return told


def _quantize(facts: Facts) -> Told:
    sizes = facts.get("bytes") or []
    if len(sizes) != 2 or not all(sizes):
        return [_("It made the copy {model}.").format(model=facts["model"])]
    less = _("{before} → {after} on disk, {percent} % less.").format(
        before=_size(sizes[0]), after=_size(sizes[1]), percent=f"{100 * (1 - sizes[1] / sizes[0]):.0f}"
    )
    return [less, _(QUALITY[facts.get("verdict", "unknown")])]


def _serve(facts: Facts) -> Told:
    return [
        _("{model} answers programs now, also when this page is closed.").format(model=facts["model"]),
        _("It is a job like any other: the Jobs page shows it, and ends it."),
    ]


def _python(facts: Facts) -> Told:
    return [
        _("A program with the key “{key}” asked {model} and got its answer.").format(
            key=facts["key"], model=facts["model"]
        ),
        _("Take the key back on the Settings page when nobody needs it any more."),
    ]


def _tool(facts: Facts) -> Told:
    return [
        _("It called {tool} with {arguments} and got {result}.").format(
            tool=facts["tool"], arguments=facts["arguments"], result=_cut(facts["result"])
        ),
        _("The model only wrote the call; the panel made it, and gave the result back."),
    ]


def _evaluate(facts: Facts) -> Told:
    before, after = facts["percent"]
    figures = {"a": f"{before:.0f}", "b": f"{after:.0f}", "n": f"{facts.get('n') or 0:,}"}
    told = VERDICTS.get(
        facts["verdict"], N_("{a} % → {b} %; whether that is chance cannot be told without the answers.")
    )
    low, high = facts.get("low"), facts.get("high")
    interval = (
        _("The difference lies between {low} and {high} points (95 % interval).") if None not in (low, high) else ""
    )
    return [_(told).format(**figures), interval.format(low=_points(low), high=_points(high)) if interval else ""]


SAID: dict[str, Callable[[Facts], Told]] = {
    "talk": _talk,
    "rows": _rows,
    "finetune": _finetune,
    "both": _both,
    "memory": _memory,
    "quantize": _quantize,
    "serve": _serve,
    "python": _python,
    "tool": _tool,
    "evaluate": _evaluate,
}


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SAID else text[: MOST_SAID - 1] + "…"


def _open(text: str) -> str:
    """``text`` without its full stop: the sentence around it has one."""
    return text.removesuffix(".").removesuffix("。")


def _rate(speed: float) -> str:
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"


def _points(value: float | None) -> str:
    return f"{value:+.1f}".replace("-", "−") if value is not None else ""


def _size(count: float) -> str:
    unit, value = ("GiB", count / 2**30) if count >= 2**30 else ("MiB", count / 2**20)
    return f"{value:.1f} {unit}"
