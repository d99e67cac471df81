"""Lagent itself tells a model about tools in the same words as we do, and reads a well formed reply as the same call."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from backend.agent.calls import Call
from backend.agent.protocols import Turn, sent, system, understood
from backend.agent.tools import Tool
from backend.engines import engines
from backend.envs import running
from backend.envs.status import Status

ASKED = """
import json, sys
from lagent.actions import ActionExecutor, BaseAction, tool_api
from lagent.agents.internlm2_agent import Internlm2Protocol
from lagent.agents.react import CALL_PROTOCOL_CN, FORCE_STOP_PROMPT_CN, ReActProtocol
from lagent.schema import ActionReturn

class Calculator(BaseAction):
    __tool_name__ = "calculator"
    @tool_api
    def run(self, expression: str) -> str:
        '''Evaluate a math expression.

        Args:
            expression (str): the expression to evaluate
        '''
        return "2"

class Papers(BaseAction):
    __tool_name__ = "papers"
    @tool_api
    def run(self, query: str, most: int = 3, score: float = 0.5, exact: bool = False) -> str:
        '''Search papers, "quoted" ones too.

        Args:
            query (str): 关键词
            most (int): how many
            score (float): least score
            exact (bool): only exact ones
        '''
        return "none"

executor = ActionExecutor([Calculator(), Papers()])
form = Internlm2Protocol()
history = [dict(role="user", content="q"), dict(role="language", content="I do."),
           dict(role="tool", name="plugin", content=dict(name="calculator", parameters=dict(expression="圆")))]
given = ActionReturn(result=[dict(type="text", content="2")])
history.append(form.format_response(given, name="plugin"))
react = [ReActProtocol(), ReActProtocol(call_protocol=CALL_PROTOCOL_CN, force_stop=FORCE_STOP_PROMPT_CN)]
print(json.dumps({
    "react": [each.format([], [], executor, force_stop=True) for each in react],
    "response": react[0].format_response(given),
    "internlm2": form.format(history, plugin_executor=executor),
    "parsed_react": [react[0].parse(text, executor) for text in json.loads(sys.argv[1])],
    "parsed_internlm2": [form.parse(text, plugin_executor=executor) for text in json.loads(sys.argv[2])],
}))
"""
TEXT = {"type": "string"}
TOOLS = [
    Tool(
        "calculator", "", "", "Evaluate a math expression.",
        {"properties": {"expression": {**TEXT, "description": "the expression to evaluate"}}, "required": ["expression"]},
    ),
    Tool(
        "papers", "", "", 'Search papers, "quoted" ones too.',
        {
            "properties": {
                "query": {**TEXT, "description": "关键词"},
                "most": {"type": "integer", "description": "how many"},
                "score": {"type": "number", "description": "least score"},
                "exact": {"type": "boolean", "description": "only exact ones"},
            },
            "required": ["query"],
        },
    ),
]  # fmt: skip
REACT = [
    'Thought: I need it.\nAction: calculator\nAction Input: {"expression": "1+1"}',
    'Thought:我要查\nAction:papers\nAction Input:{"query": "书生", "most": 2}',
    'Thought: go. Action: calculator\nAction Input: {"expression": "1+1"}',
    "Thought: I know.\nFinal Answer: It is 2.",
    "Final Answer:二",
]
INTERNLM2 = [
    '好的。<|action_start|><|plugin|>\n{"name": "calculator", "parameters": {"expression": "1+1"}}<|action_end|>\n',
    '<|action_start|><|plugin|>\n{"name": "papers", "parameters": {"query": "书生", "most": 2}}<|action_end|>',
    "答案是二。",
]


@pytest.fixture
def lagent(environment: Callable[[str], Status]) -> dict[str, Any]:
    """What Lagent builds and reads."""
    found = environment("lagent")
    environ = running.environ(engines()["lagent"], found.python, "cpu") if found.python else {}
    argv = [str(found.python), "-c", ASKED, json.dumps(REACT), json.dumps(INTERNLM2)]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def test_the_prompts_are_lagents_own(lagent: dict[str, Any]) -> None:
    for number, lang in enumerate(("en", "zh_CN")):
        assert system("react", TOOLS, lang=lang) == lagent["react"][number][0]["content"]
        assert sent("react", TOOLS, "", [], lang=lang, answer_now=True).messages == lagent["react"][number]
    assert sent("react", TOOLS, "", [Turn("tool", "2")]).messages[-1] == lagent["response"]


def test_a_conversation_for_internlm2_is_lagents_own(lagent: dict[str, Any]) -> None:
    call = Call("calculator", {"expression": "圆"})
    history = [Turn("user", "q"), Turn("assistant", thought="I do.", calls=(call,)), Turn("tool", "2")]
    assert sent("internlm2", TOOLS, "", history).messages == lagent["internlm2"]


def test_well_formed_replies_are_read_as_lagent_reads_them(lagent: dict[str, Any]) -> None:
    for text, (thought, action, given) in zip(REACT, lagent["parsed_react"], strict=True):
        made = understood("react", text, TOOLS)
        assert (made.thought, made.repairs, made.problem) == (thought.strip(), (), None)
        if action == "FinishAction":
            assert made.answer == given.strip()
        else:
            assert [(call.name, call.arguments) for call in made.calls] == [(action, json.loads(given))]
    for text, (kind, said, action) in zip(INTERNLM2, lagent["parsed_internlm2"], strict=True):
        made = understood("internlm2", text, TOOLS)
        if kind is None:
            assert made.answer == said
        else:
            assert [{"name": call.name, "parameters": call.arguments} for call in made.calls] == [json.loads(action)]
            assert (made.thought, made.repairs, made.problem) == (said, (), None)
