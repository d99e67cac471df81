"""A server's memory: against what the course notes measured, and as arithmetic that always holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.memory.forecast import Estimate, ModelFacts, ServePlan, estimate, facts
from tests.support.forecast_models import INTERNLM2_1_8B, LLAMA3_8B, LLAVA_LLAMA3

MIB, GIB = 1 << 20, 1 << 30
LLAMA = facts.from_config(LLAMA3_8B, "llama")
SMALL = facts.from_config(INTERNLM2_1_8B, "small")
AWQ = facts.from_config(
    {**LLAMA3_8B, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}, "llama-awq"
)
SLICE = 37_588
"""What the two figures of the notes for 0.8 and 0.5 give as the total of their "40 GB card": (33,236 - 26,708) / 0.3 of free
memory, and what lies under it. A whole A100 has 40,960."""


def mib(found: Estimate) -> float:
    return found.p50 / MIB


def part(found: Estimate, name: str) -> int:
    term = found.term(name)
    return term.p50 if term else 0


@pytest.mark.parametrize(
    ("model", "ratio", "measured"),
    [(LLAMA, 0.8, 33_236), (LLAMA, 0.5, 26_708), (LLAMA, 0.01, 16_176), (AWQ, 0.01, 6_738)],
)
def test_the_figures_of_the_course_come_out(model: ModelFacts, ratio: float, measured: int) -> None:
    found = estimate(model, ServePlan(total=SLICE * MIB, cache_ratio=ratio))
    assert mib(found) == pytest.approx(measured, rel=0.02)
    assert found.p95 >= measured * MIB
    assert found.fits


def test_the_share_is_of_what_others_leave() -> None:
    alone = estimate(LLAMA, ServePlan(total=40_960 * MIB, cache_ratio=0.5))
    beside = estimate(LLAMA, ServePlan(total=40_960 * MIB, used=10_000 * MIB, cache_ratio=0.5))
    less = part(alone, "kv_cache") - part(beside, "kv_cache")
    assert less == pytest.approx(0.5 * (10_000 - 0.01 * 40_960) * MIB, abs=16 * MIB)
    assert part(alone, "weights") == part(beside, "weights")


def test_the_cache_is_whole_blocks_and_holds_more_tokens_in_fewer_bits() -> None:
    found = {bits: estimate(LLAMA, ServePlan(total=24 * GIB, kv_bits=bits)) for bits in (16, 8, 4)}
    assert part(found[16], "kv_cache") % (8 * MIB) == 0  # a block of 64 tokens of Llama 3 8B
    assert found[16].capacity == part(found[16], "kv_cache") // (128 << 10)
    sixteen, eight, four = (found[bits].capacity or 0 for bits in (16, 8, 4))
    # Scales and zero points: 4 bytes for each head of 128 numbers.
    assert eight / sixteen == pytest.approx(256 / 132, rel=0.01)
    assert four / sixteen == pytest.approx(256 / 68, rel=0.01)
    assert part(found[4], "kv_cache") == pytest.approx(part(found[16], "kv_cache"), rel=0.01)


def test_an_absolute_cache_does_not_ask_the_card() -> None:
    found = estimate(LLAMA, ServePlan(cache_bytes=3 * GIB))
    assert part(found, "kv_cache") == 3 * GIB
    assert found.fits is None


def test_two_gpus_share_weights_and_cache() -> None:
    one = estimate(LLAMA, ServePlan(cache_bytes=GIB))
    two = estimate(LLAMA, ServePlan(cache_bytes=GIB, tp=2))
    assert part(two, "weights") * 2 == pytest.approx(part(one, "weights"), rel=0.001)
    assert two.capacity == 2 * (one.capacity or 0)


def test_a_cache_that_holds_no_conversation_does_not_fit() -> None:
    plan = ServePlan(total=20 * GIB, cache_ratio=0.01, session_len=8192)
    found = estimate(LLAMA, plan)
    assert found.fits is False
    assert "less than one conversation of 8192" in str(found.why)
    assert estimate(LLAMA, replace(plan, cache_ratio=0.8)).fits


def test_what_is_too_large_names_its_largest_part() -> None:
    found = estimate(LLAMA, ServePlan("transformers", total=12 * GIB, session_len=1024))
    assert found.fits is False
    assert str(found.why).startswith("It needs about 15.")
    assert "weights, 15.0 GiB" in str(found.why)


def test_in_transformers_the_cache_grows_with_people_and_words() -> None:
    plan = ServePlan("transformers", session_len=2048)
    one, eight = estimate(LLAMA, plan), estimate(LLAMA, replace(plan, concurrency=8))
    assert part(one, "kv_cache") == 2048 * (128 << 10)
    assert part(eight, "kv_cache") == 8 * part(one, "kv_cache")
    assert part(estimate(LLAMA, replace(plan, batching=8192, concurrency=8)), "kv_cache") == 8192 * (128 << 10)


def test_a_small_model_in_float16_is_widened_on_a_cpu_and_a_large_one_is_not() -> None:
    half = {
        **INTERNLM2_1_8B,
        "hidden_size": 256,
        "intermediate_size": 512,
        "vocab_size": 4096,
        "torch_dtype": "float16",
    }
    tiny, plan = facts.from_config(half, "tiny"), ServePlan("transformers", "cpu")
    assert part(estimate(tiny, plan), "weights") == 2 * tiny.stored.total
    large = facts.from_config({**INTERNLM2_1_8B, "torch_dtype": "float16"}, "large")
    assert part(estimate(large, plan), "weights") == large.stored.total
    assert part(estimate(tiny, plan), "context") == 340 * MIB


def test_the_part_that_sees_is_told_apart() -> None:
    found = estimate(facts.from_config(LLAVA_LLAMA3, "llava"), ServePlan(cache_bytes=GIB))
    assert part(found, "vision") == pytest.approx(650 * MIB, rel=0.1)


def test_bitsandbytes_packs_the_matrices_only() -> None:
    found = estimate(LLAMA, ServePlan("transformers", quantize="nf4"))
    ends = 2 * (LLAMA.params.embed + LLAMA.params.head + LLAMA.params.other)
    assert part(found, "weights") - ends == pytest.approx(LLAMA.params.linear * 4.5 / 8, rel=0.001)


PLANS = st.builds(
    ServePlan,
    engine=st.sampled_from(["lmdeploy", "transformers"]),
    device=st.sampled_from(["cuda", "cpu"]),
    total=st.one_of(st.none(), st.integers(1, 200 * GIB)),
    used=st.integers(0, 100 * GIB),
    cache_ratio=st.floats(0.0, 1.0),
    cache_bytes=st.one_of(st.none(), st.integers(0, 100 * GIB)),
    kv_bits=st.sampled_from([16, 8, 4]),
    session_len=st.one_of(st.none(), st.integers(1, 1 << 20)),
    answer_len=st.one_of(st.none(), st.integers(0, 1 << 20)),
    concurrency=st.integers(1, 512),
    tp=st.sampled_from([1, 2, 4]),
    quantize=st.sampled_from(["none", "w4a16", "nf4", "int8"]),
    batching=st.sampled_from([0, 8192]),
)


@settings(max_examples=200, deadline=None)
@given(plan=PLANS, model=st.sampled_from([LLAMA, SMALL, AWQ]))
def test_parts_add_up_and_none_is_negative(plan: ServePlan, model: ModelFacts) -> None:
    found = estimate(model, plan)
    assert sum(term.p50 for term in found.terms) == found.p50 <= found.p95
    assert 0 <= found.allocated_p50 <= found.allocated_p95
    assert found.allocated_p50 <= found.p50
    assert all(0 <= term.p50 <= term.p95 for term in found.terms)
    assert all(term.formula and term.source for term in found.terms)
    assert (found.fits is None) == (plan.total is None)


@settings(max_examples=150, deadline=None)
@given(
    plan=PLANS,
    more=st.sampled_from(["concurrency", "session_len", "cache_ratio", "cache_bytes"]),
    by=st.integers(1, 64),
)
def test_more_never_takes_less(plan: ServePlan, more: str, by: int) -> None:
    now: Any = getattr(plan, more)
    larger = min(1.0, now + by / 100) if more == "cache_ratio" else (now or 0) * (1 + by) + by
    if now is None:
        plan = replace(plan, **{more: 0 if more == "cache_bytes" else 1})
    before, after = estimate(LLAMA, plan), estimate(LLAMA, replace(plan, **{more: larger}))
    assert after.p50 >= before.p50
