"""Whether a plan fits, and what would: every answer is put back into the forecast."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import i18n
from backend.memory.forecast import ServePlan, TrainPlan, estimate, facts, solve, verdict
from backend.memory.forecast.plans import Plan
from backend.memory.forecast.solve import STEP
from tests.support.forecast_models import LLAMA3_8B

GIB = 1 << 30
LLAMA = facts.from_config(LLAMA3_8B, "llama")
TRAIN = TrainPlan("lora", 2048, 4, packing=True)


def fits(plan: Plan, free: int) -> bool:
    return estimate(LLAMA, replace(plan, total=free)).p95 <= free


def test_a_verdict_says_how_much_and_what_for() -> None:
    found = estimate(LLAMA, replace(TRAIN, checkpointing=True, batch=1))
    roomy, exact, small = (verdict(found, free) for free in (80 * GIB, (found.p50 + found.p95) // 2, 8 * GIB))
    assert (roomy.state, exact.state, small.state) == ("fits", "tight", "does_not_fit")
    assert str(small.reason).endswith("8.0 GiB are free; the largest part is weights, 15.0 GiB.")
    assert "may need" in str(exact.reason)


def test_a_reason_is_translated_when_it_is_read() -> None:
    reason = verdict(estimate(LLAMA, TRAIN), GIB).reason
    english = str(reason)
    i18n.use("zh_CN")
    try:
        chinese = str(reason)
    finally:
        i18n.use("en")
    assert str(reason) == english
    assert "1.0 GiB" in chinese


@settings(max_examples=40, deadline=None)
@given(free=st.integers(17 * GIB, 200 * GIB), checkpointing=st.booleans(), seq=st.integers(64, 8192))
def test_the_largest_batch_and_row_fit_and_more_does_not(free: int, checkpointing: bool, seq: int) -> None:
    plan = replace(TRAIN, checkpointing=checkpointing, seq=seq)
    found = solve(LLAMA, plan, free)
    if found.batch is None:
        assert not fits(replace(plan, batch=1), free)
    else:
        assert fits(replace(plan, batch=found.batch), free)
        assert not fits(replace(plan, batch=found.batch + 1), free)
    if found.seq is not None:
        assert fits(replace(plan, seq=found.seq), free)
        assert not fits(replace(plan, seq=found.seq + STEP), free)


def test_the_smallest_change_comes_first_and_each_one_helps() -> None:
    free, plan = 40 * GIB, replace(TRAIN, seq=1024)
    found = solve(LLAMA, plan, free)
    assert found.verdict.state == "does_not_fit"
    assert [change.field for change in found.changes][:2] == ["checkpointing", "batch, accumulation"]
    assert str(found.changes[0].text).startswith("Turn on gradient checkpointing")
    assert all(fits(change.plan, free) for change in found.changes)


def test_where_no_single_change_helps_several_together_do() -> None:
    free = 24 * GIB
    found = solve(LLAMA, TrainPlan("full", 4096, 8, packing=True), free)
    assert len(found.changes) == 1
    assert str(found.changes[0].text).startswith("Only together: checkpointing = True, batch = 1, accumulation = 8")
    assert fits(found.changes[0].plan, free)


def test_what_fits_needs_no_change_and_what_never_fits_gets_none() -> None:
    assert solve(LLAMA, TRAIN, 200 * GIB).changes == ()
    hopeless = solve(LLAMA, TRAIN, GIB)
    assert (hopeless.batch, hopeless.seq, hopeless.changes) == (None, None, ())


@pytest.mark.parametrize("kv_bits", [16, 8, 4])
def test_the_largest_share_of_a_card_that_others_use_too(kv_bits: int) -> None:
    total, free = 40 * GIB, 24 * GIB
    plan = ServePlan(total=total, used=total - free, kv_bits=kv_bits, session_len=4096, concurrency=4)  # type: ignore[arg-type]
    found = solve(LLAMA, plan, free)
    assert found.cache_ratio is not None
    best = estimate(LLAMA, replace(plan, cache_ratio=found.cache_ratio))
    assert best.p95 <= free
    assert found.cache_bytes == next(term.p50 for term in best.terms if term.name == "kv_cache")
    assert found.concurrency == (best.capacity or 0) // 4096
    assert found.session_len == (best.capacity or 0) // 4


def test_too_long_conversations_are_mended_by_fewer_bits_or_words() -> None:
    plan = ServePlan(session_len=65_536, cache_ratio=0.8)
    found = solve(LLAMA, plan, 24 * GIB)
    assert found.verdict.state == "does_not_fit"
    assert "less than one conversation" in str(found.verdict.reason)
    kinds = [change.field for change in found.changes]
    assert "session_len" in kinds
    assert "kv_bits" in kinds
    assert "quantize" in kinds


def test_in_transformers_people_and_words_are_found() -> None:
    free = 24 * GIB
    plan = ServePlan("transformers", session_len=4096)
    found = solve(LLAMA, plan, free)
    assert found.concurrency is not None
    assert found.session_len is not None
    assert fits(replace(plan, concurrency=found.concurrency), free)
    assert not fits(replace(plan, concurrency=found.concurrency + 1), free)
    assert fits(replace(plan, session_len=found.session_len), free)
    assert not fits(replace(plan, session_len=found.session_len + STEP), free)
