"""What a person has set for our own tools: hosts that may be read, an address, limits. One file in the workspace, replaced whole."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend.agent.own_tools import ARXIV, BY_NAME, PYTHON, WEB_PAGE
from backend.errors import NotFoundError, SpecError
from backend.i18n import N_
from backend.workspace import Workspace, alone, read_json, write_json

FILE, LOCK = "agent-tools.json", "agent-tools.lock"
MOST_HOSTS = 200
SECONDS, MEMORY_MIB = (0.5, 600.0), (128.0, 65_536.0)
"""The least and the most of the Python tool's time and memory."""
_HOST = re.compile(r"(\*\.)?(\[[0-9a-fA-F:.]+\]|[\w](?:[\w.-]*[\w])?)(:[0-9]{1,5})?")

_Check = Callable[[str, Any], Any]


def load(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What was set, by the tool's name; what is damaged or unknown is left out, so that the tool's own values hold."""
    data = read_json(_path(workspace))
    if not isinstance(data, dict):
        return {}
    return {tool: _sound(tool, values) for tool, values in data.items() if tool in _KNOWN and isinstance(values, dict)}


def keep(workspace: Workspace, tool: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set ``values`` for ``tool`` in place of those it had; None takes the tool's own value again. Returns what is kept.

    Raises:
        SpecError: ``tool_setting_bad``, ``tool_host_bad``, ``tool_hosts_many``; nothing is changed then.
        NotFoundError: ``tool_setting_unknown``.
    """
    known = _KNOWN.get(tool, {})
    for name in values:
        if name not in known:
            raise NotFoundError(
                "tool_setting_unknown",
                N_("The tool '{tool}' has no setting '{name}'."),
                N_("Its settings are: {known}."),
                tool=tool[:100],
                name=str(name)[:100],
                known=", ".join(known) or "-",
            )
    kept = {name: known[name](name, value) for name, value in values.items() if value is not None}
    with alone(workspace.run / LOCK):
        write_json(_path(workspace), {**load(workspace), tool: kept})
    return kept


def _path(workspace: Workspace) -> Path:
    return workspace.root / FILE


def _sound(tool: str, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in values.items():
        if name in _KNOWN[tool]:
            try:
                found[name] = _KNOWN[tool][name](name, value)
            except SpecError:
                continue
    return found


def _bad(name: str, value: Any, wanted: str) -> SpecError:
    return SpecError(
        "tool_setting_bad",
        N_("The setting '{name}' cannot be '{value}'."),
        N_("It has to be {wanted}."),
        name=name,
        value=str(value)[:200],
        wanted=wanted,
    )


def _hosts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise _bad(name, value, "[...]")
    hosts = list(dict.fromkeys(str(entry).strip() for entry in value if str(entry).strip()))
    if len(hosts) > MOST_HOSTS:
        raise SpecError(
            "tool_hosts_many",
            N_("{count} hosts are listed; {most} are the most."),
            N_("*.example.org stands for all hosts below example.org."),
            count=len(hosts),
            most=MOST_HOSTS,
        )
    for host in hosts:
        if not _is_host(host):
            raise SpecError(
                "tool_host_bad",
                N_("'{host}' is no host that a web page can be read from."),
                N_("Write the name alone, one a line: example.org, *.example.org or example.org:8080."),
                host=host[:200],
            )
    return hosts


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and (not found[3] or 0 < int(found[3][1:]) < 65_536)


def _private(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(name, value, "true | false")
    return value


def _base_url(name: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    try:
        url = urlsplit(text)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:  # a port that is no number
        sound = False
    if not sound:
        raise _bad(name, value, "https://…")
    return text


def _between(least: float, most: float) -> _Check:
    def check(name: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not least <= value <= most:
            raise _bad(name, value, f"{least:g} … {most:g}")
        return float(value)

    return check


_KNOWN: dict[str, dict[str, _Check]] = {
    WEB_PAGE.name: {"hosts": _hosts, "private": _private},
    ARXIV.name: {"base_url": _base_url},
    PYTHON.name: {"seconds": _between(*SECONDS), "memory_mib": _between(*MEMORY_MIB)},
}
assert _KNOWN.keys() <= BY_NAME.keys()
