"""A model that does every task of the protocol check rightly: its calls and its answers, in each form of calling tools."""

from __future__ import annotations

import json
from typing import Any

from backend.agent import protocols
from backend.agent.calls import Call, Protocol
from backend.agent.checks_tasks import TASKS, Expected, Task, Words, Worth
from backend.agent.checks_tools import TOOLS
from backend.agent.protocols.sending import Turn

SUMS = {"en_sum": "4817 * 236", "en_two": "350 * 171.4", "zh_sum": "(1250 - 386) * 47", "zh_two": "120 * 88.35"}
ANSWERS = {
    "en_weather": "In Lisbon it is 17 °C with light rain.",
    "en_rate": "One franc is 171.4 yen.",
    "en_units": "That is 42.16 kilometres.",
    "en_files": "It is travel-budget-2031.xlsx.",
    "en_share": "It costs 88.35 dollars.",
    "en_calendar": "You see your dentist at 09:30.",
    "en_sum": "It is 1,136,812.",
    "en_landlord": "Your landlord is Ms. Kestrel.",
    "en_two": "That is 59,990 yen.",
    "en_near": "Yes: the board meeting at 15:00.",
    "en_none": "It is Paris.",
    "en_hello": "Hello!",
    "zh_weather": "成都现在 22 °C，有雾。",
    "zh_rate": "1 欧元换 7.83 元人民币。",
    "zh_units": "大约 68.04 千克。",
    "zh_calendar": "早上 8 点体检。",
    "zh_sum": "等于 40608。",
    "zh_two": "要 10,602 美元。",
    "zh_near": "哈尔滨现在零下 9 度。",
    "zh_none": "一年有 12 个月。",
}


def right_arguments(call: Expected, task: str = "") -> dict[str, Any]:
    """The arguments as a good model would write them."""
    made: dict[str, Any] = {}
    for name, wanted in call.arguments.items():
        if isinstance(wanted, Words):
            made[name] = " ".join(wanted.words)
        else:
            made[name] = SUMS[task] if isinstance(wanted, Worth) else wanted[0]
    return made


def right_calls(task: Task) -> list[Call]:
    """The calls that ``task`` needs."""
    return [Call(call.name, right_arguments(call, task.id)) for call in task.calls]


def replies(protocol: Protocol, tasks: tuple[Task, ...] = TASKS) -> list[dict[str, Any]]:
    """What a model that does everything rightly says, one reply after the other, as the stub server takes them."""
    said: list[dict[str, Any]] = []
    for task in tasks:
        offered = [TOOLS[name].tool for name in task.tools]
        for call in right_calls(task):
            if protocol == "openai":
                arguments = json.dumps(call.arguments, ensure_ascii=False)
                said.append({"say": "", "calls": [{"name": call.name, "arguments": arguments}]})
            else:
                said.append(
                    {"say": _text(protocol, offered, Turn("assistant", thought="I need a tool.", calls=(call,)))}
                )
        answer = ANSWERS[task.id]
        last = Turn("assistant", answer, thought="I know it." if protocol == "react" else "")
        said.append({"say": _text(protocol, offered, last)})
    return said


def _text(protocol: Protocol, offered: list[Any], turn: Turn) -> str:
    return str(protocols.sent(protocol, offered, "", [turn]).messages[-1]["content"])
