"""What is sent to a server for a conversation with tools."""

from __future__ import annotations

import json

import pytest

from backend.agent.calls import PROTOCOLS, Call, Protocol
from backend.agent.protocols import Turn, sent, system, understood
from tests.unit.test_agent_protocols import TOOLS

CALL = Call("calculator", {"expression": "1+1 圆"}, "call_1")
HISTORY = [
    Turn("user", "How much?"),
    Turn("assistant", thought="I need it.", calls=(CALL,)),
    Turn("tool", "2", id="call_1"),
    Turn("assistant", "It is 2."),
]


def test_react_tells_the_tools_and_gives_results_as_lagent_does() -> None:
    made = sent("react", TOOLS[:1], "Be brief.", HISTORY)
    first = made.messages[0]["content"]
    assert first.startswith(
        "You are a assistant who can utilize external tools.\n[{'name': 'calculator', 'description': "
    )
    assert "should be one of [['calculator']]" in first
    assert first.endswith("Begin!\n\nBe brief.")
    assert (
        made.messages[2]["content"] == 'Thought: I need it.\nAction: calculator\nAction Input: {"expression": "1+1 圆"}'
    )
    assert made.messages[3] == {"role": "system", "content": "Response:2\n"}
    assert made.messages[4]["content"] == "Final Answer: It is 2."
    assert made.tools == []
    assert "\nResponse:" in made.stop


def test_react_speaks_chinese_and_gives_results_as_a_user_where_a_template_wants_that() -> None:
    made = sent("react", TOOLS[:1], "", HISTORY, lang="zh_CN", answer_now=True, result_role="user")
    assert made.messages[0]["content"].startswith("你是一个可以调用外部工具的助手")
    assert [each["role"] for each in made.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert made.messages[-1]["content"] == "你需要基于历史消息返回一个最终结果"


def test_internlm2_has_its_own_role_for_results_and_keeps_special_tokens() -> None:
    made = sent("internlm2", TOOLS[:1], "Be brief.", HISTORY)
    assert [each["role"] for each in made.messages] == [
        "system",
        "system",
        "user",
        "assistant",
        "environment",
        "assistant",
    ]
    assert made.messages[0]["content"].endswith("\nBe brief.")
    assert made.messages[1]["name"] == "plugin"
    assert made.messages[3]["content"].startswith('I need it.<|action_start|><|plugin|>\n{"name": "calculator"')
    assert made.messages[3]["content"].endswith("<|action_end|>\n")
    assert made.messages[4] == {"role": "environment", "content": "2", "name": "plugin"}
    assert made.extra == {"skip_special_tokens": False}


def test_openai_gives_the_tools_beside_the_messages() -> None:
    made = sent("openai", TOOLS[:1], "Be brief.", HISTORY)
    assert made.messages[0] == {"role": "system", "content": "Be brief."}
    call = made.messages[2]["tool_calls"][0]
    assert (call["id"], json.loads(call["function"]["arguments"])) == ("call_1", CALL.arguments)
    assert made.messages[3] == {"role": "tool", "content": "2", "tool_call_id": "call_1"}
    assert made.tools[0]["function"]["parameters"] == TOOLS[0].parameters
    assert sent("openai", TOOLS, "", HISTORY, answer_now=True).tools == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_tools_and_prompt_nothing_is_added(protocol: Protocol) -> None:
    made = sent(protocol, [], "", [Turn("user", "Hi"), Turn("assistant", raw="as it was")])
    assert system(protocol, []) is None
    assert made.messages == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "as it was"}]
    assert (made.tools, made.stop, made.extra) == ([], (), {})


@pytest.mark.parametrize("protocol", ["react", "internlm2"])
def test_a_call_that_is_sent_back_is_understood_as_itself(protocol: Protocol) -> None:
    content = sent(protocol, TOOLS, "", HISTORY).messages[-3]["content"]
    made = understood(protocol, content, TOOLS)
    assert [(call.name, call.arguments) for call in made.calls] == [(CALL.name, CALL.arguments)]
    assert (made.thought, made.repairs, made.problem) == ("I need it.", (), None)
