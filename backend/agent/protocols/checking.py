"""Arguments against a tool's JSON schema: what fits, what is brought into shape (noted as repairs), what does not fit.

Checked are type, required, enum, properties, items, additionalProperties. Other words of a schema are the tool's own
affair, and a
schema that makes no sense (MCP servers send what they like) refuses nothing.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.agent.calls import Repair
from backend.agent.protocols import problems
from backend.agent.protocols.problems import Wrong
from backend.agent.protocols.values import Broken, dumped, read
from backend.agent.tools import Tool

SYNONYMS = frozenset(
    [
        "query",
        "q",
        "question",
        "keyword",
        "keywords",
        "search",
        "search_query",
        "search_term",
        "term",
        "text",
        "input",
        "inputs",
        "content",
        "expression",
        "expr",
        "formula",
        "equation",
        "url",
        "link",
        "address",
        "path",
        "file",
        "filename",
        "file_path",
        "command",
        "cmd",
        "code",
        "script",
        "python",
        "value",
        "prompt",
        "topic",
        "name",
        "title",
        "id",
        "查询",
        "关键词",
        "问题",
        "表达式",
        "输入",
        "代码",
        "网址",
        "链接",
    ]
)
"""What models call the only argument of a tool, whatever its name is."""
WRAPPERS = ("arguments", "parameters", "args", "input", "tool_input", "action_input", "kwargs")
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict, "null": type(None),
}  # fmt: skip
DEEPEST = 12
WHOLE = re.compile(r"[+-]?\d{1,300}")
DECIMAL = re.compile(r"[+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})(?:[eE][+-]?\d{1,3})?")


def properties(tool: Tool) -> Mapping[str, Any]:
    """The arguments that a tool describes, by name."""
    found = tool.parameters.get("properties")
    return found if isinstance(found, Mapping) else {}


def required(tool: Tool) -> list[str]:
    """The arguments without which a tool cannot be called."""
    found = tool.parameters.get("required")
    return [str(name) for name in found] if isinstance(found, list) else []


def plain(name: str) -> str:
    """``name`` without what models change in names: case, spaces, hyphens, quotes."""
    return re.sub(r"[\s_\-]+", "_", name.strip(" \t\r\n`'\"“”‘’*[](){}<>.,:;：，。").lower())


def named(name: str, tools: Sequence[Tool], off: Sequence[str], repairs: list[Repair], evidence: str) -> Tool:
    """The tool that ``name`` means.

    Raises:
        Wrong: there is none, or it is switched off.
    """
    exact = {tool.name: tool for tool in tools}
    if name in exact and name not in off:
        return exact[name]
    short = name[:200]
    by_plain = {plain(tool.name): tool for tool in tools}
    dotted = [plain(part) for part in re.split(r"[./:]", short) if part.strip()]
    wanted = [plain(short), *(dotted if len(dotted) == 2 else [])]
    switched_off = {plain(each): each for each in off}
    for form in wanted:
        if form in switched_off:
            raise Wrong(problems.tool_off(switched_off[form], evidence))
        if form in by_plain:
            repairs.append(Repair("tool_name", short, by_plain[form].name))
            return by_plain[form]
    close = difflib.get_close_matches(plain(short)[:80], list(by_plain), n=1, cutoff=0.5)
    raise Wrong(problems.unknown_tool(short.strip(), by_plain[close[0]].name if close else "", evidence))


def fitted(tool: Tool, given: Mapping[str, Any], repairs: list[Repair], evidence: str) -> dict[str, Any]:
    """``given`` as the tool's schema wants it.

    Raises:
        Wrong: it does not fit.
    """
    made = _renamed(tool, _unwrapped(tool, given, repairs), repairs)
    faults = [f"{name} (missing)" for name in required(tool) if name not in made]
    known = properties(tool)
    if known and not tool.parameters.get("additionalProperties"):
        faults += [f"{name} (unknown)" for name in made if name not in known]
    for name in [name for name, value in made.items() if name in known]:
        if made[name] is None and name not in required(tool) and not _fits(None, known[name]):
            repairs.append(Repair("null_argument", f"{name}: null", ""))
            del made[name]
            continue
        made[name] = _shaped(made[name], known[name], name, repairs)
        fault = _fault(made[name], known[name], name)
        if fault:
            faults.append(fault)
    if faults:
        raise Wrong(problems.bad_arguments(tool.name, faults[:10], evidence))
    return made


def only_argument(tool: Tool) -> str:
    """The argument that a bare value is for: the one that is required, or the only one; empty where that is not
    clear."""
    needed = required(tool)
    names = needed if len(needed) == 1 else list(properties(tool))
    return names[0] if len(names) == 1 else ""


def _unwrapped(tool: Tool, given: Mapping[str, Any], repairs: list[Repair]) -> dict[str, Any]:
    if len(given) == 1:
        key, inner = next(iter(given.items()))
        if key in WRAPPERS and key not in properties(tool) and isinstance(inner, dict):
            repairs.append(Repair("wrapped_arguments", dumped(given)[:2000], dumped(inner)[:2000]))
            return dict(inner)
    return {str(name): value for name, value in given.items()}


def _renamed(tool: Tool, given: dict[str, Any], repairs: list[Repair]) -> dict[str, Any]:
    known = properties(tool)
    by_plain = {plain(str(name)): str(name) for name in known}
    made: dict[str, Any] = {}
    for name, value in given.items():
        right = name if name in known else by_plain.get(plain(name), name)
        if right not in known and len(known) == 1 and len(given) == 1 and plain(name) in SYNONYMS:
            right = str(next(iter(known)))
        if right in made or (right != name and right in given):
            right = name
        if right != name:
            repairs.append(Repair("argument_name", name, right))
        made[right] = value
    return made


def _kinds(schema: Any) -> list[str]:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return [each for each in (kind if isinstance(kind, list) else [kind]) if isinstance(each, str) and each in KINDS]


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and (kind != "number" or not math.isfinite(value)):
        return False
    return isinstance(value, KINDS[kind])


def _fits(value: Any, schema: Any) -> bool:
    return not _fault(value, schema, "")


def _shaped(value: Any, schema: Any, name: str, repairs: list[Repair]) -> Any:
    """``value``, brought to the schema's type where only one reading is possible."""
    if _fits(value, schema):
        return value
    for made in _readings(value, schema):
        if _fits(made, schema):
            repairs.append(Repair("argument_type", f"{name}: {dumped(value)[:1000]}", f"{name}: {dumped(made)[:1000]}"))
            return made
    return value


