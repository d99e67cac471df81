"""Raw replies of models, well formed and not, in both languages, and what each is understood as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.agent.calls import Protocol, Understood
from backend.agent.protocols import understood
from backend.agent.tools import Tool
from tests.unit.agent_replies import BARE, INTERNLM2, OPENAI, REACT


def _tool(name: str, required: list[str], **properties: Any) -> Tool:
    return Tool(name, name, "", f"About {name}.", {"type": "object", "properties": properties, "required": required})


TEXT = {"type": "string"}
TOOLS = [
    _tool("calculator", ["expression"], expression=TEXT),
    _tool("arxiv_search", ["query"], query=TEXT, max_results={"type": "integer"}),
    _tool("python_code", ["code"], code=TEXT),
    _tool(
        "weather", ["city", "days"], city=TEXT, days={"type": "integer"},
        unit={"type": "string", "enum": ["celsius", "fahrenheit"]}, hourly={"type": "boolean"},
        hours={"type": "array", "items": {"type": "integer"}},
    ),
    _tool("panel_status", []),
]  # fmt: skip
OFF = ["web_page"]


def understand(protocol: Protocol, reply: Any, **more: Any) -> Understood:
    return understood(protocol, reply, TOOLS, off=OFF, **more)


def shown(made: Understood) -> str:
    """Calls as ``name {json}``, else the answer; then repairs after ~ and the problem after !."""
    parts = [f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}" for call in made.calls]
    parts += [f"= {made.answer}"] if made.answer is not None else []
    codes = dict.fromkeys(repair.code for repair in made.repairs)
    parts += [f"~{' '.join(sorted(codes))}"] if codes else []
    parts += [f"!{made.problem.code}"] if made.problem else []
    return " | ".join(parts)


CASES = [
    *(("react", reply, expected) for reply, expected in REACT),
    *(("internlm2", reply, expected) for reply, expected in INTERNLM2),
    *(("openai", reply, expected) for reply, expected in OPENAI),
    *(("react", f"Thought: go\nAction: {name}\nAction Input: {given}", expected) for name, given, expected in BARE),
]


@pytest.mark.parametrize(("protocol", "reply", "expected"), CASES)
def test_a_raw_reply_is_understood_as_what_was_meant(protocol: Protocol, reply: Any, expected: str) -> None:
    assert shown(understand(protocol, reply)) == expected


def test_the_table_is_as_large_as_it_is_said_to_be() -> None:
    assert len(CASES) >= 120
    assert len({(protocol, str(reply)) for protocol, reply, _expected in CASES}) == len(CASES)


@pytest.mark.parametrize(("protocol", "reply", "expected"), [case for case in CASES if "~" in case[2]])
def test_what_is_repaired_is_a_problem_where_nothing_is_to_be_repaired(
    protocol: Protocol, reply: Any, expected: str
) -> None:
    made = understand(protocol, reply, repair=False)
    assert not made.calls
    assert made.problem is not None
    assert made.problem.helps
    assert all(repair.before != repair.after for repair in understand(protocol, reply).repairs)


@pytest.mark.parametrize(("protocol", "reply", "expected"), [case for case in CASES if "~" not in case[2]])
def test_what_needs_no_repair_is_the_same_without(protocol: Protocol, reply: Any, expected: str) -> None:
    assert understand(protocol, reply, repair=False) == understand(protocol, reply)


def test_a_repair_tells_what_was_there_and_what_was_made_of_it() -> None:
    made = understand("react", "Action: arxiv_search\nAction Input: query=InternLM2 Technical Report")
    (repair,) = made.repairs
    assert (repair.code, repair.before, repair.after) == (
        "key_value", "query=InternLM2 Technical Report", '{"query": "InternLM2 Technical Report"}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "reply"),
    [
        ("react", 'Action: calculator\nAction Input: {"expression": "1 + 1'),
        ("react", 'Action: weather\nAction Input: {"city": "Paris", "days": 1'),
        ("react", "Thought: I have to\nAction: calcul"),
        ("internlm2", '<|action_start|><|plugin|>\n{"name": "calculator", "parameters": {"expression": "1+'),
        ("internlm2", '<|action_start|><|plugin|>\n{"name": "calculator", "parameters": {"expression": "1+1"}'),
        ("internlm2", "<|action_start|><|plugin|>"),
        ("openai", '<tool_call>{"name": "calculator", "arguments": {"expression": "1+'),
        ("openai", '{"name": "calculator", "arguments": {"expression": "1+1"}'),
        ("openai", "<think>Let me think about"),
        ("openai", ""),
    ],
)
def test_a_call_that_the_limit_of_tokens_cut_is_never_made(protocol: Protocol, reply: str) -> None:
    made = understand(protocol, reply, finish_reason="length")
    assert (made.calls, made.answer, made.problem and made.problem.code) == ((), None, "cut_off")
    assert made.problem.helps[0] == "longer_context"  # type: ignore[union-attr]


def test_a_whole_call_is_made_though_the_limit_was_reached_after_it() -> None:
    reply = '{"name": "calculator", "arguments": {"expression": "1+1"}}'
    assert shown(understand("openai", reply, finish_reason="length")).startswith("calculator")


def test_an_answer_that_was_cut_is_shown_with_a_doubt() -> None:
    made = understand("openai", "The report says that", finish_reason="length")
    assert shown(made) == "= The report says that | !cut_off"


def test_a_template_that_knows_no_tools_is_the_reason_why_none_is_called() -> None:
    assert shown(understand("openai", "I have no internet.", template_takes_tools=False)).endswith("!tools_not_seen")
    assert shown(understand("openai", "I have no internet.", template_takes_tools=True)) == "= I have no internet."
    assert shown(understand("openai", "I have no internet.")) == "= I have no internet."
    assert understood("openai", "Hello.", [], template_takes_tools=False).problem is None


def test_a_misspelt_tool_is_not_called_and_the_nearest_one_is_named() -> None:
    problem = understand("react", 'Action: arxiv_serch\nAction Input: {"query": "x"}').problem
    assert problem is not None
    assert problem.params == {"tool": "arxiv_serch", "close": "arxiv_search"}
    far = understand("react", 'Action: launch\nAction Input: {"query": "x"}').problem
    assert far is not None
    assert far.params == {"tool": "launch"}


def test_another_form_than_asked_is_named() -> None:
    reply = '<tool_call>{"name": "calculator", "arguments": {"expression": "1"}}</tool_call>'
    problem = understand("react", reply).problem
    assert problem is not None
    assert problem.params["protocol"] == "openai"
    assert problem.helps[0] == "other_protocol"
    calls = {"content": "", "tool_calls": [{"function": {"name": "calculator", "arguments": "{}"}}]}
    assert shown(understand("internlm2", calls)) == "!other_protocol"


def test_ids_of_the_server_are_kept_and_missing_ones_are_given() -> None:
    arguments = '{"expression": "1"}'
    calls = [
        {"id": "abc", "function": {"name": "calculator", "arguments": arguments}},
        {"function": {"name": "panel_status"}},
    ]
    made = understand("openai", {"content": None, "tool_calls": calls})
    assert [call.id for call in made.calls] == ["abc", "call_2"]


def test_thoughts_stand_apart_from_the_answer() -> None:
    made = understand("openai", {"content": "<think>Easy.</think>Four.", "reasoning_content": "Hm."})
    assert (made.thought, made.answer) == ("Hm.\nEasy.", "Four.")
    assert understand("react", "Thought: Easy.\nFinal Answer: Four.").thought == "Easy."
    assert understand("openai", {"content": [{"type": "text", "text": "Four."}]}).answer == "Four."
