"""A training's memory: against XTuner's own log lines, numbers that papers give, and as arithmetic that always holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import SpecError
from backend.memory.forecast import Estimate, ModelFacts, TrainPlan, estimate, facts
from backend.memory.forecast.training import NF4, NF4_DOUBLE, trained
from tests.support.forecast_models import INTERNLM2_1_8B, LLAMA3_8B, LLAVA_LLAMA3

MIB, GIB = 1 << 20, 1 << 30
LLAMA = facts.from_config(LLAMA3_8B, "llama")
SMALL = facts.from_config(INTERNLM2_1_8B, "small")
LLAVA = facts.from_config(LLAVA_LLAMA3, "llava")
XTUNER = TrainPlan("qlora", 512, 1, accumulation=16, rank=16, packing=True, checkpointing=True)
"""The self-cognition run of the course: NF4 with double quantization, rows of 512 tokens, packed."""


def part(found: Estimate, name: str) -> int:
    term = found.term(name)
    return term.p50 if term else 0


def test_the_line_of_the_course_comes_out() -> None:
    """``memory: 9793`` at iteration 10: with 16 rows to a step, before there are optimizer states."""
    found = estimate(LLAMA, XTUNER)
    assert found.allocated_p50 / MIB == pytest.approx(9793 + part(found, "optimizer") / MIB, rel=0.05)
    assert found.allocated_p95 > 9793 * MIB


def test_the_model_that_sees_comes_out() -> None:
    """44,447 MiB on an A100: QLoRA of rank 512, a LoRA of rank 64 on the part that sees, ZeRO-2."""
    found = estimate(LLAVA, TrainPlan("qlora", 2048, 1, rank=512, vision_rank=64, checkpointing=True, zero=2))
    assert found.p50 / MIB == pytest.approx(44_447, rel=0.05)
    assert found.p95 > 44_447 * MIB


def test_the_numbers_of_a_lora_are_those_that_peft_prints() -> None:
    """peft: "trainable params: 41,943,040" for Llama 3 8B, rank 16, all linear; 3,407,872 for rank 8 on q and v."""
    assert trained(LLAMA, XTUNER).language == 41_943_040
    assert trained(LLAMA, replace(XTUNER, rank=8, targets=("q_proj", "v_proj"))).language == 3_407_872


def test_bits_of_a_weight_are_those_of_the_paper() -> None:
    assert 8 * NF4 == 4.5
    assert round(8 * NF4_DOUBLE, 3) == 4.127
    ends = LLAMA.params.embed + LLAMA.params.head + LLAMA.params.other
    narrow = part(estimate(LLAMA, replace(XTUNER, upcast=False)), "weights")
    assert narrow == pytest.approx(LLAMA.params.linear * 4.127 / 8 + 2 * ends, rel=0.001)
    assert part(estimate(LLAMA, XTUNER), "weights") - narrow == 2 * ends


def test_full_training_by_precision_and_stage() -> None:
    numbers = LLAMA.params.language
    plan = TrainPlan("full", 1024, 1, accumulation=8, checkpointing=True)

    def bytes_each(**changes: Any) -> list[float]:
        found = estimate(LLAMA, replace(plan, **changes))
        return [round(part(found, name) / numbers, 2) for name in ("weights", "gradients", "optimizer")]

    assert bytes_each(precision="mixed") == [4, 4, 8]
    assert bytes_each(precision="pure_bf16") == bytes_each(precision="auto") == [2, 2, 4]
    assert bytes_each(precision="mixed", optimizer="adamw_8bit") == [4, 4, 2.03]
    assert bytes_each(precision="mixed", optimizer="sgd") == [4, 4, 0]
    # Rajbhandari et al. 2020, figure 1: 2 + 2 + 12 bytes, of which each stage shares one more.
    assert bytes_each(zero=1, gpus=4) == [2, 2, 3]
    assert bytes_each(zero=2, gpus=4) == [2, 0.5, 3]
    assert bytes_each(zero=3, gpus=4) == [0.5, 0.5, 3]
    assert bytes_each(zero=2, gpus=4, offload=True) == [2, 0, 0]
    assert bytes_each(zero=3, gpus=4, offload=True) == [0, 0, 0]


def test_torch_does_not_count_paged_states_and_the_driver_does() -> None:
    plain = estimate(LLAMA, replace(XTUNER, optimizer="adamw"))
    paged = estimate(LLAMA, replace(XTUNER, optimizer="paged_adamw_32bit"))
    assert paged.p50 == plain.p50
    assert plain.allocated_p50 - paged.allocated_p50 == part(plain, "optimizer")


def test_gradients_take_the_room_of_activations_unless_they_stay() -> None:
    """Weights, both states, and at the fullest moment either all activations, or gradients and AdamW's roots."""
    small = TrainPlan("full", 4096, 1, packing=True, checkpointing=True)
    numbers = 2 * LLAMA.params.language
    assert estimate(LLAMA, small).allocated_p50 == pytest.approx(5 * numbers, rel=0.01)
    large = replace(small, batch=8)
    activations = part(estimate(LLAMA, replace(large, accumulation=2)), "activations")
    assert activations > 2 * numbers
    assert estimate(LLAMA, large).allocated_p50 == pytest.approx(3 * numbers + activations, rel=0.01)
    assert estimate(LLAMA, replace(large, accumulation=2)).allocated_p50 == pytest.approx(
        4 * numbers + activations, rel=0.01
    )


