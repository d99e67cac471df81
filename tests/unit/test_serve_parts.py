"""Parts of the server that need no model: pieces on their way to the client, stop strings, what a crash is told from, number formats, the plan."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.catalog import ModelCard
from backend.engines.crashes import last_words
from backend.errors import ModelError, SpecError
from backend.specs import parse
from backend.specs.serve import ServeSpec
from jobs.harness import Job
from jobs.serving import frames
from jobs.serving.api_errors import ApiError
from jobs.serving.cutting import Cutter
from jobs.serving.launch import make_plan
from jobs.serving.memory import free_bytes, serving_dtype
from jobs.serving.plan import Plan
from jobs.serving.prompts import Prompt
from jobs.serving.requests import parse_chat, parse_completion

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


# --- frames


def _read(write: Callable[[frames.Frames], None], pause_s: float = 0.0) -> list[list[Any]]:
    """What a client gets of what another thread writes, a list a frame; the client is ``pause_s`` slow. An error is the
    last frame."""

    async def read() -> list[list[Any]]:
        way = frames.Frames()
        writer = threading.Thread(target=write, args=(way,))
        writer.start()
        got: list[list[Any]] = []
        try:
            async with asyncio.timeout(20):
                async for pieces in way.read():
                    got.append(pieces)
                    await asyncio.sleep(pause_s)
        except ApiError as error:
            got.append([error])
        writer.join()
        return got

    return asyncio.run(read())


def _all(way: frames.Frames, items: Iterable[Any], every_s: float = 0.0) -> None:
    for item in items:
        way.put_nowait(item)
        time.sleep(every_s)


@pytest.mark.parametrize("pause_s", [0.0, 0.002])
@pytest.mark.parametrize("every_s", [0.0, 0.0005, 0.003])
def test_all_pieces_of_an_answer_arrive_in_order_however_fast_they_come_and_go(
    monkeypatch: pytest.MonkeyPatch, every_s: float, pause_s: float
) -> None:
    monkeypatch.setattr(frames, "FRAME_S", 0.002)
    pieces = [str(n) for n in range(300)]
    assert list(chain(*_read(lambda way: _all(way, [*pieces, None], every_s), pause_s))) == pieces


def test_the_first_piece_and_the_end_do_not_wait_and_what_lies_between_goes_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "FRAME_S", 3600.0)
    assert _read(lambda way: _all(way, ["a", "b", "c", None], 0.1)) == [["a"], ["b", "c"]]


def test_a_piece_is_not_kept_back_until_the_next_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_S", 0.1)

    async def read() -> list[list[Any]]:
        way = frames.Frames()
        reader = aiter(way.read())
        got = []
        for piece in ("a", "b"):  # the second one within the frame of the first one
            way.put_nowait(piece)
            got.append(await asyncio.wait_for(anext(reader), 20))
        waits = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.5)
        # A model that is slower than the frames: no frame is waited for any more.
        monkeypatch.setattr(frames, "FRAME_S", 3600.0)
        way.put_nowait("c")
        got.append(await asyncio.wait_for(waits, 20))
        return got

    assert asyncio.run(read()) == [["a"], ["b"], ["c"]]


def test_a_model_that_fails_is_told_to_the_client_after_what_it_wrote() -> None:
    from jobs.serving.generation import Generator

    def generate(streamer: Any, **_arguments: Any) -> None:
        streamer._queue.put_nowait("Good")
        raise RuntimeError("no more")

    model = SimpleNamespace(
        device="cpu",
        config=SimpleNamespace(model_type="llama"),
        get_input_embeddings=lambda: SimpleNamespace(weight=[0] * 8),
        generation_config=SimpleNamespace(do_sample=False),
        generate=generate,
    )
    plan = Plan("/m", "m", (), "", 0, "cpu", "float32", 1, 100, False, 0, False, False)
    request = parse_completion({"model": "m", "prompt": "x"})

    async def read() -> list[Any]:
        generator = Generator(plan, model, SimpleNamespace(_tokenizer=None))
        answer = generator.start(Prompt([1]), request, 9, chat=False)
        got: list[Any] = []
        try:
            async for pieces in answer.frames.read():
                got += pieces
        except ApiError as error:
            got.append((error.status, error.message))
        # The thread is free for the next answer.
        async with asyncio.timeout(20):
            while generator.computing:
                await asyncio.sleep(0.01)
        return got

    assert asyncio.run(read()) == ["Good", (500, "The model failed while writing the answer: no more")]
