"""Addresses of the panel: which hosts may be asked for, which port is free, what the link and the ssh line are."""

from __future__ import annotations

import errno
import getpass
import ipaddress
import os
import socket
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from backend.errors import AccessError, ConflictError
from backend.i18n import N_

DEFAULT_PORT = 8501
PORTS_TRIED = 100
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``: ``localhost`` or a loopback IP literal."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, *, allow_remote: bool) -> None:
    """Refuse an address that others can reach, unless the settings allow it.

    Raises:
        AccessError: ``host_not_loopback`` or ``host_unknown``.
    """
    if is_loopback(host):
        return
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise AccessError(
            "host_unknown",
            N_("'{host}' is not an address that the panel can listen on."),
            N_("Give an IP address, such as 127.0.0.1, in TUNEDECK_HOST."),
            host=host,
        ) from error
    if not allow_remote:
        raise AccessError(
            "host_not_loopback",
            N_("The panel would listen on {host}, which other machines can reach."),
            N_(
                "Anyone on the network who has the link could use this machine, and the link travels unencrypted. "
                "Keep 127.0.0.1 and use the ssh line, or set TUNEDECK_ALLOW_REMOTE=1 if you mean it."
            ),
            host=host,
        )


def split_host(header: str) -> tuple[str, int | None] | None:
    """``(name, port)`` of a Host header, name in lower case without a trailing dot or brackets; None where it is none."""
    try:
        parts = urlsplit(f"//{header}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    # What urlsplit takes for user, path or query is no host that a browser sends.
    if not name or parts.netloc != header or "@" in header or any(c in header for c in " \t\\%"):
        return None
    return name.removesuffix("."), port


def host_allowed(header: str | None, allowed: Iterable[str]) -> bool:
    """Whether a Host header names this panel. A page of a foreign name that resolves to us (DNS rebinding) does not.

    ``allowed`` has the form of Streamlit's ``server.allowedHosts``: names, ``*.domain`` or ``*``.
    """
    split = split_host(header) if header else None
    if split is None:
        return False
    name = split[0]
    for pattern in allowed:
        wanted = pattern.strip().lower().strip("[]").removesuffix(".")
        if wanted in ("*", name) or (wanted.startswith("*.") and name.endswith(wanted[1:])):
            return True
    return False


def host_names(host: str) -> list[str]:
    """The names under which a browser may ask for a panel that listens on ``host``, loopback included."""
    names = list(LOOPBACK_NAMES)
    if is_loopback(host):
        return names
    import psutil

    machine = socket.gethostname()
    names += [machine, machine.split(".")[0], host.strip("[]")]
    if ipaddress.ip_address(host.strip("[]")).is_unspecified:
        families = (socket.AF_INET, socket.AF_INET6)
        names += [
            a.address.split("%")[0] for nic in psutil.net_if_addrs().values() for a in nic if a.family in families
        ]
    return list(dict.fromkeys(name.lower() for name in names if name not in ("0.0.0.0", "::")))  # noqa: S104


def port_is_free(host: str, port: int) -> bool:
    """Whether ``port`` can be listened on now.

    Raises:
        AccessError: ``host_unknown`` when this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
            # Linux lets two sockets with SO_REUSEADDR bind; only one of them may listen.
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise AccessError(
                "host_unknown",
                N_("'{host}' is not an address that the panel can listen on."),
                N_("Give an IP address, such as 127.0.0.1, in TUNEDECK_HOST."),
                host=host,
            ) from error
    return True


def choose_port(host: str, wanted: int | None) -> int:
    """``wanted`` if it is free, or with None the first free port from 8501 on.

    Raises:
        ConflictError: ``port_taken`` or ``no_port``.
    """
    if wanted is not None:
        if port_is_free(host, wanted):
            return wanted
        raise ConflictError(
            "port_taken",
            N_("Port {port} on {host} is in use by another program, or not yours to use."),
            N_("Set TUNEDECK_PORT to another port, or leave it empty to take the next free one."),
            port=wanted,
            host=host,
        )
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        if port_is_free(host, port):
            return port
    raise ConflictError(
        "no_port",
        N_("No port between {first} and {last} is free on {host}."),
        N_("Set TUNEDECK_PORT to a free port."),
        first=DEFAULT_PORT,
        last=DEFAULT_PORT + PORTS_TRIED - 1,
        host=host,
    )


def link(host: str, port: int, token: str = "") -> str:
    """What to open in the browser; with ``token``, it lets in."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - comparing, not binding
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?token={quote(token)}" if token else "")


def ssh_line(port: int) -> str:
    """The command that brings the panel's port to the computer where the browser is.

    Inside an SSH session the server's address and port are those that this session came in by.
    """
    came_by = os.environ.get("SSH_CONNECTION", "").split()
    server, ssh_port = (came_by[2], came_by[3]) if len(came_by) == 4 else (socket.gethostname(), "22")
    option = "" if ssh_port == "22" else f" -p {ssh_port}"
    return f"ssh -N -L {port}:127.0.0.1:{port}{option} {_user()}@{server}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in some containers
        return str(os.getuid())
