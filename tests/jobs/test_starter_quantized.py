"""Weights rounded to 4 and 8 bits: few levels per group, little harm, and the less the more bits."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.utils import logging

from backend.workspace import ROOT
from jobs import evaluate_starter
from jobs.starter import evaluate, quantized

STARTER = ROOT / "models" / "starter"
TINY = ROOT / "models" / "tiny"


@pytest.fixture(scope="module")
def speakers() -> dict[int, evaluate.Speaker]:
    """bits -> the starter; 16 as it is shipped."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    return {16: evaluate.Speaker(STARTER), **{bits: evaluate.Speaker(STARTER, bits=bits) for bits in (4, 8)}}


@given(
    st.integers(0, 2**32 - 1), st.sampled_from((4, 8)), st.sampled_from((1e-3, 0.05, 10.0)), st.sampled_from((-3, 0, 3))
)
@settings(deadline=None, max_examples=40)
def test_a_group_has_few_levels_and_no_weight_moves_further_than_one(
    seed: int, bits: int, spread: float, shift: int
) -> None:
    weight = spread * (torch.randn(6, 256, generator=torch.Generator().manual_seed(seed)) + shift)
    found = quantized.rounded(weight, bits)
    assert found.shape == weight.shape
    for group, after in zip(
        weight.unflatten(1, (2, 128)).flatten(0, 1), found.unflatten(1, (2, 128)).flatten(0, 1), strict=True
    ):
        assert len(after.unique()) <= 2**bits
        step = (group.max().clamp(min=0) - group.min().clamp(max=0)) / (2**bits - 1)
        assert (after - group).abs().max() <= 1.01 * step + 1e-6
        assert (after - group).abs().mean() <= 0.3 * step + 1e-6  # a quarter of a step, on average, for even weights


def test_zeros_stay_zeros() -> None:
    weight = torch.zeros(2, 256)
    weight[0, :128] = torch.linspace(-1, 2, 128).round(decimals=1)
    for bits in (4, 8):
        found = quantized.rounded(weight, bits)
        assert torch.equal(found[weight == 0], torch.zeros(int((weight == 0).sum())))


def test_weights_that_are_on_levels_stay() -> None:
    weight = torch.arange(-8, 8).repeat(3, 16) / 4
    assert torch.equal(quantized.rounded(weight, 4), weight)


def test_other_bits_and_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bits: only 4 and 8 are known"):
        quantized.rounded(torch.zeros(2, 128), 3)
    with pytest.raises(ValueError, match="groups of 128 do not divide an input dimension of 192"):
        quantized.rounded(torch.zeros(2, 192), 4)


def test_a_model_that_does_not_fit_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(128, 192), nn.Linear(192, 8))
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="192"):
        quantized.quantize(model, 4)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_every_linear_of_the_layers_is_rounded_and_nothing_else(speakers: dict[int, evaluate.Speaker]) -> None:
    after = speakers[4].model.state_dict()
    for name, before in speakers[16].model.state_dict().items():
        if "proj" in name:
            assert all(len(group.unique()) <= 16 for row in after[name] for group in row.split(128))
            assert not torch.equal(before, after[name])
        else:
            assert torch.equal(before, after[name]), name


def test_eight_bits_cost_less_than_four_and_four_not_everything(speakers: dict[int, evaluate.Speaker]) -> None:
    asked = evaluate.questions(10, "facts")
    found = {bits: quantized.compare(speakers[16], speakers[bits], asked) for bits in (4, 8, 16)}
    assert found[16].divergence == pytest.approx(0, abs=1e-6)
    assert found[16].agreement == 1
    assert found[16].perplexity == found[16].reference_perplexity
    assert 0 < found[8].divergence < found[4].divergence / 10
    assert found[4].agreement < found[8].agreement
    assert found[4].divergence > 0.005
    assert found[4].agreement > 0.9
    assert found[4].perplexity < 1.2 * found[4].reference_perplexity
    assert found[4].tokens == found[8].tokens > 200


def test_the_tokens_that_are_compared_are_those_of_the_expected_answers(speakers: dict[int, evaluate.Speaker]) -> None:
    asked = evaluate.questions(4)
    tokens = torch.cat([expected for _, expected in speakers[16].expectations(asked)]).tolist()
    assert speakers[16].tokenizer.decode(tokens) == "".join(one.answer + "<|eot_id|>" for one in asked)


def test_a_four_bit_evaluation_says_how_far_it_is_from_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_starter.main(["--bits", "4", "--n", "4", "--skill", "greetings", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["bits"] == 4
    assert data["rows"][0]["n"] == 4
    assert data["difference"]["divergence"] > 0
    assert evaluate_starter.main(["--bits", "8", "--n", "4", "--skill", "greetings"]) == 0
    assert "8 bits over " in capsys.readouterr().out


def test_bits_that_are_not_known_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate_starter.main(["--bits", "3"])
    assert stopped.value.code == 2
    assert "invalid choice: 3 (choose from 4, 8)" in capsys.readouterr().err


def test_dimensions_that_do_not_fit_are_said_without_a_traceback() -> None:
    with pytest.raises(SystemExit, match="tiny: groups of 128 do not divide an input dimension of 64"):
        evaluate_starter.main([str(TINY), "--bits", "4", "--n", "2", "--skill", "greetings"])
