"""Code that a model wrote tries to get at other processes, or to outlive its call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.agent.sandbox.running import Limits
from tests.support.sandboxed import EVERY, Place, unwalled
from tests.support.wait import until


@pytest.fixture(params=list(EVERY))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, EVERY[request.param])


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another program of the same user, with a secret in its environment."""
    program = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PANEL_KEY": "the-secret-key", **os.environ},  # at the beginning, of which 2,000 bytes are read
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"up\n"
    yield program
    program.communicate()


def test_reads_the_environment_of_its_parent_and_of_other_programs(
    place: Place, other: subprocess.Popen[bytes]
) -> None:
    code = f"""
import os
for pid in ({other.pid}, {os.getpid()}, os.getppid(), 1, "self"):
    for name in ("environ", "cmdline", "mem", "maps", "root/etc/passwd"):
        print(tried(lambda: open(f"/proc/{{pid}}/{{name}}", "rb").read(2000)))
"""

    assert "the-secret-key" in unwalled(code, place.root)
    lines = place.printed(code).splitlines()
    assert len(lines) == 25
    assert all(line.startswith("refused") for line in lines), lines


def test_looks_for_secrets_in_its_own_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_the-secret")
    monkeypatch.setenv("TUNEDECK_TOKEN", "the-secret")
    code = """
import ctypes, os
print(sorted(os.environ.items()))
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
at = 0
while environ[at]:
    print(environ[at])
    at += 1
"""

    assert "the-secret" in unwalled(code, place.root)
    said = place.printed(code)
    assert "the-secret" not in said
    assert "HOME=" in said


def test_signals_its_parent_and_everybody(place: Place, other: subprocess.Popen[bytes]) -> None:
    code = f"""
import os, signal
for pid in ({other.pid}, {os.getpid()}, os.getppid(), 1, 0, -1):
    print(tried(lambda: os.kill(pid, signal.SIGKILL)))
print(tried(lambda: os.killpg({other.pid}, signal.SIGKILL)))
print(tried(lambda: os.pidfd_open({other.pid})))
"""

    lines = place.printed(code).splitlines()
    assert len(lines) == 8
    assert all(line.startswith("refused") for line in lines), lines
    assert other.poll() is None


def test_has_signals_sent_by_the_kernel_in_its_name(place: Place, other: subprocess.Popen[bytes]) -> None:
    code = f"""
import fcntl, os
read, write = os.pipe()
print(tried(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, {other.pid})))
print(tried(lambda: fcntl.fcntl(read, 10, 9)))
print(tried(lambda: fcntl.ioctl(read, 0x8901, ({other.pid}).to_bytes(4, "little"))))
"""

    assert [line.startswith("refused") for line in place.printed(code).splitlines()] == [True] * 3
    assert other.poll() is None


def test_traces_another_program_or_reads_its_memory(place: Place, other: subprocess.Popen[bytes]) -> None:
    code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(16)
class Piece(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here, there = Piece(ctypes.addressof(room), 16), Piece(0x400000, 16)
print(libc.ptrace(16, {other.pid}, 0, 0), ctypes.get_errno())
print(libc.process_vm_readv({other.pid}, ctypes.byref(here), 1, ctypes.byref(there), 1, 0), ctypes.get_errno())
print(libc.prctl(1, 0), ctypes.get_errno())
print(libc.prctl(4, 1), ctypes.get_errno())
"""

    assert place.printed(code).splitlines() == ["-1 1"] * 4


def test_changes_limits_and_places_of_other_programs(place: Place, other: subprocess.Popen[bytes]) -> None:
    code = f"""
import os, resource
print(tried(lambda: resource.prlimit({other.pid}, resource.RLIMIT_NOFILE, (3, 3))))
print(tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))))
print(tried(lambda: os.sched_setaffinity({other.pid}, [0])))
print(tried(lambda: os.setpriority(os.PRIO_PROCESS, {other.pid}, 19)))
print(tried(lambda: os.setuid(0)), tried(lambda: os.setsid()))
"""

    said = place.printed(code)
    assert said.count("refused") == 6, said


def test_uses_other_ways_into_the_kernel(place: Place) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (425, 426, 321, 250, 248, 298, 323, 435, 319, 437, 438, 434, 444, 304, 308, 29, 240):
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    print(os.strerror(ctypes.get_errno()))
print(libc.syscall(0x40000000 + 39), ctypes.get_errno())
"""
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86_64")

    lines = place.printed(code).splitlines()
    assert set(lines[:-1]) == {"Operation not permitted", "Function not implemented"}
    assert lines[-1] == "-1 38"


