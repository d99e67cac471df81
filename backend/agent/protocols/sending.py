"""What is sent to a server for a conversation with tools: messages, list of tools, words at which the model is to stop.

Calls are written anew from what was understood, in the form that is asked for: a repaired call then stands as a good
example
before the model, and the way of calling tools can be changed in the middle of a conversation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.agent.calls import Call, Protocol
from backend.agent.protocols import prompts
from backend.agent.tools import Tool

STOPS: dict[Protocol, tuple[str, ...]] = {
    "react": ("\nResponse:", "\nObservation:"),
    "internlm2": ("<|action_end|>",),
    "openai": (),
}
"""Where a model that goes on would make up what its tool said."""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation. text: what was said, the final answer, or a tool's result. thought, calls: of
    the assistant, as
    understood. id: of the call whose result this is. raw: sent as it is instead, for a reply that nobody understood."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()
    id: str = ""
    raw: str = ""


@dataclass(frozen=True)
class Sent:
    """What goes into the request. tools: for ``tools=``, empty where the prompt tells them. extra: for servers that
    know it (LMDeploy,
    vLLM): they leave special tokens out of replies unless told."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    stop: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


def system(protocol: Protocol, tools: Sequence[Tool], *, lang: str = "en") -> str | None:
    """What the system prompt says about ``tools``; None where it says nothing."""
    if not tools or protocol == "openai":
        return None
    return prompts.react(tools, lang) if protocol == "react" else prompts.internlm2(tools)


def sent(
    protocol: Protocol,
    tools: Sequence[Tool],
    own_system: str,
    history: Sequence[Turn],
    *,
    lang: str = "en",
    answer_now: bool = False,
    result_role: Literal["system", "user"] = "system",
) -> Sent:
    """What is sent for ``history``. own_system: the person's own system prompt, empty for none. answer_now: the last
    turn, no more
    calls. result_role: of results in ReAct; "user" for templates that refuse a system message in the middle."""
    messages = _first(protocol, tools, own_system, lang)
    for turn in history:
        messages.append(_message(protocol, turn, result_role))
    if answer_now and protocol == "react":
        said = prompts.ANSWER_NOW["zh" if lang.lower().startswith("zh") else "en"]
        messages.append({"role": result_role, "content": said})
    given = prompts.openai(tools) if protocol == "openai" and not answer_now else []
    extra = {"skip_special_tokens": False} if protocol == "internlm2" and tools else {}
    return Sent(messages, given, STOPS[protocol] if tools else (), extra)


def _first(protocol: Protocol, tools: Sequence[Tool], own: str, lang: str) -> list[dict[str, Any]]:
    told = system(protocol, tools, lang=lang)
    if protocol == "internlm2" and told:
        meta = "\n".join(part for part in (prompts.INTERNLM2_META, own) if part)
        return [{"role": "system", "content": meta}, {"role": "system", "content": told, "name": "plugin"}]
    both = "\n\n".join(part for part in (told, own) if part)
    return [{"role": "system", "content": both}] if both else []


def _message(protocol: Protocol, turn: Turn, result_role: str) -> dict[str, Any]:
    if turn.role == "user":
        return {"role": "user", "content": turn.text}
    if turn.role == "tool":
        return {
            "react": {"role": result_role, "content": f"Response:{turn.text}\n"},
            "internlm2": {"role": "environment", "content": turn.text, "name": "plugin"},
            "openai": {"role": "tool", "content": turn.text, "tool_call_id": turn.id},
        }[protocol]
    if turn.raw:
        return {"role": "assistant", "content": turn.raw}
    if protocol == "openai":
        return _openai(turn)
    return {"role": "assistant", "content": _react(turn) if protocol == "react" else _internlm2(turn)}


def _react(turn: Turn) -> str:
    lines = [f"Thought: {turn.thought}"] if turn.thought else []
    for call in turn.calls:
        lines += [f"Action: {call.name}", f"Action Input: {json.dumps(call.arguments, ensure_ascii=False)}"]
    if turn.text:
        lines.append(f"Final Answer: {turn.text}")
    return "\n".join(lines)


def _internlm2(turn: Turn) -> str:
    said = turn.text or turn.thought
    for call in turn.calls:
        # Lagent escapes all but ASCII here.
        plugin = json.dumps({"name": call.name, "parameters": call.arguments})
        said += f"<|action_start|><|plugin|>\n{plugin}<|action_end|>\n"
    return said


def _openai(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or turn.thought}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in turn.calls
        ]
    return message
