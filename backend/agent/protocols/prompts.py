"""What Lagent 0.2.4 tells a model about tools, to the letter: models were trained on these words (Lagent:
Apache-2.0, InternLM).

``tests/engines/test_lagent_forms.py`` compares them with what Lagent itself builds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backend.agent.tools import Tool

REACT_EN = """You are a assistant who can utilize external tools.
{tool_description}
To use a tool, please use the following format:
```
Thought:Think what you need to solve, do you need to use tools?
Action:the tool name, should be one of [{action_names}]
Action Input:the input to the action
```
The response after utilizing tools should using the following format:
```
Response:the results after call the tool.
```
If you already know the answer, or you do not need to use tools,
please using the following format to reply:
```
Thought:the thought process to get the final answer
Final Answer:final answer
```
Begin!"""
REACT_ZH = """你是一个可以调用外部工具的助手，可以使用的工具包括：
{tool_description}
如果使用工具请遵循以下格式回复：
```
Thought:思考你当前步骤需要解决什么问题，是否需要使用工具
Action:工具名称，你的工具必须从 [{action_names}] 选择
Action Input:工具输入参数
```
工具返回按照以下格式回复：
```
Response:调用工具后的结果
```
如果你已经知道了答案，或者你不需要工具，请遵循以下格式回复
```
Thought:给出最终答案的思考过程
Final Answer:最终答案
```
开始!"""
ANSWER_NOW = {
    "en": "You should directly give results\n based on history information.",
    "zh": "你需要基于历史消息返回一个最终结果",
}
"""What a model is told in the last of its turns."""
INTERNLM2_META = "当开启工具以及代码时，根据需求选择合适的工具进行调用"
INTERNLM2_PLUGIN = "你可以使用如下工具：\n{prompt}\n如果你已经获得足够信息，请直接给出答案. 避免不必要的工具调用! 同时注意你可以使用的工具，不要随意捏造！"
SUBFUNCTION = (
    "This is the subfunction for tool '{tool_name}', you can use this tool. "
    "The description of this function is: \n{description}"
)
ARGUMENTS = "If you call this tool, you must pass arguments in the JSON format {key: value}, where the key is the parameter name."
TYPES = {"integer": "NUMBER", "number": "FLOAT", "boolean": "BOOLEAN", "array": "Array"}


def react(tools: Sequence[Tool], lang: str) -> str:
    """The system prompt of ReAct in ``lang``: Chinese for zh and its kinds, else English."""
    template = REACT_ZH if lang.lower().startswith("zh") else REACT_EN
    return template.format(
        tool_description=[described(tool) for tool in tools], action_names=[tool.name for tool in tools]
    )


def internlm2(tools: Sequence[Tool]) -> str:
    """The prompt about plugins. Lagent has it in Chinese only, whatever language a person speaks."""
    plugins = []
    for tool in tools:
        plugin = described(tool)
        plugin["description"] = SUBFUNCTION.format(tool_name=tool.name, description=tool.description)
        plugin["parameters"] = [each for each in plugin["parameters"] if each["name"] in plugin["required"]]
        plugins.append(plugin)
    return INTERNLM2_PLUGIN.format(prompt=json.dumps(plugins, ensure_ascii=False, indent=4))


def openai(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """The tools as ``tools=`` of the OpenAI API."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def described(tool: Tool) -> dict[str, Any]:
    """A tool as Lagent describes one of its actions, the keys in its order."""
    properties = tool.parameters.get("properties")
    required = tool.parameters.get("required")
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": [_parameter(name, one) for name, one in properties.items()]
        if isinstance(properties, Mapping)
        else [],
        "required": list(required) if isinstance(required, list) else [],
        "parameter_description": ARGUMENTS,
    }


def _parameter(name: str, schema: Any) -> dict[str, str]:
    told = schema if isinstance(schema, Mapping) else {}
    kind = told.get("type")
    return {
        "name": str(name),
        "type": TYPES.get(kind, "STRING") if isinstance(kind, str) else "STRING",
        "description": str(told.get("description", "")),
    }