def _readings(value: Any, schema: Any) -> list[Any]:
    kinds = _kinds(schema)
    made: list[Any] = []
    if isinstance(value, str):
        text = value.strip()
        if "integer" in kinds and WHOLE.fullmatch(text):
            made.append(int(text))
        if "number" in kinds and DECIMAL.fullmatch(text):
            made.append(int(text) if WHOLE.fullmatch(text) else float(text))
        if "boolean" in kinds and text.lower() in ("true", "false"):
            made.append(text.lower() == "true")
        if {"array", "object"} & set(kinds):
            made += _parsed(text)
        choices = schema.get("enum")
        made += (
            [one for one in choices if isinstance(one, str) and plain(one) == plain(text)]
            if isinstance(choices, list)
            else []
        )
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        made.append(int(value))
    if isinstance(value, int) and not isinstance(value, bool) and "string" in kinds and abs(value) < 10**300:
        made.append(str(value))
    if "array" in kinds and not isinstance(value, list | dict):
        made.append([value])
    return made


def _parsed(text: str) -> list[Any]:
    try:
        return [read(text).value] if text[:1] in ("{", "[") else []
    except Broken:
        return []


def _fault(value: Any, schema: Any, name: str, depth: int = 0) -> str:
    """What does not fit, in the schema's own words; empty where all does."""
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return ""
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{name}: {' | '.join(kinds)}"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"{name}: {' | '.join(json.dumps(each, ensure_ascii=False, default=str) for each in choices[:20])}"
    for word in ("anyOf", "oneOf"):
        some = schema.get(word)
        if isinstance(some, list) and some and all(_fault(value, each, name, depth + 1) for each in some):
            return f"{name}: {_fault(value, some[0], name, depth + 1)}"
    return _inner_fault(value, schema, name, depth)


def _inner_fault(value: Any, schema: Mapping[str, Any], name: str, depth: int) -> str:
    faults: list[str] = []
    if isinstance(value, list):
        items = schema.get("items")
        faults = [_fault(each, items, f"{name}[{number}]", depth + 1) for number, each in enumerate(value)]
    elif isinstance(value, dict):
        needed, inner = schema.get("required"), schema.get("properties")
        if isinstance(needed, list):
            faults = [f"{name}.{each} (missing)" for each in needed if each not in value]
        if isinstance(inner, Mapping):
            faults += [_fault(value[key], inner[key], f"{name}.{key}", depth + 1) for key in value if key in inner]
    return next((fault for fault in faults if fault), "")
