"""Code that a model wrote tries to reach somebody: other machines, this machine's servers, other programs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandboxed import EVERY, Place, unwalled


@pytest.fixture(params=list(EVERY))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, EVERY[request.param])


class Ear:
    """A socket that notes whoever comes."""

    def __init__(self, listening: socket.socket) -> None:
        self.socket = listening
        self.heard: list[bytes] = []
        self.one_came = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                if self.socket.type == socket.SOCK_STREAM:
                    other, _address = self.socket.accept()
                    other.settimeout(5)
                    with other:
                        data = other.recv(100)
                else:
                    data = self.socket.recv(100)
            except OSError:
                return
            if data == b"end":
                return
            self.heard.append(data)
            self.one_came.set()

    def close(self) -> None:
        """Hear no more: what came before this was heard."""
        with socket.socket(self.socket.family, self.socket.type) as last:
            last.connect(self.socket.getsockname())
            last.sendall(b"end")
        self._thread.join(10)
        self.socket.close()


def listening(family: socket.AddressFamily, kind: socket.SocketKind, address: object) -> Ear:
    ear = socket.socket(family, kind)
    ear.bind(address)  # type: ignore[arg-type]
    if kind == socket.SOCK_STREAM:
        ear.listen()
    return Ear(ear)


@pytest.fixture
def tcp() -> Iterator[Ear]:
    ear = listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    yield ear
    ear.socket.close()


CONNECT = """
import socket
def speak():
    with socket.socket({family}, {kind}) as one:
        one.settimeout(5)
        one.connect({address!r})
        one.sendall(b"I got out")
        return "I got out"
print(tried(speak))
"""


def connecting(ear: Ear) -> str:
    return CONNECT.format(family=int(ear.socket.family), kind=int(ear.socket.type), address=ear.socket.getsockname())


def test_opens_a_connection_to_a_server_on_this_machine(place: Place, tcp: Ear) -> None:
    said = place.printed(connecting(tcp))

    tcp.close()
    assert said == "refused: PermissionError\n"
    assert tcp.heard == []


def test_the_same_code_without_walls_is_heard(tcp: Ear, tmp_path: Path) -> None:
    assert unwalled(connecting(tcp), tmp_path) == "I got out\n"
    assert tcp.one_came.wait(10)
    tcp.close()
    assert tcp.heard == [b"I got out"]


def test_calls_socket_and_connect_of_the_c_library(place: Place, tcp: Ear) -> None:
    code = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.socket(2, 1, 0), os.strerror(ctypes.get_errno()))
port = {tcp.socket.getsockname()[1]}
address = (2).to_bytes(2, "little") + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
print(any(libc.connect(number, address, 16) == 0 for number in range(256)))
print(libc.syscall(41, 2, 1, 0) if os.uname().machine == "x86_64" else -1)
"""
    said = place.printed(code)

    tcp.close()
    assert said.splitlines() == ["-1 Operation not permitted", "False", "-1"]
    assert tcp.heard == []


def test_sends_a_datagram(place: Place) -> None:
    udp = listening(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))

    said = place.printed(connecting(udp))

    udp.close()
    assert said == "refused: PermissionError\n"
    assert udp.heard == []


def test_asks_for_the_address_of_a_name(place: Place) -> None:
    code = "import socket\nprint(tried(lambda: socket.getaddrinfo('example.org', 443)))"

    assert place.printed(code).startswith("refused")


def test_opens_a_server_of_its_own(place: Place) -> None:
    code = "import http.server\nprint(tried(lambda: http.server.HTTPServer(('127.0.0.1', 0), None)))"

    assert place.printed(code).startswith("refused")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_connects_to_a_unix_socket(place: Place, kind: socket.SocketKind) -> None:
    path = place.outside / "s"
    ear = listening(socket.AF_UNIX, kind, str(path)) if len(str(path)) < 100 else None
    if ear is None:
        pytest.skip("the path of this test's folder is too long for a unix socket")

    said = place.printed(connecting(ear))

    ear.close()
    assert said == "refused: PermissionError\n"
    assert ear.heard == []


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_connects_to_an_abstract_unix_socket(place: Place, kind: socket.SocketKind) -> None:
    ear = listening(socket.AF_UNIX, kind, f"\0tunedeck-test-{id(place)}")

    said = place.printed(connecting(ear))

    ear.close()
    assert said == "refused: PermissionError\n"
    assert ear.heard == []


def test_sends_to_a_unix_socket_from_a_pair_of_its_own(place: Place) -> None:
    name = f"\0tunedeck-test-{id(place)}"
    ear = listening(socket.AF_UNIX, socket.SOCK_DGRAM, name)
    code = f"""
import socket
print(tried(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"out", {name!r})))
one, other = socket.socketpair()
print(tried(lambda: one.sendto(b"out", {name!r})))
print(tried(lambda: one.sendmsg([b"out"], [], 0, {name!r})))
print(tried(lambda: one.connect({name!r})))
one.sendall(b"to myself")
print(other.recv(100))
"""
    lines = place.printed(code).splitlines()

    ear.close()
    assert [line.startswith("refused") for line in lines[:4]] == [True] * 4
    assert lines[4] == "b'to myself'"
    assert ear.heard == []


def test_starts_a_shell_that_would_fetch_something(place: Place, tcp: Ear) -> None:
    port = tcp.socket.getsockname()[1]
    code = f"""
import os, subprocess
line = "echo started; exec 3<>/dev/tcp/127.0.0.1/{port}; curl -s http://127.0.0.1:{port}/"
print(tried(lambda: os.execve("/bin/sh", ["sh", "-c", line], {{}})))
print(tried(lambda: os.execve("/usr/bin/bash", ["bash", "-c", line], {{}})))
print(tried(lambda: subprocess.run(["/bin/sh", "-c", line])))
print(os.system(line) != 0)
"""
    said = place.printed(code)

    tcp.close()
    assert "started" not in said
    assert said.splitlines()[-1] == "True"
    assert tcp.heard == []


def test_an_event_loop_works_although_there_is_no_network(place: Place) -> None:
    code = """
import asyncio
async def twice(x):
    await asyncio.sleep(0.01)
    return 2 * x
async def main():
    return await asyncio.gather(*(twice(x) for x in range(3)))
print(asyncio.run(main()))
"""

    assert place.printed(code) == "[0, 2, 4]\n"
