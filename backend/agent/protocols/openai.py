"""Replies of servers with ``tools=``: the message's ``tool_calls``, or calls as JSON in its text where the server
reads none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.agent.calls import Call, Understood
from backend.agent.protocols import embedded, problems, signs
from backend.agent.protocols.calling import Reading, call_of, note_slips, pythonic
from backend.agent.protocols.embedded import Embedded
from backend.agent.protocols.problems import Wrong
from backend.agent.protocols.values import dumped


def understand(
    text: str, message: Mapping[str, Any], reading: Reading, template_takes_tools: bool | None
) -> Understood:
    """What the ``message`` with this ``text`` is understood as.

    Raises:
        Wrong: a call in it cannot be.
    """
    given = message.get("tool_calls")
    if not given and isinstance(message.get("function_call"), Mapping):
        given = [{"function": message["function_call"]}]
    if isinstance(given, list) and given:
        return Understood(text.strip(), tuple(_call(each, number, reading) for number, each in enumerate(given)))
    other = signs.form_used(text, [tool.name for tool in reading.tools], "openai")
    if other:
        raise Wrong(problems.other_protocol("openai", *other))
    marked = [each for each in embedded.marked(text, reading) if each.calls]
    if marked:
        return _from_text(text, marked, reading)
    found = embedded.unmarked(text, reading)
    if found:
        if text[: found.start].strip() and text[found.end :].strip():
            return Understood(
                answer=text.strip(), problem=problems.call_in_answer(found.calls[0][0], text[found.start : found.end])
            )
        return _from_text(text, [found], reading)
    whole = pythonic(reading, text)
    if whole:
        call = call_of(reading, *whole, text, "call_1")
        reading.repaired("call_in_text", text, f"{call.name}({dumped(call.arguments)})")
        return Understood(calls=(call,))
    broken = embedded.broken_call(text, reading)
    if broken:
        raise reading.broken("", text, broken)
    return _prose(text, reading, template_takes_tools)


def _call(given: Any, number: int, reading: Reading) -> Call:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise Wrong(problems.broken_json("", dumped(given)))
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str | Mapping):
        raise Wrong(problems.broken_json(function["name"], dumped(given)))
    if isinstance(arguments, str):
        # Some servers put JSON into JSON once more.
        inner = arguments.strip()
        if inner.startswith('"') and inner.endswith('"') and len(inner) > 1:
            arguments = _inner(inner, reading)
    id_ = given.get("id")
    return call_of(
        reading,
        function["name"],
        arguments,
        dumped(given),
        id_ if isinstance(id_, str) and id_ else f"call_{number + 1}",
    )


def _inner(text: str, reading: Reading) -> str:
    try:
        found = embedded.read(text)
    except embedded.Broken:
        return text
    if isinstance(found.value, str) and found.value.lstrip()[:1] == "{":
        reading.repaired("json_in_json", text, found.value)
        return found.value
    return text


def _from_text(text: str, found: list[Embedded], reading: Reading) -> Understood:
    calls: list[Call] = []
    for each in found:
        evidence = text[each.start : each.end]
        note_slips(reading, text, each.json_start, each.json_end, each.value, each.slips)
        for name, given in each.calls:
            made = call_of(reading, name, given, evidence, f"call_{len(calls) + 1}")
            reading.repaired("call_in_text", evidence, f"{made.name}({dumped(made.arguments)})")
            calls.append(made)
    after = text[found[-1].end :].strip()
    if after:
        reading.repaired("text_after", after, "")
    return Understood(text[: found[0].start].strip(), tuple(calls))


def _prose(text: str, reading: Reading, template_takes_tools: bool | None) -> Understood:
    if reading.cut:
        return Understood(answer=text.strip(), problem=problems.cut_off(text[-2000:]))
    if reading.tools and template_takes_tools is False:
        return Understood(answer=text.strip(), problem=problems.tools_not_seen(text))
    said, ends = signs.announced(text, reading.tools)
    problem = problems.no_call_made("openai", said) if said else None
    if problem and ends:
        raise Wrong(problem)
    return Understood(answer=text.strip(), problem=problem)
