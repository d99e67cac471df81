"""Main memory: shared pages count once, asking is bounded, and a container's limits count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backend.memory import host
from backend.memory.attribution import stat
from backend.memory.host import Host, JobMemory
from tests.support.wait import until

MIB, GIB = 2**20, 2**30
FAMILY = """
import os, sys
held = bytearray(b"x") * (64 << 20)
print(os.getpid(), flush=True)
sys.stdin.readline()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        sys.stdin.read()
        os._exit(0)
    children.append(child)
print(*children, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that holds 64 MiB; :func:`fork` lets it have children who share them."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running
        running.communicate(timeout=10)


def fork(parent: subprocess.Popen[str]) -> list[int]:
    """It and its three children."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("\n")
    parent.stdin.flush()
    return [parent.pid, *map(int, parent.stdout.readline().split())]


def residents(pids: list[int]) -> dict[int, int]:
    """As :meth:`Processes.look` gives them."""
    told = {pid: stat(pid) for pid in pids}
    return {pid: found.resident for pid, found in told.items() if found is not None}


def test_what_a_jobs_processes_share_counts_once(parent: subprocess.Popen[str]) -> None:
    resident = residents(fork(parent))
    assert sum(resident.values()) > 4 * 64 * MIB
    assert 64 * MIB < JobMemory().look({1: resident})[1] < 100 * MIB


def test_what_was_shared_is_found_anew_when_somebody_comes(parent: subprocess.Popen[str]) -> None:
    memory = JobMemory(clock=lambda: 0.0)
    assert memory.look({1: residents([parent.pid])})[1] > 64 * MIB
    assert 64 * MIB < memory.look({1: residents(fork(parent))})[1] < 100 * MIB, "a quarter of it is each one's now"


def test_growth_between_two_walks_is_seen_at_once() -> None:
    memory = JobMemory(clock=lambda: 0.0)
    mine = residents([os.getpid()])[os.getpid()]
    before = memory.look({1: {os.getpid(): mine}})[1]
    assert memory.look({1: {os.getpid(): mine + 500 * MIB}})[1] == before + 500 * MIB


def test_page_tables_are_walked_for_a_fixed_share_of_the_time_only() -> None:
    """Each walk costs 30 ms here, as that of a large model does."""
    now = spent = 0.0
    walks = 0

    def clock() -> float:
        return now

    def processor_time() -> float:
        nonlocal spent, walks
        walks, spent = walks + 1, spent + 0.030
        return spent

    memory = JobMemory(clock, processor_time)
    sizes = dict.fromkeys((os.getpid(), os.getppid()), 100 * MIB)
    for _ in range(1000):
        memory.look({1: sizes})
        now += 1
    walks //= 2  # the clock is read before and after each
    assert 0.5 * 1000 * host.SHARE_S < walks * 0.030 <= 1000 * host.SHARE_S + 0.1
    assert walks > 10


def test_a_process_that_may_not_be_asked_counts_whole() -> None:
    memory = JobMemory()
    assert memory.look({1: {4194303: 70 * MIB}}) == {1: 70 * MIB}, "no such process, so no share"


def test_the_machine_is_told_as_the_doctor_tells_it(tmp_path: Path) -> None:
    reader = Host(tmp_path)
    first, second = reader.look(), reader.look()
    assert 0 < first.ram_used < first.ram_total <= psutil.virtual_memory().total
    assert first.swap_total == psutil.swap_memory().total
    assert first.disk_free is not None
    assert first.disk_total is not None
    assert 0 < first.disk_free < first.disk_total
    assert first.cpu is None, "a share of the time since the look before"
    assert second.cpu is None or 0 <= second.cpu <= 1


def test_a_busy_processor_is_seen(tmp_path: Path) -> None:
    reader = Host(tmp_path)
    reader.look()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        until(lambda: psutil.Process(busy.pid).cpu_times().user >= 0.5, what="it has computed for half a second")
        busy.kill()
    found = reader.look().cpu
    assert found is not None
    assert found > 0.2


def test_a_containers_share_of_the_processor_and_of_swap_counts(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    files = {
        "cpu.max": "50000 100000",
        "cpu.stat": "usage_usec 1000000",
        "memory.swap.max": str(4 * MIB),
        "memory.swap.current": str(MIB),
    }
    for name, content in files.items():
        (group / name).write_text(content + "\n")
    (tmp_path / "meminfo").write_text("SwapCached: 0 kB\nSwapTotal: 8192 kB\nSwapFree: 1024 kB\n")
    assert (Host(tmp_path, [], tmp_path).look().swap_total, Host(tmp_path, [], tmp_path).look().swap_used) == (
        8 * MIB,
        7 * MIB,
    )
    reader = Host(tmp_path, [group], tmp_path)
    reader.look()
    assert reader.look().cpu == 0, "the rest of the machine is no matter"
    (group / "cpu.stat").write_text("usage_usec 900000000\n")
    found = reader.look()
    assert found.cpu == 1
    assert (found.swap_total, found.swap_used) == (4 * MIB, MIB)
