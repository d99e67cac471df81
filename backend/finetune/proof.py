"""Did it work? The tuned model against its base, in words that claim no more than the numbers carry.

Three looks, each of both models in the same way: held-out questions (rows of the split test, else validation), the loss on
validation rows, and the general slice as an alarm for forgetting. Differences have 95 % intervals (:mod:`backend.finetune.intervals`).

Covered: whether answers hold what they have to hold; whether held-out answers are foreseen better; simple general knowledge.
Not covered: style, truth, harm, and whatever else needs a judge: for that there are the answers side by side. The checkpoint
that is kept was chosen by the loss on the validation rows, which flatters that loss a little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backend.finetune import files, proof_records
from backend.finetune.proof_records import FEW, FORGOT, LEAST, Answer, Losses, Part, Proof, Tally, knew
from backend.i18n import N_, _, ngettext
from backend.workspace import read_json, write_json

__all__ = [
    "Answer",
    "Line",
    "Losses",
    "Part",
    "Proof",
    "Tally",
    "details",
    "headline",
    "read",
    "sentences",
    "table",
    "write",
]

HEADLINES = {
    "learned": N_("It learned what it was taught."),
    "learned_a_little": N_("It learned a little of what it was taught."),
    "no_difference": N_("No difference can be shown between the tuned model and its base."),
    "worse": N_("On what it was taught, it is worse than its base."),
    "unknown": N_("Whether it learned cannot be told from these numbers."),
    "forgot": N_("It forgot some of what it knew before."),
}
LANGUAGES = {"en": N_("English"), "zh": N_("Chinese"), "": N_("other languages")}
SPLITS = {"test": N_("Held-out questions"), "validation": N_("Validation rows"), "general": N_("General questions")}
DISTANCES = {"near": N_("in usual words"), "far": N_("in unusual words")}
LITTLE = 0.2
"""A base that answers less of the general slice cannot be seen to forget."""


@dataclass(frozen=True)
class Line:
    """A line of the table, as texts."""

    label: str
    n: str
    base: str
    tuned: str
    difference: str


def write(job_dir: Path, found: Proof) -> None:
    """Keep it in the folder of the run.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    write_json(job_dir / files.PROOF, asdict(found))


def read(job_dir: Path) -> Proof | None:
    """The proof of a run; None where there is none that can be read."""
    try:
        data = read_json(job_dir / files.PROOF)
    except (OSError, ValueError):
        return None
    found = files.build(data, Proof)
    if found is None:
        return None
    answers = [files.build(one, Answer) for one in found.answers]
    return replace(
        found,
        verdicts=tuple(found.verdicts),
        questions=_part(found.questions),
        general=_part(found.general),
        loss=files.build(found.loss, Losses),
        answers=tuple(one for one in answers if one is not None),
    )


def headline(code: str) -> str:
    """The verdict ``code`` in one sentence."""
    return _(HEADLINES.get(code, HEADLINES["unknown"]))


def sentences(found: Proof) -> list[str]:
    """All that can be said, the answer first."""
    if found.problem is not None:
        return [_("It could not be checked whether it worked.")]
    return [*map(headline, found.verdicts), *(one for said in details(found).values() for one in said)]


def details(found: Proof, *, counts: bool = True) -> dict[str, list[str]]:
    """What stands behind the verdicts: ``questions``, ``loss`` and ``general``, as far as they were looked at. counts: also how
    many answers were right, which a page shows as a figure."""
    told = {
        "questions": _questions(found.questions, counts) if found.questions is not None else [],
        "loss": _loss(found.loss) if found.loss is not None else [],
        "general": _general(found.general, counts) if found.general is not None else [],
    }
    return {name: said for name, said in told.items() if said}


def table(found: Proof) -> list[Line]:
    """One line for each thing that was measured, and for each language of the questions."""
    lines = []
    for one in (found.questions, found.general):
        if one is not None and one.tally is not None:
            label = _(SPLITS.get(one.split, SPLITS["test"]))
            lines.append(_line(label, one.tally))
            lines += [
                _line(_("{part}: {language}").format(part=label, language=_(DISTANCES[name])), each)
                for name, each in one.distances.items()
                if name in DISTANCES
            ]
            if len(one.languages) > 1:
                lines += [
                    _line(_("{part}: {language}").format(part=label, language=language(name)), each)
                    for name, each in one.languages.items()
                ]
    if found.loss is not None:
        lines.append(
            Line(
                _("Loss per token"),
                str(found.loss.rows),
                f"{found.loss.base:.3f}",
                f"{found.loss.tuned:.3f}",
                _difference(_signed(found.loss.tuned - found.loss.base, 3), found.loss.low, found.loss.high, 3),
            )
        )
    return lines


def language(code: str) -> str:
    """The name of a language of questions."""
    return _(LANGUAGES[code]) if code in LANGUAGES else code


