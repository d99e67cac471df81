"""MCP servers that a person has added: how each is started or reached, and which of its tools are used.

One file in the workspace's secrets, 0600, replaced whole. A :class:`Server` can be shown and kept in a spec: of what
is secret it holds the names alone. The values are :class:`Secrets`, which only the process that talks to the server
asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from backend.agent import mcp_checks
from backend.errors import ConflictError, DataError, NotFoundError, PanelError
from backend.i18n import N_
from backend.workspace import Workspace, alone, read_json, write_json

Kind = Literal["stdio", "http", "sse"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""stdio: a program on this machine. http: streamable HTTP. sse: the older form of it, which some still speak."""

FILE, LOCK = "mcp-servers.json", "mcp-servers.lock"


@dataclass(frozen=True)
class Server:
    """One that was added. command, args: of stdio. env: names of the variables it is given, beside PATH, HOME, LANG and
    TERM; one without a kept value is taken from our own environment. url, headers: of http and sse, the headers' names
    alone. off: its tools that are not used. unasked: those that may run without asking, where the server says that they
    only read."""

    name: str
    kind: Kind
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    url: str = ""
    headers: tuple[str, ...] = ()
    enabled: bool = True
    off: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secrets:
    """Values that a server is given. env: by the variable's name. headers: by the header's."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hidden(self, text: str) -> str:
        """``text`` without any of the values: for what a server said."""
        values = {value for kept in (self.env, self.headers) for value in kept.values()}
        words = {word for value in values for word in (value, *value.split()) if len(word) >= 6}
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "•••")
        return text


NO_SECRETS = Secrets()


def listed(workspace: Workspace) -> list[Server]:
    """All that were added, in their order.

    Raises:
        DataError: ``mcp_file_damaged``.
    """
    return [server for server, _secrets in _read(workspace)]


def secrets_of(workspace: Workspace, name: str) -> Secrets:
    """The values that it is given.

    Raises:
        NotFoundError: ``mcp_server_unknown``.
    """
    return _found(_read(workspace), name)[1]


def problems_of(server: Server, secrets: Secrets = NO_SECRETS) -> list[PanelError]:
    """Everything that is wrong with it, by itself; no value of a secret is in any of them."""
    problems = [mcp_checks.name(server.name)]
    if server.kind == "stdio":
        problems.append(mcp_checks.command(server.command))
        problems += [mcp_checks.env_name(name) for name in (*server.env, *secrets.env)]
        problems += [mcp_checks.value(name, value) for name, value in secrets.env.items()]
    else:
        problems.append(mcp_checks.url(server.url))
        problems += [mcp_checks.header_name(name) for name in (*server.headers, *secrets.headers)]
        problems += [mcp_checks.header_value(name, value) for name, value in secrets.headers.items()]
    return list({(each.code, str(each)): each for each in problems if each is not None}.values())


def add(workspace: Workspace, server: Server, secrets: Secrets = NO_SECRETS) -> Server:
    """Keep a new one with its values; what comes back names those values too.

    Raises:
        PanelError: the first of :func:`problems_of`, or ``mcp_name_taken``; nothing is changed then.
    """
    return add_all(workspace, [(server, secrets)])[0]


def add_all(workspace: Workspace, new: Iterable[tuple[Server, Secrets]]) -> list[Server]:
    """Keep several, all or none of them. Raises as :func:`add`."""
    added = []
    with _changing(workspace) as kept:
        for server, secrets in new:
            named = _naming(server, secrets)
            if problems := problems_of(named, secrets):
                raise problems[0]
            if any(same_name(named.name, other.name) for other, _secrets in kept):
                raise name_taken(named.name)
            kept.append((named, secrets))
            added.append(named)
    return added


def change(workspace: Workspace, server: Server, secrets: Secrets | None = None) -> Server:
    """Put ``server`` in place of the one of its name. None leaves the kept values of the names that it still has.

    Raises:
        PanelError: the first of :func:`problems_of`, or ``mcp_server_unknown``; nothing is changed then.
    """
    with _changing(workspace) as kept:
        before = _found(kept, server.name)
        values = secrets or Secrets(
            {name: value for name, value in before[1].env.items() if name in server.env},
            {name: value for name, value in before[1].headers.items() if name in server.headers},
        )
        named = _naming(server, values)
        if problems := problems_of(named, values):
            raise problems[0]
        kept[kept.index(before)] = (named, values)
    return named


def remove(workspace: Workspace, name: str) -> None:
    """Forget it and its values.

    Raises:
        NotFoundError: ``mcp_server_unknown``.
    """
    with _changing(workspace) as kept:
        kept.remove(_found(kept, name))


def same_name(one: str, other: str) -> bool:
    """Whether two names are one, to a person."""
    return one.casefold() == other.casefold()


def name_taken(name: str) -> ConflictError:
    """There is one of this name."""
    return ConflictError(
        "mcp_name_taken",
        N_("There is an MCP server called '{name}' already."),
        N_("Choose another name, or remove the one that is there."),
        name=name[:100],
    )


def _naming(server: Server, secrets: Secrets) -> Server:
    return replace(
        server,
        env=tuple(dict.fromkeys((*server.env, *secrets.env))),
        headers=tuple(dict.fromkeys((*server.headers, *secrets.headers))),
    )


def _found(kept: list[tuple[Server, Secrets]], name: str) -> tuple[Server, Secrets]:
    for each in kept:
        if each[0].name == name:
            return each
    raise NotFoundError(
        "mcp_server_unknown",
        N_("No MCP server called '{name}' was added."),
        N_("Added are: {known}."),
        name=name[:100],
        known=", ".join(server.name for server, _secrets in kept) or "-",
    )


def _path(workspace: Workspace) -> Path:
    return workspace.secrets / FILE


@contextmanager
def _changing(workspace: Workspace) -> Iterator[list[tuple[Server, Secrets]]]:
    """What is kept, to be changed; written at the end, by one process at a time."""
    with alone(workspace.run / LOCK):
        kept = _read(workspace)
        yield kept
        rows = [{**asdict(server), "values": {"env": {**s.env}, "headers": {**s.headers}}} for server, s in kept]
        write_json(_path(workspace), {"servers": rows}, mode=0o600)


def _read(workspace: Workspace) -> list[tuple[Server, Secrets]]:
    path = _path(workspace)
    data = read_json(path)
    if data is None and not path.exists():
        return []
    try:
        return [_row(row) for row in data["servers"]]
    except (TypeError, KeyError, AttributeError, ValueError):
        # Not `from`: the chained error would show a piece of the file.
        raise DataError(
            "mcp_file_damaged",
            N_("The file {path}, in which the MCP servers are kept, is damaged."),
            N_("Delete it and add the servers again."),
            path=str(path),
        ) from None


def _row(row: Any) -> tuple[Server, Secrets]:
    server = Server(
        name=str(row["name"]),
        kind=next(kind for kind in KINDS if kind == row["kind"]) if row["kind"] in KINDS else _unfit(),
        command=str(row.get("command", "")),
        args=tuple(map(str, row.get("args", ()))),
        env=tuple(map(str, row.get("env", ()))),
        url=str(row.get("url", "")),
        headers=tuple(map(str, row.get("headers", ()))),
        enabled=bool(row.get("enabled", True)),
        off=tuple(map(str, row.get("off", ()))),
        unasked=tuple(map(str, row.get("unasked", ()))),
    )
    values = row.get("values", {})
    env, headers = dict(values.get("env", {})), dict(values.get("headers", {}))
    return server, Secrets({str(k): str(v) for k, v in env.items()}, {str(k): str(v) for k, v in headers.items()})


def _unfit() -> Kind:
    raise ValueError
