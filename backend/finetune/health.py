"""What the curves say, in words: whether it learns, what goes wrong, and what to do about it in this run or the next.

Rules of thumb, told from the losses alone, each with its threshold below. They compare medians of stretches of the curve, so
that a single batch decides nothing.

Covered: no number any more, exploding, no gradient, flat, over-fitting, learned by heart, nothing gained any more, slower than
rehearsed. Not covered: whether the answers are right. The sample answers and the proof show that.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from backend.finetune.health_signs import (
    FEWEST,
    Points,
    Signs,
    Verdict,
    figure,
    more_dropout,
    number,
    rate,
    stretches,
    until,
)
from backend.i18n import _

FLAT = 0.02
"""A loss that fell by a smaller part than this has not moved."""
FLAT_SHARE, FLAT_STEPS = 0.15, 20
"""Part of the steps, and steps, before a loss may be called flat: the warm-up is over by then."""
EXPLODED, EXPLODED_BY = 1.5, 0.5
"""Times, and points of loss, over its lowest from which a loss has exploded."""
OVERFIT, OVERFIT_AT_ONCE = 1.03, 1.15
"""Times its lowest from which a validation loss has risen: over two evaluations, or already at the next."""
BY_HEART = 0.005
"""A training loss below this is no longer learning: exp(-0.005) is 99.5 % sure of every token."""
GAINED = 0.01
"""A validation loss that fell by a smaller part than this in the last third of the evaluations gains nothing any more."""
SLOW, SLOW_BY_S = 1.5, 0.02
NO_GRADIENT = 1e-8
MOST_RATE = {"lora": 2e-3, "qlora": 2e-3, "full": 5e-4}
"""Learning rates beyond which no larger one is suggested."""


def verdicts(signs: Signs) -> list[Verdict]:
    """What the curves say, the worst first; one verdict that all is well, or that it is too early, where nothing is wrong."""
    if signs.no_number:
        return [_no_number(signs)]
    loss, held_out = signs.curves.get("loss", ()), signs.curves.get("eval_loss", ())
    parts = stretches(loss)
    found = [
        each
        for each in (
            _no_gradient(signs),
            _exploded(signs, parts),
            _overfit(signs, parts, held_out),
            _by_heart(signs, parts, held_out),
            _flat(signs, parts),
            _gains_nothing(signs, held_out),
            _slow(signs),
        )
        if each is not None
    ]
    codes = {each.code for each in found}
    if "exploding" in codes or "no_gradient" in codes:
        found = [each for each in found if each.code in ("exploding", "no_gradient", "too_slow")]
    if codes & {"overfitting", "memorised"}:
        found = [each for each in found if each.code != "done_early"]
    if not [each for each in found if each.code not in ("too_slow", "done_early")]:
        found = [*_well(signs, parts, held_out), *found]
    order = ("bad", "warn", "good", "info")
    return sorted(found, key=lambda each: order.index(each.level))


def _no_number(signs: Signs) -> Verdict:
    good = signs.curves.get(signs.no_number, ())
    since = min(good[-1][0] + 1, signs.step) if good else signs.step
    half = str(signs.spec.get("dtype", "")) == "float16"
    fields: dict[str, Any] = {
        "learning_rate": rate(signs, 0.25),
        "warmup_ratio": max(0.1, number(signs, "warmup_ratio", 0.03)),
    }
    if half:
        fields["dtype"] = "float32" if signs.spec.get("device") == "cpu" else "bfloat16"
    return Verdict(
        "nan",
        "bad",
        _(
            "The loss is no number any more since step {step}: the weights have run away and learn nothing from here on."
        ).format(step=f"{since:,.0f}"),
        _("Begin again from a checkpoint before that, with a quarter of the learning rate and a longer warm-up.")
        + (" " + _("float16 overflows easily: take a precision with a wider range.") if half else ""),
        fields,
        stop=True,
    )


def _no_gradient(signs: Signs) -> Verdict | None:
    norms = [value for _step, value in signs.curves.get("grad_norm", ())]
    if len(norms) < FEWEST or median(norms) > NO_GRADIENT:
        return None
    return Verdict(
        "no_gradient",
        "bad",
        _("The gradient is zero: nothing that it reads changes a weight."),
        _(
            "Look at 'What is trained' of the dataset: maybe no answer is left after cutting rows, or none is marked as to be "
            "learned."
        ),
        stop=True,
    )


def _exploded(signs: Signs, parts: list[tuple[float, float]]) -> Verdict | None:
    if not parts:
        return None
    values = [value for _step, value in parts]
    low = min(values)
    place = values.index(low)
    if len(values) - 1 - place < 2 or values[-1] < max(EXPLODED * low, low + EXPLODED_BY):
        return None
    return Verdict(
        "exploding",
        "bad",
        _("The loss rises: from {low} at step {step} to {now}. It unlearns what it had learned.").format(
            low=figure(low), step=f"{parts[place][0]:,.0f}", now=figure(values[-1])
        ),
        _stop(signs)
        + _("The steps are too large: in the next run take a quarter of the learning rate and more warm-up."),
        {
            "learning_rate": rate(signs, 0.25),
            "warmup_ratio": max(0.1, number(signs, "warmup_ratio", 0.03)),
            "max_grad_norm": min(1.0, number(signs, "max_grad_norm", 1.0)),
        },
        stop=True,
    )


def _overfit(signs: Signs, parts: list[tuple[float, float]], held_out: Points) -> Verdict | None:
    if len(held_out) < 2 or not parts:
        return None
    values = [value for _step, value in held_out]
    place = values.index(min(values))
    low, now, after = values[place], values[-1], len(values) - 1 - place
    if not after or now < low * (OVERFIT if after >= 2 else OVERFIT_AT_ONCE) + 0.005:
        return None
    then = [value for step, value in parts if step <= held_out[place][0]] or [parts[0][1]]
    if parts[-1][1] > then[-1] + 0.005:
        return None  # both rise: that is no over-fitting
    return Verdict(
        "overfitting",
        "warn",
        _(
            "It learns the rows by heart rather than what they have in common: the validation loss was lowest at step {step} "
            "({low}) and has risen to {now}, while the loss on the training rows went on falling."
        ).format(step=f"{held_out[place][0]:,.0f}", low=figure(low), now=figure(now)),
        _stop(signs) + _("More and more varied rows help most; fewer epochs and more dropout help too."),
        {**until(signs, held_out[place][0]), "patience": 2, **more_dropout(signs)},
        stop=True,
    )


def _by_heart(signs: Signs, parts: list[tuple[float, float]], held_out: Points) -> Verdict | None:
    if not parts or parts[-1][1] >= BY_HEART:
        return None
    first = next(step for step, value in parts if value < BY_HEART)
    message = _(
        "It knows the training rows by heart since step {step}: the loss is {now}. More steps teach it nothing."
    ).format(step=f"{first:,.0f}", now=figure(parts[-1][1]))
    if held_out and held_out[-1][1] < 10 * BY_HEART:
        suggestion = _(
            "The held-out rows hold no surprise either, so they are nearly the same rows. If it should answer questions that "
            "are worded differently too, give it rows with more variety."
        )
    else:
        suggestion = _(
            "This often happens with few rows, or rows that are nearly the same. Look whether the sample answers still make "
            "sense; give it more variety, fewer epochs, and some general rows mixed in."
        )
    replay = {"replay": 0.2} if number(signs, "replay", 0.0) < 0.2 else {}
    return Verdict("memorised", "warn", message, suggestion, {**until(signs, first), **replay}, stop=True)


def _flat(signs: Signs, parts: list[tuple[float, float]]) -> Verdict | None:
    if not parts or signs.step < FLAT_STEPS or (signs.steps and signs.step < FLAT_SHARE * signs.steps):
        return None
    first, late = parts[0][1], median(value for _step, value in parts[-max(1, len(parts) // 3) :])
    if first < 0.05 or first - late >= FLAT * first:
        return None
    message = _("The loss has hardly moved: {first} at the beginning, {now} after {step} steps.").format(
        first=figure(first), now=figure(parts[-1][1]), step=f"{signs.step:,}"
    )
    most = MOST_RATE.get(str(signs.spec.get("method", "lora")), 2e-3)
    higher = min(most, rate(signs, 4))
    if higher <= number(signs, "learning_rate", 2e-4):
        helps = _(
            "The learning rate is high already: look whether the rows hold answers, and whether the model knows the template."
        )
        return Verdict("flat", "warn", message, helps)
    helps = _("Take a higher learning rate in the next run; small models and small add-ons need more than large ones.")
    return Verdict("flat", "warn", message, helps, {"learning_rate": higher})


def _gains_nothing(signs: Signs, held_out: Points) -> Verdict | None:
    """The validation loss no longer falls, long before the end."""
    if not signs.live or len(held_out) < 5 or not signs.steps or signs.step > 0.9 * signs.steps:
        return None
    cut = len(held_out) * 2 // 3
    before, after = min(value for _s, value in held_out[:cut]), min(value for _s, value in held_out[cut:])
    if after < before * (1 - GAINED):
        return None
    place = min(held_out[:cut], key=lambda point: point[1])
    return Verdict(
        "done_early",
        "info",
        _("It gains nothing any more: the validation loss has been about {low} since step {step}.").format(
            low=figure(before), step=f"{place[0]:,.0f}"
        ),
        _("You need not wait for the end: stop and keep the best. In the next run, patience does that by itself."),
        {"patience": 3} if number(signs, "patience", 0) == 0 else {},
        stop=True,
    )


def _slow(signs: Signs) -> Verdict | None:
    took = [value for _step, value in signs.curves.get("s_per_step", ())][-20:]
    if not signs.live or signs.expected_step_s is None or len(took) < FEWEST:
        return None
    now = median(took)
    if now < SLOW * signs.expected_step_s or now - signs.expected_step_s < SLOW_BY_S:
        return None
    return Verdict(
        "too_slow",
        "info",
        _("A step takes {now} s; in the rehearsal it took {then} s.").format(
            now=figure(now), then=figure(signs.expected_step_s)
        ),
        _("Something else uses this machine. The Memory page shows who; the run loses nothing but time."),
    )


def _well(signs: Signs, parts: list[tuple[float, float]], held_out: Points) -> list[Verdict]:
    if len(held_out) >= 2 and held_out[-1][1] < held_out[0][1]:
        first, now = held_out[0][1], held_out[-1][1]
        text = (
            _("It learns: on rows that it never trains on, the loss fell from {first} to {now}.")
            if signs.live
            else _("It learned: on rows that it never trained on, the loss fell from {first} to {now}.")
        )
        return [Verdict("learning", "good", text.format(first=figure(first), now=figure(now)))]
    if len(parts) >= 2 and parts[-1][1] < parts[0][1] * (1 - FLAT):
        first, now = parts[0][1], parts[-1][1]
        text = (
            _("It learns: the loss fell from {first} to {now}.")
            if signs.live
            else _("It learned: the loss fell from {first} to {now}.")
        )
        return [Verdict("learning", "good", text.format(first=figure(first), now=figure(now)))]
    if signs.live and signs.curves.get("loss"):
        return [Verdict("early", "info", _("Too early to tell how it learns; a few more steps are needed."))]
    return []


def _stop(signs: Signs) -> str:
    """What to do at once, before what to do another time."""
    return _("Stop and keep the best.") + " " if signs.live else ""
