"""A port for a server is claimed before anybody listens there, for everybody on this machine, and only while its process lives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.queue import ports
from backend.specs.serve import ServeSpec
from backend.workspace import ROOT
from jobs.harness import Job
from jobs.serving import launch
from tests.support.wait import until

CLAIMING = (
    "import sys; from backend.queue import ports; port = ports.take(range(*map(int, sys.argv[1:])));"
    "print(port, flush=True); sys.stdin.read()"
)
SPAN = (24100, 24130)
"""Outside the ports that are given to servers: other tests take those."""


@pytest.fixture(autouse=True)
def _none_of_ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process takes is let go at the end."""
    held: dict[int, int] = {}
    monkeypatch.setattr(ports, "_held", held)
    yield
    for claim in held.values():
        os.close(claim)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Somebody else's TuneDeck that has claimed a port and does not listen yet."""
    with subprocess.Popen(
        [sys.executable, "-c", CLAIMING, *map(str, SPAN)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def claimed(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_what_somebody_is_about_to_use_is_not_free_until_they_are_gone_however_they_end(
    other: subprocess.Popen[str],
) -> None:
    theirs = claimed(other)
    with socket.socket() as probe:
        probe.bind((ports.HOST, theirs))  # nobody listens there
    assert not ports.is_free(theirs)
    ours = ports.take(range(*SPAN))
    assert ours is not None
    assert ours != theirs
    other.kill()
    until(lambda: ports.is_free(theirs), what="it is free again")


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.socket() as listening:
        listening.bind((ports.HOST, 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.take([port]) is None
    assert ports.is_free(port)


def test_what_is_ours_is_taken_again_and_free_for_nobody() -> None:
    ours = ports.take(range(*SPAN))
    assert ours is not None
    assert ports.take([ours]) == ours
    assert not ports.is_free(ours)


def test_a_server_whose_leased_port_was_taken_listens_on_another_and_says_so(
    other: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = claimed(other)
    monkeypatch.setattr(ports, "PORTS", range(theirs, SPAN[1]))
    monkeypatch.setenv("TUNEDECK_JOB_PORTS", str(theirs))
    job = Job(ServeSpec(model="m"), tmp_path)
    port = launch._port(job)
    assert theirs < port < SPAN[1]
    assert f"port {theirs} was taken since it was leased: this server listens on {port}" in capsys.readouterr().out
    assert launch._port(Job(ServeSpec(model="m"), tmp_path)) == port, "it starts again where it was"