def test_the_32_bit_way_into_the_kernel_ends_it(place: Place) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("machine code of x86_64")
    code = """
import ctypes, mmap
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(bytes([0x53, 0xB8, 0x14, 0, 0, 0, 0xCD, 0x80, 0x5B, 0xC3]))  # getpid by int 0x80
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))())
"""

    ran = place.run(code)

    assert (ran.ended, ran.output) == ("signal", b"")
    assert ran.code in (-signal.SIGSYS, -signal.SIGSEGV)


def test_a_fork_bomb(place: Place) -> None:
    code = """
import os, time
for _ in range(100):  # without walls this must not take the machine down
    try:
        if os.fork() == 0:
            time.sleep(10)
            os._exit(0)
    except OSError as error:
        print(error)
        break
"""

    assert place.printed(code) == "[Errno 1] Operation not permitted\n"


def test_forks_twice_to_outlive_its_call(place: Place) -> None:
    code = """
import os, sys, time
def leave():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(20)
        os._exit(0)
print(tried(leave), tried(lambda: os.posix_spawn(sys.executable or "/bin/true", ["x"], {})))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.fork(), libc.vfork(), libc.syscall(56, 17, 0, 0, 0, 0), libc.syscall(435, 0, 0))
"""

    said = place.printed(code)
    assert said.splitlines()[0].count("refused") == 2
    assert said.splitlines()[1] == "-1 -1 -1 -1"


def test_starts_processes_by_multiprocessing(place: Place) -> None:
    ran = place.run("import multiprocessing\nmultiprocessing.Process(target=print).start()")

    assert "PermissionError" in (ran.traceback or "")


def test_leaves_a_thread_that_never_ends(place: Place) -> None:
    code = """
import threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("done")
"""

    assert place.printed(code) == "done\n"


def test_waits_for_its_threads_as_python_does(place: Place) -> None:
    code = """
import threading, time
def later():
    time.sleep(0.2)
    print("later")
threading.Thread(target=later).start()
"""

    assert place.printed(code) == "later\n"


def test_starts_threads_without_end(place: Place) -> None:
    code = """
import threading, time
threading.stack_size(32768)
while True:
    try:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    except RuntimeError:  # no room for more, which on a quick machine comes before the watch looks
        time.sleep(0.01)
"""

    assert place.run(code, Limits(seconds=20)).ended == "threads"


def test_kills_itself(place: Place) -> None:
    ran = place.run("import os, signal\nprint('before')\nos.kill(os.getpid(), signal.SIGKILL)")

    assert (ran.ended, ran.code, ran.output) == ("signal", -9, b"before\n")


def test_crashes(place: Place) -> None:
    ran = place.run("import ctypes\nprint('before')\nctypes.string_at(0)")

    assert (ran.ended, ran.code, ran.output) == ("signal", -11, b"before\n")


def test_ends_itself_in_the_middle_with_code_0(place: Place) -> None:
    ran = place.run("import os\nprint('before')\nos._exit(0)\nprint('after')")

    assert (ran.ended, ran.code, ran.output, ran.value) == ("exit", 0, b"before\n", None)


def test_nothing_is_left_when_the_one_who_watches_is_killed(place: Place) -> None:
    code = "open('started', 'w').close()\nimport time\ntime.sleep(600)"
    watcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from jobs.agent.sandbox.running import *\n"
            "run(sys.argv[1], Path(sys.argv[2]),\n"
            f"    walls=Walls({place.walls.namespaces}, {place.walls.landlock}), limits=Limits(seconds=60))",
            code,
            str(place.folder),
        ],
    )
    until(lambda: (place.folder / "started").exists())
    watcher.kill()
    watcher.wait()

    until(lambda: place.left() == [])
    assert watcher.returncode == -9
