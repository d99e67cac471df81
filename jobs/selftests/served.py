"""The starter model behind our own server, for the self-tests of engines that ask a model over the network."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from backend.errors import ServerError
from backend.i18n import N_
from backend.servers import Server
from jobs.selftests.testing import Test
from jobs.serving.child import Child, environment
from jobs.serving.plan import KEY_VARIABLE, Plan
from jobs.serving.probe import Probe

NAME = "starter"
HOST = "127.0.0.1"
READY_S = 180.0
CONTEXT = 4096


@contextmanager
def served(test: Test) -> Iterator[Server]:
    """While this block runs, the starter answers on a free port of this machine, under a key of its own, from the CPU. What
    its process says goes to our own output.

    Raises:
        ServerError: ``env_selftest_server``: it could not be loaded.
        Stopped: the person asked to stop.
    """
    server = Server(0, NAME, f"http://{HOST}:{free_port()}/v1", secrets.token_urlsafe(32), path=str(test.model))
    plan = _plan(server).write(test.folder)
    argv = [sys.executable, "-m", "jobs.serving.engine", str(plan)]
    child = Child(argv, environment(1, "cpu", {KEY_VARIABLE: server.key}))
    probe = Probe(_port(server), server.key, NAME)
    probe.start()
    try:
        _wait(test, child, probe)
        yield server
    finally:
        probe.leave()
        child.stop()


def _wait(test: Test, child: Child, probe: Probe) -> None:
    end = time.monotonic() + READY_S
    while not probe.ready_at:
        test.check_stop()
        if child.returncode is not None or time.monotonic() > end:
            said = [line.strip() for line in child.last_lines() if line.strip()] if child.returncode is not None else []
            raise ServerError(
                "env_selftest_server",
                N_("The starter model, which this test asks, could not be served: {line}"),
                N_("Test the engine 'transformers' first: it serves the model."),
                line=said[-1] if said else f"no answer after {READY_S:.0f} s",
            )
        time.sleep(0.1)


def _plan(server: Server) -> Plan:
    return Plan(
        model=server.path,
        name=server.model,
        aliases=(),
        host=HOST,
        port=_port(server),
        device="cpu",
        dtype="float32",
        threads=1,
        context_length=CONTEXT,
        batching=False,
        cache_tokens=CONTEXT,
        tools=True,
        chat=True,
    )


def _port(server: Server) -> int:
    return int(server.base_url.rsplit(":", 1)[1].split("/")[0])


def free_port() -> int:
    """Of this machine, loopback."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
