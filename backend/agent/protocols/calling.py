"""From a piece of a reply to a call: the name of the tool, and its arguments from whatever a model wrote for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.agent.calls import Call, Repair
from backend.agent.protocols import checking, problems
from backend.agent.protocols.problems import Wrong
from backend.agent.protocols.values import Broken, dumped, read
from backend.agent.tools import Tool

NAME_KEYS = ("name", "tool", "tool_name", "function_name", "action", "recipient_name")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "action_input", "tool_input", "input", "params")
HOLDERS = ("function", "function_call", "tool_call", "tool_calls", "tool_uses")
MOST = 2000
"""Characters of a repair's before and after."""
_FENCE = re.compile(r"\A\s{0,1000}```[ \t]{0,8}([\w+-]{0,20})[ \t]{0,8}(?:\n|(?=[\[{]))")
_PAIR = re.compile(r"([^\W\d]\w{0,63})[ \t]{0,8}([=：:])[ \t]{0,8}")
_QUOTED_KEY = re.compile(r"[\"'“](\w{1,64})[\"'”]\s{0,8}[:：]")
_WHOLE_CALL = re.compile(r"\A\[?([\w.]{1,64})\(")
_OPENERS = ("{", "｛")


@dataclass
class Reading:
    """What is known while a reply is read. off: names of tools that are switched off. cut: the reply ended at the
    limit of tokens."""

    tools: Sequence[Tool]
    off: Sequence[str] = ()
    cut: bool = False
    repairs: list[Repair] = field(default_factory=list)

    def repaired(self, code: str, before: str, after: str) -> None:
        self.repairs.append(Repair(code, before.strip()[:MOST], after.strip()[:MOST]))

    def known(self, name: str) -> bool:
        """Whether ``name`` means one of the tools, switched on or off."""
        wanted = checking.plain(name[:200])
        return bool(wanted) and wanted in {checking.plain(each) for each in (*(t.name for t in self.tools), *self.off)}

    def broken(self, tool: str, evidence: str, error: Broken) -> Wrong:
        return Wrong(problems.cut_off(evidence) if self.cut and error.open else problems.broken_json(tool, evidence))


def call_of(reading: Reading, name: str, given: Any, evidence: str, id_: str = "") -> Call:
    """The call of ``name`` with arguments that are an object, or the text of one.

    Raises:
        Wrong: there is no such tool, or the arguments do not fit.
    """
    tool = checking.named(name, reading.tools, reading.off, reading.repairs, evidence)
    if isinstance(given, str):
        made = from_text(reading, tool, given)
    elif isinstance(given, Mapping):
        made = dict(given)
    elif given is None:
        made = {}
    else:
        only = checking.only_argument(tool)
        if not only:
            raise Wrong(problems.bad_arguments(tool.name, ["object"], evidence))
        made = {only: given}
        reading.repaired("bare_value", dumped(given), dumped(made))
    return Call(tool.name, checking.fitted(tool, made, reading.repairs, evidence), id_)


def from_text(reading: Reading, tool: Tool, text: str) -> dict[str, Any]:
    """The arguments for ``tool`` that ``text`` holds: JSON, ``key=value``, ``tool(key=value)``, or a bare value."""
    text = unfenced(reading, text)
    if not text:
        return {}
    if text[0] in _OPENERS:
        return _object(reading, tool, text)
    key = _QUOTED_KEY.match(text)
    if key and checking.plain(key.group(1)) in {checking.plain(str(name)) for name in checking.properties(tool)}:
        reading.repaired("no_braces", text, f"{{{text}}}")
        return _object(reading, tool, f"{{{text}}}")
    inner = _within_call(tool, text)
    if inner is not None:
        reading.repaired("call_form", text, inner)
        return from_text(reading, tool, inner)
    pairs = _pairs(tool, text)
    if pairs:
        reading.repaired("key_value", text, dumped(pairs))
        return pairs
    return _bare(reading, tool, text)


def pythonic(reading: Reading, text: str) -> tuple[str, str] | None:
    """The name and the arguments of a reply that is nothing but ``tool(key=value)``, in brackets or not."""
    text = text.strip()
    found = _WHOLE_CALL.match(text)
    if not found or not reading.known(found.group(1)) or not text.rstrip("]").endswith(")"):
        return None
    inner = text[found.end() :].rstrip("]").removesuffix(")").strip()
    tool = next((tool for tool in reading.tools if checking.plain(tool.name) == checking.plain(found.group(1))), None)
    return (found.group(1), inner) if tool and (not inner or _pairs(tool, inner)) else None


def unfenced(reading: Reading, text: str) -> str:
    """``text`` without the code fence around it."""
    found = _FENCE.match(text)
    if not found:
        stripped = text.strip()
        if stripped.endswith("```"):
            reading.repaired("code_fence", stripped, stripped[:-3])
            return stripped[:-3].strip()
        return stripped
    inner, _fence, _after = text[found.end() :].partition("```")
    reading.repaired("code_fence", text, inner)
    return inner.strip()


