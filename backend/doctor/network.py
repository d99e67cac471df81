"""Ports of the panel, proxies, and the way to the package index."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil

from backend.doctor import index, masking
from backend.doctor.findings import Finding, Fix, Text, attention, bad, check, ok, say
from backend.doctor.here import Here
from backend.i18n import N_
from backend.web import panel as panels
from backend.web.address import DEFAULT_PORT, PORTS_TRIED, is_loopback, port_is_free

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@check("ports", N_("Port of the panel"))
def ports(here: Here) -> Iterator[Finding]:
    settings = here.settings
    running = panels.running(here.workspace)
    lines: list[Text] = []
    if running is not None:
        lines.append(say(N_("Your panel is open on port {port}."), port=str(running.port)))
    wanted = settings.port
    if wanted is not None:
        if (running is not None and running.port == wanted) or port_is_free(settings.host, wanted):
            yield ok(*lines, say(N_("Port {port}, which the settings name, can be used."), port=str(wanted)))
        else:
            yield bad(
                *lines,
                _holder(wanted),
                meaning=say(N_("The panel does not start: the settings name a port that is taken.")),
                fixes=[
                    Fix(
                        say(N_("Name another port, or none: then the next free one is taken.")),
                        command="unset TUNEDECK_PORT",
                    )
                ],
            )
        return
    last = DEFAULT_PORT + PORTS_TRIED
    free = next((port for port in range(DEFAULT_PORT, last) if port_is_free(settings.host, port)), None)
    if free is None:
        yield bad(
            *lines,
            say(N_("No port from {first} to {last} is free."), first=str(DEFAULT_PORT), last=str(last - 1)),
            meaning=say(N_("The panel cannot be started.")),
            fixes=[Fix(say(N_("Name a free port.")), command="export TUNEDECK_PORT=8700")],
        )
        return
    taken = [_holder(port) for port in range(DEFAULT_PORT, min(free, DEFAULT_PORT + 3))]
    if running is None or running.port != DEFAULT_PORT:
        lines += taken
    yield ok(*lines, say(N_("The next free port is {port}."), port=str(free)))


def _holder(port: int) -> Text:
    """Who listens on ``port``, as far as this user may see it."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if not connection.pid:
                break
            try:
                process = psutil.Process(connection.pid)
                name, user = process.name(), process.username()
            except psutil.Error:
                break
            if process.uids().real == os.getuid():
                return say(
                    N_("Port {port} is held by your {program} (process {pid})."),
                    port=str(port),
                    program=name,
                    pid=str(connection.pid),
                )
            return say(
                N_("Port {port} is held by {program} of {user} (process {pid})."),
                port=str(port),
                program=name,
                user=user,
                pid=str(connection.pid),
            )
    return say(N_("Port {port} is held by a process that is not yours."), port=str(port))


@check("proxies", N_("Proxies"))
def proxies(here: Here) -> Iterator[Finding]:
    names = [name for base in PROXIES for name in (base, base.upper()) if here.environ.get(name)]
    if not names:
        yield ok(say(N_("No proxy is set.")))
        return
    lines = [say(N_("{name} is {address}."), name=name, address=masking.scrub(here.environ[name])) for name in names]
    spared = here.environ.get("no_proxy") or here.environ.get("NO_PROXY") or ""
    entries = {part.strip().lower() for part in spared.split(",")}
    missing = [] if "*" in entries else [host for host in LOOPBACK[:2] if host not in entries]
    if missing:
        yield attention(
            *lines,
            say(N_("NO_PROXY is '{value}'."), value=spared),
            meaning=say(
                N_(
                    "Programs may send requests for model servers on this machine through the proxy, which cannot reach "
                    "them: answers are then '502' or '503'."
                )
            ),
            fixes=[
                Fix(
                    say(N_("Except this machine, before the panel is started.")),
                    command=f"export NO_PROXY={','.join(dict.fromkeys([*filter(None, sorted(entries)), *LOOPBACK]))}\n"
                    'export no_proxy="$NO_PROXY"',
                )
            ],
        )
    else:
        yield ok(*lines, say(N_("NO_PROXY is '{value}'."), value=spared))


@check("package_index", N_("Package index"), deadline_s=4.0)
def package_index(here: Here) -> Iterator[Finding]:
    answer = index.answer(here)
    if not answer.problem:
        yield ok(
            say(N_("{address} answered after {ms} ms."), address=answer.address, ms=f"{answer.seconds * 1000:.0f}")
        )
        return
    yield attention(
        say(N_("{address} does not answer: {problem}."), address=answer.address, problem=answer.problem),
        meaning=say(N_("Engines cannot be installed from there. What is installed already works without it.")),
        fixes=[
            Fix(say(N_("Name a mirror, before the panel is started.")), command="export PIP_INDEX_URL=https://..."),
            Fix(say(N_("Behind a proxy, name it.")), command="export HTTPS_PROXY=http://proxy:3128"),
            Fix(
                say(N_("Without a network, install from a bundle that was made on another machine.")),
                place="environments",
            ),
        ],
    )


@check("listening", N_("Address of the panel"))
def listening(here: Here) -> Iterator[Finding]:
    host = here.settings.host
    line = say(N_("The panel listens on {address}."), address=host)
    if is_loopback(host):
        yield ok(line)
    else:
        yield attention(
            line,
            meaning=say(N_("Other machines can reach it, and its link travels unencrypted.")),
            fixes=[
                Fix(say(N_("Listen on 127.0.0.1, and use the ssh line.")), command="export TUNEDECK_HOST=127.0.0.1")
            ],
        )


CHECKS = (ports, proxies, package_index, listening)