def test_idle_blocks_are_given_back_before_memory_runs_out() -> None:
    plan = TrainPlan("lora", 2048, 2, lengths="varied", checkpointing=True)
    alone = estimate(LLAMA, plan)
    equal = estimate(LLAMA, replace(plan, lengths="equal"))
    assert alone.allocated_p50 == equal.allocated_p50 < equal.p50 < alone.p50
    free = (alone.allocated_p50 + alone.p50) // 2
    beside = estimate(LLAMA, replace(plan, total=free))
    assert beside.allocated_p50 == alone.allocated_p50
    assert beside.p50 == pytest.approx(0.97 * free, rel=0.001)
    assert beside.fits


def test_what_saves_memory_saves_memory() -> None:
    plan = TrainPlan("lora", 2048, 4)
    most = estimate(LLAMA, plan).p50
    for change in ({"checkpointing": True}, {"fused_loss": True}, {"method": "qlora", "upcast": False}):
        assert estimate(LLAMA, replace(plan, **change)).p50 < most, change
    assert estimate(LLAMA, replace(plan, attention="eager")).p50 > most
    assert estimate(LLAMA, replace(plan, method="full")).p50 > most


def test_logits_weigh_more_than_a_layer() -> None:
    """3 tensors of 32 bits: 12 x 128,256 bytes a token, against the inputs of 32 layers of 4,096 numbers of 16 bits."""
    found = estimate(LLAMA, TrainPlan("lora", 4096, 1, accumulation=16, checkpointing=True))
    assert part(found, "activations") == 4096 * (12 * 128_256 + 32 * 4096 * 2)


def test_a_matrix_that_is_not_there_is_said() -> None:
    with pytest.raises(SpecError) as caught:
        estimate(LLAMA, replace(XTUNER, targets=("q_proj", "wqkv")))
    assert str(caught.value) == "'llama' has no matrices called wqkv."
    assert "q_proj" in caught.value.localized()[1]


def test_on_a_cpu_all_is_32_bits_wide() -> None:
    found = estimate(SMALL, TrainPlan("lora", 512, 1, device="cpu"))
    assert part(found, "weights") == 4 * SMALL.params.language
    assert part(found, "context") == 340 * MIB


PLANS = st.builds(
    TrainPlan,
    method=st.sampled_from(["full", "lora", "qlora"]),
    seq=st.integers(1, 1 << 17),
    batch=st.integers(1, 256),
    accumulation=st.sampled_from([1, 2, 16]),
    rank=st.integers(1, 1024),
    packing=st.booleans(),
    lengths=st.sampled_from(["unknown", "equal", "varied"]),
    checkpointing=st.booleans(),
    optimizer=st.sampled_from(["adamw", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "sgd", "adafactor"]),
    precision=st.sampled_from(["auto", "mixed", "pure_bf16", "fp32"]),
    zero=st.integers(0, 3),
    offload=st.booleans(),
    gpus=st.integers(1, 64),
    attention=st.sampled_from(["sdpa", "flash", "eager"]),
    upcast=st.booleans(),
    double_quant=st.booleans(),
    fused_loss=st.booleans(),
    vision_rank=st.integers(0, 64),
    device=st.sampled_from(["cuda", "cpu"]),
    total=st.one_of(st.none(), st.integers(1, 200 * GIB)),
)


@settings(max_examples=200, deadline=None)
@given(plan=PLANS, model=st.sampled_from([LLAMA, SMALL, LLAVA]))
def test_parts_add_up_and_none_is_negative(plan: TrainPlan, model: ModelFacts) -> None:
    found = estimate(model, plan)
    assert sum(term.p50 for term in found.terms) == found.p50 <= found.p95
    assert 0 <= found.allocated_p50 <= found.p50
    assert found.allocated_p50 <= found.allocated_p95
    assert all(0 <= term.p50 <= term.p95 for term in found.terms)
    assert all(term.formula and term.source for term in found.terms)
    assert (found.fits is None) == (plan.total is None)


@settings(max_examples=200, deadline=None)
@given(
    plan=PLANS,
    model=st.sampled_from([LLAMA, LLAVA]),
    more=st.sampled_from(["seq", "batch", "rank", "vision_rank"]),
    by=st.integers(1, 8),
)
def test_more_never_takes_less(plan: TrainPlan, model: ModelFacts, more: str, by: int) -> None:
    before = estimate(model, plan)
    after = estimate(model, replace(plan, **{more: getattr(plan, more) * by + by}))
    assert after.p50 >= before.p50
    assert after.p95 >= before.p95
    assert after.allocated_p50 >= before.allocated_p50
