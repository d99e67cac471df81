"""The ``mcpServers`` JSON of other programs, read as MCP servers of ours: all of it, or each reason why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backend.agent.mcp_servers import (
    Kind,
    Secrets,
    Server,
    add_all,
    listed,
    name_taken,
    problems_of,
    same_name,
)
from backend.errors import DataError, PanelError, SpecError
from backend.i18n import N_
from backend.said import Said, _, joined
from backend.workspace import Workspace

MOST_BYTES = 1 << 20
MOST_SERVERS = 100
_KINDS: dict[str, Kind] = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "sse": "sse",
}


def import_servers(workspace: Workspace, text: str) -> list[Server]:
    """Add every server of ``text``: all of them or none.

    Raises:
        DataError: ``mcp_import_no_json``, ``mcp_import_empty``.
        SpecError: ``mcp_import_bad``, with ``problems`` by the server's name. No value of a secret is in it.
    """
    rows, twice = _rows(text)
    problems: list[tuple[str, str]] = [(name, _of(name_taken(name))) for name in twice]
    new: list[tuple[Server, Secrets]] = []
    there = [server.name for server in listed(workspace)]
    for name, row in rows.items():
        read, wrong = _server(name, row)
        problems += [(name, said) for said in wrong]
        if any(same_name(name, other) for other in there):
            problems.append((name, _of(name_taken(name))))
        there.append(name)
        if read:
            problems += [(name, _of(problem)) for problem in problems_of(*read)]
            new.append(read)
    if problems:
        raise _bad(problems)
    return add_all(workspace, new)


def _bad(problems: list[tuple[str, str]]) -> SpecError:
    said = [_("{name}: {problem}").format(name=name[:100], problem=problem) for name, problem in problems[:20]]
    return SpecError(
        "mcp_import_bad",
        N_("Nothing was added. What is wrong ({count}): {found}"),
        N_("Correct them in the text, or leave these servers out, and read it again."),
        count=len(problems),
        found=joined(said),
        problems=[{"field": name[:100], "message": str(problem)} for name, problem in problems],
    )


def _rows(text: str) -> tuple[Mapping[str, Any], list[str]]:
    """The servers by their names, and the names that stand there twice, of which JSON itself takes the last."""
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found and isinstance(value, dict) and ("command" in value or "url" in value):
                twice.append(name)
            found[name] = value
        return found

    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=once) if len(text) <= MOST_BYTES else None
    except (json.JSONDecodeError, RecursionError) as error:
        # Not `from`: the chained error holds the whole text, secrets and all.
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise DataError(
            "mcp_import_no_json",
            N_("The text is no JSON: it breaks off at line {line}, column {column}."),
            N_("Copy the whole file of the other program, from its first {{ to its last }}."),
            line=line,
            column=column,
        ) from None
    rows = data.get("mcpServers", data.get("servers")) if isinstance(data, dict) else None
    if not isinstance(rows, dict) or not 0 < len(rows) <= MOST_SERVERS:
        raise DataError(
            "mcp_import_empty",
            N_("No MCP servers are in this text: they stand under 'mcpServers', at most {most} of them."),
            N_("Copy the whole file of the other program, from its first {{ to its last }}."),
            most=MOST_SERVERS,
        )
    return rows, twice


def _server(name: str, row: Any) -> tuple[tuple[Server, Secrets] | None, list[Said]]:
    """The server of one row, and what is wrong with the row's form."""
    if not isinstance(row, dict):
        return None, [_("it is no object with a 'command' or a 'url'")]
    wrong: list[Said] = []
    address = row.get("url", row.get("serverUrl", ""))
    told = row.get("type", row.get("transport"))
    kind = _KINDS.get(str(told)) if told is not None else ("http" if address else "stdio")
    if kind is None:
        return None, [_("its type '{type}' is not known here").format(type=str(told)[:40])]
    if kind == "stdio" and not isinstance(row.get("command"), str):
        wrong.append(_("it has no 'command'"))
    if kind != "stdio" and not (isinstance(address, str) and address):
        wrong.append(_("it has no 'url'"))
    args = row.get("args", [])
    if not isinstance(args, list) or not all(isinstance(each, str | int | float) for each in args):
        wrong.append(_("its 'args' are no list of texts"))
    for part in ("env", "headers"):
        values = row.get(part) or {}
        if not isinstance(values, dict) or not all(isinstance(each, str | int | float) for each in values.values()):
            wrong.append(_("its '{part}' are no texts by name").format(part=part))
    if wrong:
        return None, wrong
    secrets = Secrets(_texts(row.get("env")), _texts(row.get("headers")))
    enabled = not row.get("disabled", False)
    if kind == "stdio":
        server = Server(name, kind, row["command"], tuple(map(str, args)), tuple(secrets.env), enabled=enabled)
        return (server, Secrets(secrets.env)), []
    server = Server(name, kind, url=str(address), headers=tuple(secrets.headers), enabled=enabled)
    return (server, Secrets(headers=secrets.headers)), []


def _texts(values: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (values or {}).items()}


def _of(problem: PanelError) -> Said:
    """The problem's message as a text that is translated when it is read."""
    return _(problem.message).format(**problem.params)