def _object(reading: Reading, tool: Tool, text: str) -> dict[str, Any]:
    try:
        found = read(text)
    except Broken as error:
        raise reading.broken(tool.name, text, error) from error
    note_slips(reading, text, 0, found.end, found.value, found.slips)
    after = text[found.end :].strip()
    if after.strip("}`;。. \n"):
        reading.repaired("text_after", text, text[: found.end])
    elif after:
        reading.repaired("extra_signs", text, text[: found.end])
    value = found.value
    if isinstance(value, dict):
        return value
    raise Wrong(problems.bad_arguments(tool.name, ["object"], text))


def note_slips(reading: Reading, text: str, start: int, end: int, value: Any, slips: Sequence[str]) -> None:
    """What was overlooked in a value as repairs. A value that nobody closed is no slip where the reply was cut.

    Raises:
        Wrong: ``cut_off``.
    """
    if "unclosed" in slips and reading.cut:
        raise Wrong(problems.cut_off(text[start:]))
    for slip in slips:
        reading.repaired(slip, text[start:end], dumped(value))


def _within_call(tool: Tool, text: str) -> str | None:
    """What stands in the brackets of ``tool(…)``; None for any other text."""
    name, bracket, rest = text.partition("(")
    if not bracket or len(name) > 200 or checking.plain(name) != checking.plain(tool.name):
        return None
    end = rest.rfind(")")
    return rest[:end].strip() if end >= 0 else None


def _pairs(tool: Tool, text: str) -> dict[str, Any]:
    """``key=value, key2=value2`` with keys that the tool has (or one word that can only mean its only argument)."""
    known = {checking.plain(str(name)): str(name) for name in checking.properties(tool)}
    first = _PAIR.match(text)
    if not first:
        return {}
    if checking.plain(first.group(1)) not in known:
        word = checking.plain(first.group(1))
        alone = len(known) == 1 and word in checking.SYNONYMS and word != "x"
        return {next(iter(known.values())): _value(text[first.end() :])} if alone else {}
    made: dict[str, Any] = {}
    starts = [first]
    for found in _PAIR.finditer(text, first.end()):
        if checking.plain(found.group(1)) in known and _parted(text, starts[-1].end(), found.start()):
            starts.append(found)
    ends = [*(found.start() for found in starts[1:]), len(text)]
    for found, end in zip(starts, ends, strict=True):
        made[known[checking.plain(found.group(1))]] = _value(text[found.end() : end])
    return made


def _parted(text: str, begin: int, end: int) -> bool:
    """Whether a value that begins at ``begin`` has ended before ``end``: by a line or a comma, and not within its
    quotes."""
    before = text[max(begin, end - 20) : end].rstrip(" \t")
    quote = text[begin : begin + 1]
    closed = quote not in ("'", '"') or before.rstrip("\n,，;；")[-1:] == quote
    return closed and before.endswith((",", "，", ";", "；", "\n"))


def _value(text: str) -> Any:
    text = text.strip().rstrip(",，;；").strip()
    if text[:1] in ("{", "[") or text[:1] in "\"'“‘" or text.lower() in ("true", "false", "none", "null"):
        try:
            found = read(f"{text} " if text[:1] not in ("{", "[") else text)
            if not text[found.end :].strip():
                return found.value
        except Broken:
            pass
    if len(text) > 1 and text[0] in "\"'“‘" and text[-1] in "\"'”’" and not set(text[1:-1]) & {text[0], text[-1]}:
        return text[1:-1]
    return text


def _bare(reading: Reading, tool: Tool, text: str) -> dict[str, Any]:
    only = checking.only_argument(tool)
    if not only:
        if not checking.properties(tool) and not checking.required(tool):
            reading.repaired("needless_input", text, "{}")
            return {}
        raise Wrong(
            problems.bad_arguments(
                tool.name, [f"{name} (missing)" for name in checking.required(tool)] or ["object"], text
            )
        )
    made = {only: _value(text)}
    reading.repaired("bare_value", text, dumped(made))
    return made


def named_in(value: Any) -> list[tuple[str, Any, bool]]:
    """(name, arguments, whether arguments were there) of each call that a JSON ``value`` speaks of, in any of the
    ways that models know."""
    if isinstance(value, list):
        return [each for one in value[:50] for each in named_in(one)]
    if not isinstance(value, dict):
        return []
    for holder in HOLDERS:
        inner = value.get(holder)
        if isinstance(inner, dict | list):
            found = named_in(inner)
            if found:
                return found
        elif isinstance(inner, str) and holder == "function":
            return [(inner, *_arguments(value))]
    for key in NAME_KEYS:
        if isinstance(value.get(key), str):
            return [(value[key], *_arguments(value))]
    return []


def _arguments(value: Mapping[str, Any]) -> tuple[Any, bool]:
    for key in ARGUMENT_KEYS:
        if key in value:
            return value[key], True
    return None, False
