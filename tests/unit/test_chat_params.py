"""Chat settings: presets, ranges, and all mistakes said at once; and what of a history is sent."""

from __future__ import annotations

import pytest

from backend.chat.history import estimate_tokens, fit, scale_of, turns_of
from backend.chat.params import PRESET_NAMES, PRESETS, ChatParams, parse_params, preset_of, with_preset
from backend.chat.records import Message
from backend.errors import ServerError, SpecError


def message(number: int, role: str, content: str, state: str = "done", **more: object) -> Message:
    return Message(number, "c", role, content, state, 0.0, 0.0, model="m", **more)  # type: ignore[arg-type]


def history(turns: int, words: int = 50) -> list[Message]:
    found = []
    for n in range(turns):
        found += [message(2 * n, "user", f"q{n} " + "word " * words), message(2 * n + 1, "assistant", f"a{n}")]
    return [*found, message(2 * turns, "user", "last question")]


def test_the_defaults_are_those_of_the_course_notes() -> None:
    assert (ChatParams().temperature, ChatParams().top_p) == (0.7, 0.8)
    assert preset_of(ChatParams()) == "balanced"


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_changes_the_sampling_and_nothing_else(name: str) -> None:
    before = ChatParams(system="Be kind", max_tokens=99, seed=5, temperature=1.3)
    after = with_preset(before, name)
    assert preset_of(after) == name
    assert name in PRESET_NAMES
    assert (after.system, after.max_tokens, after.seed) == ("Be kind", 99, 5)
    assert preset_of(before) is None


def test_all_wrong_values_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_params({"temperature": 3, "top_p": 0, "max_tokens": 0, "seed": -1, "system": "x" * 20_001, "top_k": 5})
    assert {p["field"] for p in caught.value.problems} == {
        "temperature",
        "top_p",
        "max_tokens",
        "seed",
        "system",
        "top_k",
    }
    for field in ("temperature", "top_p", "max_tokens", "seed", "system", "top_k"):
        assert field in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "hot", None])
def test_a_temperature_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="temperature"):
        parse_params({"temperature": value})


def test_a_history_that_fits_is_sent_whole_after_the_system_prompt() -> None:
    request = fit(history(2), ChatParams(system="Be brief"), model="m", context_length=4096)
    assert [m["role"] for m in request.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert request.left_out == 0
    assert request.max_tokens == 512


def test_the_oldest_turns_go_first_and_the_system_prompt_stays() -> None:
    request = fit(history(20), ChatParams(system="Be brief", max_tokens=100), model="m", context_length=600)
    assert request.messages[0] == {"role": "system", "content": "Be brief"}
    assert request.messages[-1]["content"] == "last question"
    assert request.messages[1]["role"] == "user"
    assert request.left_out > 0
    assert request.left_out + len(request.messages) - 1 == 41
    assert request.tokens + request.max_tokens <= 600


def test_the_answer_gets_no_more_room_than_is_left() -> None:
    request = fit(history(0), ChatParams(max_tokens=4000), model="m", context_length=512)
    assert request.tokens + request.max_tokens <= 512


def test_without_a_known_context_nothing_is_dropped() -> None:
    assert fit(history(500), ChatParams(), model="m", context_length=0).left_out == 0


def test_a_prompt_that_no_tokenizer_could_fit_is_refused_at_once() -> None:
    long = [*history(3), message(99, "user", "字" * 100_000)]
    with pytest.raises(ServerError, match=r"100,000 characters; it reads at most 1,024 tokens") as caught:
        fit(long, ChatParams(), model="m", context_length=1024)
    assert caught.value.code == "prompt_too_long_for_model"
    with pytest.raises(ServerError, match="system prompt is too long"):
        fit(history(0), ChatParams(system="x" * 20_000), model="m", context_length=1024)


def test_prompts_whose_answer_failed_are_not_sent_again() -> None:
    messages = [
        message(1, "user", "far too long"),
        message(2, "assistant", "", "failed"),
        message(3, "user", "short"),
        message(4, "assistant", "half an ans", "stopped"),
        message(5, "user", "go on"),
    ]
    sent = [m["content"] for turn in turns_of(messages) for m in turn]
    assert sent == ["short", "half an ans", "go on"]


def test_estimates_learn_from_what_the_server_reported() -> None:
    chat = [message(1, "user", "x" * 400), message(2, "assistant", "ok", prompt_tokens=318, counted=True)]
    assert estimate_tokens("x" * 400) == 100
    assert scale_of(chat, "m") == pytest.approx(3.0)
    assert scale_of(chat, "another model") == 1.0


def test_chinese_and_emoji_count_one_token_a_character() -> None:
    assert estimate_tokens("小麦在春天生长") == 7
    assert estimate_tokens("😀😀") == 2
    assert estimate_tokens("four") == 1
