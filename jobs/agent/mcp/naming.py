"""What a server's tools are to a model and a person: fit names, texts of a length, schemas that hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # it ships no types
from jsonschema.validators import validator_for  # type: ignore[import-untyped]  # it ships no types

from backend.agent.mcp_servers import Server
from backend.agent.tools import Tool
from jobs.agent.mcp.http import is_here

MOST_NAME, MOST_DESCRIPTION, MOST_PURPOSE, MOST_SCHEMA = 64, 1000, 200, 20_000
_UNFIT = re.compile(r"[^a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Offered:
    """A tool of a server. name: the server's own. tool: ours. reads_only: the server says so. used: a person has not
    switched it off."""

    server: str
    name: str
    tool: Tool
    reads_only: bool
    used: bool


def offered(found: Iterable[tuple[Server, types.Tool]]) -> list[Offered]:
    """The tools of all servers, under names that differ. A name stays the same whatever the order."""
    pairs = list(found)
    wanted = Counter(_name(server.name, tool.name) for server, tool in pairs)
    return [_offered(server, tool, alone=wanted[_name(server.name, tool.name)] == 1) for server, tool in pairs]


def schema_problem(schema: Mapping[str, Any]) -> str:
    """Why a model cannot be given these parameters; empty where it can."""
    try:
        if len(json.dumps(schema)) > MOST_SCHEMA:
            return f"longer than {MOST_SCHEMA:,} characters"
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return error.message[:200]
    except (RecursionError, ValueError, TypeError) as error:
        return type(error).__name__
    return "" if schema.get("type") == "object" else "not of the type 'object'"


def _offered(server: Server, tool: types.Tool, *, alone: bool) -> Offered:
    hints = tool.annotations or types.ToolAnnotations()
    name = _name(server.name, tool.name)
    if not alone or len(name) > MOST_NAME:
        name = f"{name[: MOST_NAME - 7].rstrip('_')}_{_mark(server.name, tool.name)}"
    title = _clean(tool.title or hints.title or tool.name, 80)
    description = _clean(tool.description or "", MOST_DESCRIPTION) or title
    reads_only = bool(hints.read_only_hint)
    stays_here = is_here(server.url) if server.url else hints.open_world_hint is False
    ours = Tool(
        name=name,
        title=title,
        purpose=_clean(description.partition("\n")[0], MOST_PURPOSE),
        description=description,
        parameters={key: value for key, value in tool.input_schema.items() if key != "$schema"},
        asks_first=not (reads_only and tool.name in server.unasked),
        network=not stays_here,
    )
    return Offered(server.name, tool.name, ours, reads_only, tool.name not in server.off)


def _name(server: str, tool: str) -> str:
    return f"{_slug(server, 'server')}__{_slug(tool, 'tool')}"


def _slug(text: str, otherwise: str) -> str:
    slug = _UNFIT.sub("_", text.lower()).strip("_")
    return slug or f"{otherwise}_{_mark(text)}"


def _mark(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "backslashreplace")).hexdigest()[:6]


def _clean(text: str, most: int) -> str:
    text = _CONTROL.sub("", text).strip()
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