def _questions(asked: Part, counts: bool) -> list[str]:
    found = asked.judged
    told = _left_out(asked)
    if found is None:
        return [
            *told,
            _("None of the held-out questions has an answer that can be checked by itself: read some below."),
        ]
    counted = _("Of {n} held-out questions the tuned model answers {tuned} right, the base model {base}.")
    if found is not asked.tally:
        counted = _(
            "Of {n} held-out questions in usual words the tuned model answers {tuned} right, the base model {base}."
        )
    told += [counted.format(n=found.n, tuned=found.tuned, base=found.base)] if counts else []
    if knew(found):
        told.append(_("The base model could do nearly all of it before."))
    if found.n < LEAST:
        told.append(
            ngettext(
                "{n} question is too few for a verdict.", "{n} questions are too few for a verdict.", found.n
            ).format(n=found.n)
        )
        return told
    likely = _("For other questions of this kind, expect a difference of {low} to {high} points (95 % interval).")
    told.append(likely.format(low=_points(found.low), high=_points(found.high)))
    if found.n < FEW:
        told.append(_("{n} questions are few: the figures are rough.").format(n=found.n))
    if len(asked.judged_languages) > 1:
        each = [
            _("{language}: {tuned} of {n}").format(language=language(name), tuned=one.tuned, n=one.n)
            for name, one in asked.judged_languages.items()
        ]
        told.append(_("By language, tuned: {list}.").format(list=", ".join(each)))
    far = asked.distances.get("far")
    if far is not None and found is not asked.tally:
        said = _("In unusual words, far from all that it was taught, it answers {tuned} of {n} right, the base {base}.")
        told.append(said.format(tuned=far.tuned, n=far.n, base=far.base))
    if asked.tuned_endless > max(asked.base_endless, asked.asked // 20):
        told.append(
            ngettext(
                "{n} answer of the tuned model did not end by itself: it ran to the limit.",
                "{n} answers of the tuned model did not end by themselves: they ran to the limit.",
                asked.tuned_endless,
            ).format(n=asked.tuned_endless)
        )
    return told


def _loss(found: Losses) -> list[str]:
    values = {"rows": found.rows, "base": f"{found.base:.2f}", "tuned": f"{found.tuned:.2f}"}
    if found.low is None or found.high is None:
        few = _("The loss on {rows} rows went from {base} to {tuned} per token; that is too few rows for an interval.")
        return [few.format(**values)]
    said = _(
        "The loss on {rows} rows went from {base} to {tuned} per token (difference {low} to {high}, 95 % interval)."
    )
    told = [said.format(**values, low=_signed(found.low, 2), high=_signed(found.high, 2))]
    if found.low <= 0 <= found.high:
        told.append(_("That may be chance."))
    return told


def _general(asked: Part, counts: bool) -> list[str]:
    found = asked.tally
    if found is None:
        return []
    counted = _("Of {n} simple general questions the tuned model answers {tuned} right, the base model {base}.")
    told = _left_out(asked)
    told += [counted.format(n=found.n, tuned=found.tuned, base=found.base)] if counts else []
    if found.base < LITTLE * found.n or found.n < LEAST:
        told.append(_("The base answers too few of them right to show whether something was forgotten."))
    elif proof_records.forgot(asked):
        told.append(
            _(
                "More general rows mixed in, fewer epochs or a lower learning rate help against forgetting; so does an "
                "earlier checkpoint."
            )
        )
    elif found.difference < -FORGOT:
        told.append(_("That is fewer, but with so few questions it may be chance."))
    elif found.high < 0:
        told.append(_("It forgot a little: less than what an alarm is worth."))
    elif found.low < 0:
        told.append(
            _("No forgetting can be shown; a drop of up to {points} points would not have been seen.").format(
                points=_points(-found.low).lstrip("+")
            )
        )
    else:
        told.append(_("Nothing was forgotten that they ask for."))
    return told


def _left_out(asked: Part) -> list[str]:
    if asked.asked >= asked.there:
        return []
    said = _("For the time that it takes, {asked} of {there} questions were asked.")
    return [said.format(asked=asked.asked, there=asked.there)]


def _line(label: str, found: Tally) -> Line:
    def share(right: int) -> str:
        return _("{right} ({percent} %)").format(right=right, percent=f"{100 * right / found.n:.0f}")

    # A single question has an interval, too, but nobody should read it.
    low, high = (found.low, found.high) if found.n >= LEAST else (None, None)
    points = _("{points} points").format(points=_points(found.difference))
    return Line(label, str(found.n), share(found.base), share(found.tuned), _difference(points, low, high))


def _difference(value: str, low: float | None, high: float | None, digits: int | None = None) -> str:
    if low is None or high is None:
        return value
    ends = [_points(end) if digits is None else _signed(end, digits) for end in (low, high)]
    return _("{value} ({low} to {high})").format(value=value, low=ends[0], high=ends[1])


def _points(share: float) -> str:
    """A difference of shares in percentage points."""
    return _signed(100 * share, 0)


def _signed(value: float, digits: int) -> str:
    """With its sign; 0 has none."""
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "\u2212")


def _part(data: Any) -> Part | None:
    found = files.build(data, Part)
    if found is None:
        return None
    return replace(
        found,
        tally=files.build(found.tally, Tally),
        languages=_tallies(found.languages),
        distances=_tallies(found.distances),
        near_languages=_tallies(found.near_languages),
    )


def _tallies(data: Any) -> dict[str, Tally]:
    each: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    found = {name: files.build(one, Tally) for name, one in each.items()}
    return {name: one for name, one in found.items() if one is not None}
