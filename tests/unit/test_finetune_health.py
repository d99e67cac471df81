"""What is said of a training's curves: each ailment on a curve that has it, and silence on one that has not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backend.finetune.health import verdicts
from backend.finetune.health_signs import Points, Signs, Verdict
from backend.specs import parse

STEPS = 200
SPEC = {"learning_rate": 2e-4, "epochs": 4.0, "method": "lora", "lora_dropout": 0.1, "warmup_ratio": 0.03}


def curve(shape: Any, to: int = STEPS, every: int = 1) -> Points:
    """``shape(share)`` at every step, with noise as single batches bring it."""
    return [(step, shape(step / STEPS) * (1 + 0.08 * math.sin(step * 12.9898))) for step in range(1, to + 1, every)]


def falling(share: float) -> float:
    return 0.4 + 2.6 * math.exp(-4 * share)


def held_out(*values: float, every: int = 20) -> Points:
    return [(every * place, value) for place, value in enumerate(values)]


def said(loss: Points, evals: Points = (), *, to: int = STEPS, **more: Any) -> list[Verdict]:
    spec = {**SPEC, **more.pop("spec", {})}
    curves = {"loss": loss, "eval_loss": evals, **more.pop("curves", {})}
    return verdicts(Signs(curves, step=more.pop("step", to), steps=STEPS, spec=spec, **more))


def codes(found: list[Verdict]) -> list[str]:
    return [each.code for each in found]


def test_a_run_that_learns_is_said_to_learn_and_nothing_is_suggested() -> None:
    found = said(curve(falling), held_out(3.1, 2.0, 1.4, 1.0, 0.8, 0.7))
    assert codes(found) == ["learning"]
    assert found[0].message == "It learns: on rows that it never trains on, the loss fell from 3.1 to 0.7."
    assert not found[0].fields
    assert codes(said(curve(falling), live=False)) == ["learning"]
    assert said(curve(falling), live=False)[0].message.startswith("It learned: the loss fell from 2.")


def test_the_first_steps_tell_nothing_yet() -> None:
    found = said(curve(falling, 5), held_out(3.1), to=5)
    assert codes(found) == ["early"]
    assert said([], to=0) == []


def test_a_loss_that_is_no_number_names_the_step_and_what_to_change() -> None:
    found = said(curve(falling, 39), no_number="loss", step=60, spec={"dtype": "float16", "device": "cuda"})
    assert codes(found) == ["nan"]
    assert "no number any more since step 40" in found[0].message
    assert found[0].fields == {"learning_rate": 5e-5, "warmup_ratio": 0.1, "dtype": "bfloat16"}
    assert found[0].stop
    assert "dtype" not in said(curve(falling, 39), no_number="loss", step=60)[0].fields


def test_a_loss_that_climbs_again_has_exploded() -> None:
    found = said(curve(lambda share: falling(share) if share < 0.5 else 0.7 + 8 * (share - 0.5)))
    assert codes(found) == ["exploding"]
    assert found[0].fields["learning_rate"] == 5e-5
    assert found[0].level == "bad"


def test_one_bad_batch_is_no_explosion() -> None:
    loss = list(curve(falling))
    loss[150] = (151, 30.0)
    assert codes(said(loss)) == ["learning"]


def test_a_validation_loss_that_rises_while_the_other_falls_is_over_fitting() -> None:
    found = said(curve(falling), held_out(3.0, 2.0, 1.2, 0.9, 1.0, 1.15, 1.3))
    assert codes(found) == ["overfitting"]
    assert "lowest at step 60 (0.9) and has risen to 1.3" in found[0].message
    assert found[0].fields == {"epochs": 1.2, "patience": 2, "lora_dropout": 0.2}
    assert codes(said(curve(falling), held_out(3.0, 2.0, 1.2, 0.9, 0.91))) == ["learning"]


def test_the_next_run_ends_by_steps_where_this_one_counted_steps() -> None:
    found = said(curve(falling), held_out(3.0, 2.0, 1.2, 0.9, 1.0, 1.15), spec={"max_steps": 200, "method": "full"})
    assert found[0].fields == {"max_steps": 60, "patience": 2}


def test_rows_known_by_heart_are_told_with_and_without_held_out_rows() -> None:
    def shape(share: float) -> float:
        return 3 * math.exp(-22 * share) + 0.0004

    found = said(curve(shape))
    assert codes(found) == ["memorised"]
    assert "the loss is 0.0004" in found[0].message
    assert found[0].fields["replay"] == 0.2
    same = said(curve(shape), held_out(3.0, 0.5, 0.01, 0.004, 0.003))
    assert codes(same) == ["memorised"]
    assert "nearly the same rows" in same[0].suggestion


def test_a_loss_that_does_not_move_wants_a_higher_rate_until_that_is_high_already() -> None:
    found = said(curve(lambda share: 3.0))
    assert codes(found) == ["flat"]
    assert found[0].fields == {"learning_rate": 8e-4}
    assert said(curve(lambda share: 3.0), spec={"learning_rate": 1.5e-3})[0].fields == {"learning_rate": 2e-3}
    assert said(curve(lambda share: 3.0), spec={"learning_rate": 2e-3})[0].fields == {}
    assert codes(said(curve(lambda share: 3.0, 19), to=19)) == ["early"], "the warm-up moves nothing yet"


def test_a_gradient_of_zero_is_no_flat_loss() -> None:
    found = said(curve(lambda share: 3.0), curves={"grad_norm": [(step, 0.0) for step in range(1, 50)]})
    assert codes(found) == ["no_gradient"]


def test_a_plateau_long_before_the_end_may_be_left_early() -> None:
    evals = held_out(3.0, 1.5, 0.9, 0.9, 0.901, 0.9, every=10)
    found = said(curve(falling, 100), evals, to=100)
    assert codes(found) == ["learning", "done_early"]
    assert "about 0.9 since step 20" in found[1].message
    assert codes(said(curve(falling), evals, to=195)) == ["learning"], "at the end there is nothing to be saved"
    assert codes(said(curve(falling, 100), evals, to=100, live=False)) == ["learning"]


def test_steps_slower_than_rehearsed_are_told_beside_what_the_losses_say() -> None:
    slow = {"s_per_step": [(step, 0.5) for step in range(1, 60)]}
    found = said(curve(falling), curves=slow, expected_step_s=0.2)
    assert codes(found) == ["learning", "too_slow"]
    assert codes(said(curve(falling), curves=slow, expected_step_s=0.4)) == ["learning"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_change_is_one_that_the_spec_takes(method: str) -> None:
    cases = [
        said(curve(falling, 39), no_number="loss", step=60, spec={"dtype": "float16", "method": method}),
        said(curve(lambda share: falling(share) if share < 0.5 else 9.0), spec={"method": method}),
        said(curve(falling), held_out(3.0, 2.0, 0.9, 1.0, 1.15, 1.3), spec={"method": method}),
        said(curve(lambda share: 3 * math.exp(-22 * share) + 4e-4), spec={"method": method}),
        said(curve(lambda share: 3.0), spec={"method": method}),
        said(curve(falling, 100), held_out(3.0, 1.5, 0.9, 0.9, 0.9, 0.9, every=10), to=100, spec={"method": method}),
    ]
    changes = [each.fields for found in cases for each in found if each.fields]
    assert len(changes) == len(cases)
    for fields in changes:
        parse("finetune", {"model": "starter", "dataset": "d", "method": method, **fields})
