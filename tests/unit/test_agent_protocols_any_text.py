"""Whatever a model writes is understood without an error, and however much of it in little time."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.agent.calls import PROTOCOLS, Call, Protocol
from backend.agent.protocols import looping, understood
from tests.unit.agent_replies import BARE, INTERNLM2, OPENAI, REACT
from tests.unit.test_agent_protocols import TOOLS, understand

PIECES = [
    "Thought:", "Action:", "Action Input:", "Final Answer:", "Response:", "\n", "calculator", "arxiv_search", "weather", "{", "}", "[",
    "]", '"', "'", ",", ":", "：", "“", "\\", "\\u", "query=", "expression", "1", "None", "<tool_call>", "</tool_call>", "<think>", "</think>",
    "<|action_start|>", "<|plugin|>", "<|interpreter|>", "<|action_end|>", "```", "json", "我要用", "(", ")", " ", "\ud800", "\x00", '"name":',
    '"arguments":', "<function=", ">", "思考：", '"""', "I will use",
]  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | pieces,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["function", "name", "arguments", "content", "tool_calls", "text"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PROTOCOLS), pieces, st.sampled_from([None, "stop", "length"]), st.booleans())
def test_no_text_raises(protocol: Protocol, reply: str, finish: str | None, repair: bool) -> None:
    made = understand(protocol, reply, finish_reason=finish, repair=repair)
    assert made.calls or made.answer is not None or made.problem is not None
    for call in made.calls:
        str(call).encode()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(PROTOCOLS), st.dictionaries(st.sampled_from(["content", "tool_calls", "function_call"]), anything)
)
def test_no_message_raises(protocol: Protocol, message: dict[str, Any]) -> None:
    understand(protocol, message)


@pytest.mark.parametrize("seed", range(4))
def test_no_damaged_reply_raises_or_calls_what_is_not_there(seed: int) -> None:
    chance = random.Random(seed)
    replies = [str(row[0]) for row in (*REACT, *INTERNLM2, *OPENAI)] + [
        f"Action: {row[0]}\nAction Input: {row[1]}" for row in BARE
    ]
    for reply in replies:
        text = list(reply)
        for _each in range(chance.randint(1, 4)):
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randint(0, 3)] = chance.choice(PIECES)
        for protocol in PROTOCOLS:
            made = understand(protocol, "".join(text))
            assert {call.name for call in made.calls} <= {tool.name for tool in TOOLS}
            assert made.calls or made.answer is not None or made.problem is not None


HOSTILE = (
    "{", "[", "}", '{"', '{"a":', "[1,", "'", '"', "“", "\\", '"\\', " ", "\n", "\t \n", "*", "> ", "```", "```json\n{", "<tool_call>",
    "<tool_call>{", "<function=a>", "<function=calculator>{", "<|action_start|>", "<|plugin|>{", "<think>", "Action:", "Action: calculator\n",
    "Action Input:", "Action: calculator\nAction Input: query=", "Response:", "Final Answer:", "query=", "query=1, ", "I will ", "我要",
    "a", "ab ", "I'll use the ", "1", "-", "0.", '{"name": "calculator", "arguments": ', '{"name": "x"} ', "。", "\ud800", '" ', '",',
)  # fmt: skip
PREFIXES = (
    "",
    "Action: calculator\nAction Input: ",
    "<|action_start|><|plugin|>",
    '{"name": "calculator", "arguments": {"expression": "',
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_two_megabytes_of_anything_are_understood_in_little_time(prefix: str) -> None:
    for unit in HOSTILE:
        text = prefix + unit * (200_000 // len(unit))
        for protocol in PROTOCOLS:
            understood(protocol, text, TOOLS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["{", " ", "a<think>", '{"a": [', "<|im_end|>"])
def test_two_megabytes_are_no_more_work_than_what_is_read_of_them(unit: str) -> None:
    for protocol in PROTOCOLS:
        understand(protocol, unit * (2_000_000 // len(unit)))
        understand(
            protocol,
            {"tool_calls": [{"function": {"name": "calculator", "arguments": unit * (2_000_000 // len(unit))}}]},
        )


def test_a_long_answer_is_kept_whole() -> None:
    text = "".join(f"Sentence {number} of it. " for number in range(20_000)).strip()
    assert understand("openai", text).answer == text


def test_a_schema_that_makes_no_sense_refuses_nothing() -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"properties": 3, "required": "x"},
        {"properties": {"a": 7}},
        {"properties": {"a": {"type": ["?", 3]}}},
    ]
    for schema in odd:
        tool = replace(TOOLS[0], parameters=schema)
        made = understood("react", 'Action: calculator\nAction Input: {"a": {"b": [1]}}', [tool])
        assert [call.arguments for call in made.calls] == [{"a": {"b": [1]}}]


def test_the_same_call_three_times_is_a_loop_and_another_is_none() -> None:
    one, two = Call("calculator", {"expression": "1"}), Call("calculator", {"expression": "2"})
    assert looping([]) is None
    assert looping([one, two, one]) is None
    assert looping([one, one, one, two]) is None
    problem = looping([one, two, one, one])
    assert problem is not None
    assert (problem.code, problem.params) == ("same_call_again", {"tool": "calculator", "times": 3})
