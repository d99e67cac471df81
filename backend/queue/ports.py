"""Loopback ports for model servers: which may be given, and who has chosen one.

A port is chosen long before its server listens there: a model may take a minute to load. Until then it is claimed on this machine, so that
the TuneDeck of somebody else, who has a queue of their own, chooses another one. A claim is a name in Linux's abstract socket namespace
(unix(7)): every user of the machine sees it, there is no file, and it is gone with the process that holds it, however that ends.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

HOST = "127.0.0.1"
PORTS = range(23400, 24000)

_held: dict[int, int] = {}
"""Port -> descriptor of its claim."""


def is_free(port: int) -> bool:
    """Whether nobody listens on ``port``, and nobody is about to."""
    claim = _claim(port)
    if claim is None:
        return False
    claim.close()
    return True


def take(wanted: Iterable[int]) -> int | None:
    """The first of ``wanted`` that is free, or that this process has; it is this process's until it ends. None where there is none."""
    for port in wanted:
        if port in _held:
            return port
        claim = _claim(port)
        if claim is not None:
            _held[port] = claim.detach()
            return port
    return None


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0tunedeck-port-{port}")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except OSError:
        claim.close()
        return None
    return claim
