"""Calls as JSON in the text of a reply, as servers without a parser of tool calls return them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from backend.agent.protocols.calling import Reading, named_in
from backend.agent.protocols.values import Broken, read

MOST_TRIED = 12
"""Openers at which JSON is looked for: a text of nothing but braces is not read for ever."""
MARKS = re.compile(
    r"<tool_call>|<\|tool_call\|>|<function_call>|<\|tool_calls?_begin\|>|\[TOOL_CALLS\]|<\|python_tag\|>|<functioncall>"
)
CLOSERS = re.compile(r"\A\s*(?:</tool_call>|<\|/?tool_call\|>|</function_call>|</functioncall>|```)")
FUNCTION = re.compile(r"<function=([\w.-]{1,100})>")
FENCE = re.compile(r"```[ \t]*(?:json|tool_call|tool_code|python|xml)?[ \t]*\n?(?=\s{0,100}[\[{｛])")
OPENER = re.compile(r"[\[{｛]")


@dataclass(frozen=True)
class Embedded:
    """JSON that speaks of calls. start, end: in the text, marks included. marked: it stood between marks that mean a
    call.
    calls: (name, arguments) of each."""

    start: int
    end: int
    marked: bool
    calls: tuple[tuple[str, Any], ...]
    value: Any = None
    slips: tuple[str, ...] = ()
    json_start: int = 0
    json_end: int = 0


def marked(text: str, reading: Reading) -> list[Embedded]:
    """The calls between marks, in their order.

    Raises:
        Wrong: what stands between them cannot be read.
    """
    found: list[Embedded] = []
    at = 0
    while len(found) < 20:
        mark = MARKS.search(text, at) or FUNCTION.search(text, at)
        if not mark:
            return found
        begin = mark.end()
        fence = FENCE.match(text, begin)
        begin = fence.end() if fence else begin
        if mark.re is not FUNCTION and _first(text, begin) not in ("{", "[", "｛", "［"):
            at = begin  # some other use of the mark
            continue
        try:
            value = read(text, begin)
        except Broken as error:
            raise reading.broken(mark.group(1) if mark.re is FUNCTION else "", text[mark.start() :], error) from error
        calls = [(mark.group(1), value.value)] if mark.re is FUNCTION else [each[:2] for each in named_in(value.value)]
        at = _past_closers(text, value.end)
        found.append(Embedded(mark.start(), at, True, tuple(calls), value.value, value.slips, begin, value.end))
    return found


def unmarked(text: str, reading: Reading) -> Embedded | None:
    """The first JSON, in a fence or bare, that calls a known tool, or that has the form of a call and nothing else."""
    at = 0
    for _each in range(MOST_TRIED):
        opener = OPENER.search(text, at)
        if not opener:
            return None
        try:
            value = read(text, opener.start())
        except Broken:
            at = opener.end()
            continue
        calls = [each for each in named_in(value.value) if each[2] or reading.known(each[0])]
        if calls and (any(reading.known(each[0]) for each in calls) or _is_call(value.value)):
            return _embedded(text, opener.start(), value.end, value.value, value.slips, calls)
        at = max(value.end, opener.end())
    return None


def broken_call(text: str, reading: Reading) -> Broken | None:
    """How JSON breaks that begins the text and names a known tool; None for any other text."""
    begin = text.lstrip()
    fence = FENCE.match(begin)
    start = fence.end() if fence else 0
    if _first(begin, start) not in ("{", "[", "｛") or not any(
        f'"{tool.name}"' in begin[:500] for tool in reading.tools
    ):
        return None
    try:
        read(begin, start)
    except Broken as error:
        return error
    return None


def _embedded(text: str, start: int, end: int, value: Any, slips: tuple[str, ...], calls: list[Any]) -> Embedded:
    fence = next((each for each in FENCE.finditer(text, max(0, start - 200), start + 1) if each.end() <= start), None)
    begins = fence.start() if fence and not text[fence.end() : start].strip() else start
    return Embedded(
        begins, _past_closers(text, end), False, tuple(each[:2] for each in calls), value, slips, start, end
    )


def _is_call(value: Any) -> bool:
    """Whether an object has the keys of a call and hardly others: data can have a name too."""
    one = value[0] if isinstance(value, list) and value else value
    return isinstance(one, dict) and (
        {"name", "arguments"} == set(one) - {"id", "type"}
        or {"name", "parameters"} == set(one) - {"id", "type"}
        or "function_call" in one
        or "tool_calls" in one
    )


def _first(text: str, at: int) -> str:
    return text[at : at + 200].lstrip()[:1]


def _past_closers(text: str, at: int) -> int:
    for _each in range(3):
        closer = CLOSERS.match(text[at : at + 200])
        if not closer:
            return at
        at += closer.end()
    return at
