"""Parts of the server that need no model: stop strings, what a crash is told from, number formats, the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.catalog import ModelCard
from backend.errors import ModelError, SpecError
from backend.specs import parse
from backend.specs.serve import ServeSpec
from jobs.harness import Job
from jobs.serve import make_plan
from jobs.serving.child import last_words
from jobs.serving.cutting import Cutter
from jobs.serving.memory import free_bytes, serving_dtype
from jobs.serving.plan import Plan
from jobs.serving.requests import parse_chat

CARD = ModelCard("m", Path("/m"), "LlamaForCausalLM", dtype="float16", size_bytes=10 << 20, context_length=131072)


@given(st.lists(st.text("abc", max_size=4), max_size=12), st.lists(st.text("abc", min_size=1, max_size=5), max_size=3))
@example(["a", "b", "a", "b", "a", "c"], ["abac"])
@example(["aab"], ["b", "ab", "aab"])
def test_what_goes_out_is_the_text_before_the_first_stop_string_however_it_is_cut(
    pieces: list[str], stops: list[str]
) -> None:
    text = "".join(pieces)
    cutter = Cutter(stops)
    out = ""
    for piece in pieces:
        out += cutter.feed(piece)
        # Nothing that could still become a stop string has gone out.
        assert not any(stop in out for stop in stops)
    out += cutter.flush()
    # A stop string ends the answer as soon as it is whole; of two that end together the one that began first counts.
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    if not ends:
        assert (out, cutter.stopped) == (text, False)
    else:
        assert cutter.stopped
        assert text.startswith(out)
        assert len(out) in {begin for _, begin in ends}


def test_text_that_cannot_be_a_stop_string_goes_out_at_once() -> None:
    cutter = Cutter(["</s>"])
    assert cutter.feed("Good morning <") == "Good morning "
    assert cutter.feed("b> and </") == "<b> and "
    assert cutter.feed("s> never") == ""
    assert cutter.feed("more") == cutter.flush() == ""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "-"),
        (["", "  "], "-"),
        (["loading", "done"], "done"),
        (
            ["Traceback (most recent call last):", '  File "x"', "ValueError: no such thing", ""],
            "ValueError: no such thing",
        ),
        (
            ["torch.OutOfMemoryError: CUDA out of memory", "  extra", "cleaning up"],
            "torch.OutOfMemoryError: CUDA out of memory",
        ),
        (["ERROR:    [Errno 98] address already in use", "bye"], "ERROR:    [Errno 98] address already in use"),
    ],
)
def test_the_last_words_are_the_line_that_says_most(lines: list[str], words: str) -> None:
    assert last_words(lines) == words


def test_small_half_precision_models_are_widened_on_a_cpu_and_nothing_else() -> None:
    assert serving_dtype(CARD, "cpu") == "float32"
    assert serving_dtype(CARD, "cuda") == "float16"
    assert serving_dtype(replace(CARD, size_bytes=16 << 30), "cpu") == "float16"
    assert serving_dtype(replace(CARD, dtype="bfloat16"), "cpu") == "bfloat16"
    assert serving_dtype(replace(CARD, dtype="int32", quantization="awq 4 bit"), "cpu") == "auto"
    with pytest.raises(ModelError, match="stored as int64"):
        serving_dtype(replace(CARD, dtype="int64"), "cpu")


def test_the_plan_decides_what_the_spec_leaves_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(**fields: object) -> Plan:
        spec = ServeSpec.model_validate({"model": "m", **fields})
        return make_plan(Job(spec, tmp_path), spec, CARD)

    plain = planned()
    assert (plain.device, plain.dtype, plain.name, plain.aliases) == ("cpu", "float32", "m", ("/m",))
    assert plain.context_length == 131072
    assert not plain.batching
    assert plain.port > 0
    assert planned(context_length=500).context_length == 500
    assert planned(name="other").aliases == ("m", "/m")
    batched = planned(continuous_batching="on")
    # One prompt that is larger than the cache ends the engine's worker.
    assert batched.context_length <= batched.cache_tokens
    monkeypatch.setenv("TUNEDECK_JOB_PORTS", "23456")
    monkeypatch.setenv("TUNEDECK_JOB_GPUS", "GPU-1")
    leased = planned()
    assert (leased.port, leased.device, leased.dtype) == (23456, "cuda", "float16")
    again = Plan.read(leased.write(tmp_path))
    assert again == leased


def test_all_wrong_fields_of_a_spec_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse("serve", {"model": "", "threads": -1, "device": "tpu", "colour": "red"})
    assert {p["field"] for p in caught.value.problems} == {"model", "threads", "device", "colour"}


def test_the_newer_name_of_the_token_limit_wins_and_the_default_is_bounded() -> None:
    base = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert parse_chat({**base, "max_tokens": 5, "max_completion_tokens": 7}).limit() == 7
    assert parse_chat({**base, "max_tokens": 5, "max_completion_tokens": None}).limit() == 5
    assert parse_chat(base).limit() == 1024


def test_free_memory_is_told_and_less_than_all() -> None:
    import psutil

    assert 0 < free_bytes() <= psutil.virtual_memory().total
