"""The three ways in which a model is asked to use tools, and what its reply is understood as.

    sending    what goes to the server: prompts, results of tools, stop words      prompts    Lagent's own words
    react, internlm2, openai    one form each      embedded    calls as JSON in text
    calling    a name and arguments from text      values      JSON as models write it      checking    against the tool's schema
    signs      what a reply looks like             problems    what goes wrong, in words

A call that is nearly right is repaired, and every repair is told. Nothing is repaired into a call that was not
meant: a tool that is not
there stays a problem, and prose that mentions a tool stays prose. A reply is read in time that grows with its length
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.agent.calls import Call, Problem, Protocol, Understood
from backend.agent.protocols import internlm2, openai, problems, react, signs
from backend.agent.protocols.calling import Reading
from backend.agent.protocols.problems import Wrong
from backend.agent.protocols.sending import STOPS, Sent, Turn, sent, system
from backend.agent.protocols.values import dumped
from backend.agent.tools import Tool

__all__ = ["STOPS", "Sent", "Turn", "looping", "sent", "system", "understood"]
MOST_READ = 100_000
"""Characters of a reply in which calls are looked for."""
SAME = 3


def understood(
    protocol: Protocol,
    reply: str | Mapping[str, Any],
    tools: Sequence[Tool],
    *,
    repair: bool = True,
    off: Sequence[str] = (),
    finish_reason: str | None = None,
    template_takes_tools: bool | None = None,
) -> Understood:
    """What ``reply`` is understood as; never raises for what a model wrote.

    Args:
        reply: the text, or the server's message (``content``, ``tool_calls``, ``reasoning_content``).
        tools: those that are switched on; ``off``: names of the others.
        repair: False makes a problem of what would be repaired.
        finish_reason: the server's; ``length`` says that the reply is cut.
        template_takes_tools: whether the model's chat template knows ``tools``; None: nobody has looked.
    """
    message: Mapping[str, Any] = reply if isinstance(reply, Mapping) else {"content": reply}
    reading = Reading([tool for tool in tools if tool.name not in off], off, finish_reason == "length")
    thought, text, ended = signs.without_thoughts(signs.trimmed(_text(message.get("content"))))
    thought = "\n".join(part for part in (_text(message.get("reasoning_content")).strip(), thought) if part)
    try:
        made = _understood(protocol, text, message, reading, thought, template_takes_tools)
    except Wrong as wrong:
        return Understood(
            "\n".join(part for part in (thought, text.strip()) if part), problem=wrong.problem, repairs=()
        )
    made = replace(
        made, thought="\n".join(part for part in (thought, made.thought) if part), repairs=tuple(reading.repairs)
    )
    if made.repairs and not repair:
        return _unrepaired(made)
    return made if ended or made.calls else replace(made, answer=None, problem=problems.cut_off(thought))


def looping(calls: Sequence[Call]) -> Problem | None:
    """The problem of a conversation whose last call was made ``SAME`` times with the same arguments."""
    if not calls:
        return None
    last = calls[-1]
    times = sum(call.name == last.name and call.arguments == last.arguments for call in calls)
    return problems.same_call_again(last, times, f"{last.name}({dumped(last.arguments)})") if times >= SAME else None


def _understood(
    protocol: Protocol,
    text: str,
    message: Mapping[str, Any],
    reading: Reading,
    thought: str,
    template_takes_tools: bool | None,
) -> Understood:
    structured = bool(message.get("tool_calls") or message.get("function_call"))
    if not text.strip() and not structured:
        raise Wrong(problems.cut_off(thought) if reading.cut else problems.empty_reply(thought))
    if structured and protocol != "openai":
        raise Wrong(
            problems.other_protocol(protocol, "openai", dumped(message.get("tool_calls") or message["function_call"]))
        )
    part = text[:MOST_READ]
    if protocol == "react":
        made = react.understand(part, reading)
    elif protocol == "internlm2":
        made = internlm2.understand(part, reading)
    else:
        made = openai.understand(part, message, reading, template_takes_tools)
    if made.calls:
        return made
    words = signs.repeated(text)
    if words:
        raise Wrong(problems.repeats(words))
    if len(text) > MOST_READ and made.answer is not None:
        made = replace(made, answer=made.answer + text[MOST_READ:])
    return made


def _unrepaired(made: Understood) -> Understood:
    first = made.repairs[0]
    tool = made.calls[0].name if made.calls else "?"
    problem = {
        "made_up_result": lambda: problems.made_up_result(first.before),
        "stripped_tokens": lambda: problems.stripped_tokens(first.before),
        "tool_name": lambda: problems.unknown_tool(first.before, first.after, first.before),
    }.get(first.code, lambda: problems.needs_repair(first.code, first.before, tool))()
    return Understood(made.thought, answer=made.answer if not made.calls else None, problem=problem)


def _text(content: Any) -> str:
    """The text of a message, which servers also give as a list of parts; without halves of characters that cannot be
    stored."""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""
