"""The recorder's thread, with a machine that is told what to say: clocks, full disks, readers that hang or fail."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from backend.errors import workspace_full
from backend.memory import compaction, recorder
from backend.memory.moments import JobsWatch, MachineWatch
from backend.memory.recorder import Recorder
from backend.memory.sample import HOST, Moment, Sample, SeriesKey
from backend.memory.series import MemoryStore
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.seconds import GIB, START, sample
from tests.support.wait import until


class Machine:
    """A reader that answers with ``answer``."""

    def __init__(self, answer: Callable[[float], Sample] = sample) -> None:
        self.answer, self.reads, self.closed = answer, 0, False

    def read(self, now: float) -> Sample:
        self.reads += 1
        return self.answer(now)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def started(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Machine], Recorder]]:
    """Starts recorders at once, and ends them."""
    monkeypatch.setattr(recorder, "START_AFTER_S", 0.0)
    running: list[Recorder] = []

    def start(machine: Machine) -> Recorder:
        one = Recorder(workspace, lambda _workspace, _store: machine)
        one.start()
        running.append(one)
        return one

    yield start
    for one in running:
        one.stop()


def looks(memory: MemoryStore, start: float) -> list[float]:
    """What was seen since ``start``, a value a second; some of it in full blocks where a test meets the end of five minutes."""
    with memory.read() as db:
        return compaction.values_of(db, SeriesKey(HOST, "used"), start, time.time())


def kinds(memory: MemoryStore) -> list[str]:
    return [moment.kind for moment in memory.moments(0, 1e12)]


def test_it_looks_once_in_each_second_says_when_it_began_and_ended_and_lets_go(
    started: Callable[[Machine], Recorder], memory: MemoryStore
) -> None:
    machine = Machine()
    begin = time.time()
    one = started(machine)
    until(lambda: machine.reads >= 4, 20)
    one.stop("idle")
    assert machine.closed
    assert len(looks(memory, begin - 60)) == machine.reads, "no second twice"
    assert len(looks(memory, begin)) == machine.reads, "none before it began"
    assert kinds(memory) == ["recorder_began", "recorder_ended"]
    assert memory.moments(0, 1e12)[-1].details == {"why": "idle"}
    assert recorder.status(one.workspace) is None


@pytest.mark.parametrize(
    ("last", "now", "wait"),
    [
        (100, 100.52, 0.98),
        (100, 101.2, 0.3),
        (100, 101.49, 0.01),
        (100, 101.7, 0.0),
        (100, 104.1, 0.0),
        (100, 90.2, 0.0),
        (0, 5000.2, 0.0),
    ],
)
def test_the_next_look_is_in_the_middle_of_the_next_second_however_late_the_last_one_was(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, last: int, now: float, wait: float
) -> None:
    one = Recorder(workspace)
    one._second = last
    monkeypatch.setattr(recorder.time, "time", lambda: now)
    assert one._until_next() == pytest.approx(wait, abs=1e-6)


def test_a_reader_that_hangs_keeps_nobody_from_leaving(
    started: Callable[[Machine], Recorder], workspace: Workspace
) -> None:
    free = threading.Event()

    def hang(now: float) -> Sample:
        free.wait(60)
        return sample(now)

    machine = Machine(hang)
    one = started(machine)
    until(lambda: machine.reads == 1)
    begin = time.monotonic()
    one.stop()
    assert time.monotonic() - begin < recorder.LEAVE_S + 1
    free.set()


HANGS = """
import threading
from backend.memory import compaction, recorder
from backend.workspace import open_workspace
class Hangs:
    def read(self, now):
        reading.set()
        threading.Event().wait()
    def close(self):
        pass
recorder.START_AFTER_S, reading = 0.0, threading.Event()
one = recorder.Recorder(open_workspace(), lambda *_: Hangs())
one.start()
assert reading.wait(20)
one.stop()
"""


def test_a_process_ends_although_its_reader_hangs(workspace: Workspace) -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_two_recorders_at_once_do_no_harm(started: Callable[[Machine], Recorder], memory: MemoryStore) -> None:
    machines = Machine(), Machine()
    begin = time.time()
    both = [started(machine) for machine in machines]
    until(lambda: all(machine.reads >= 3 for machine in machines), 20)
    for one in both:
        one.stop()
        assert not one._waiting
    with memory.read() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert len(looks(memory, begin)) >= 3
    assert set(memory.window(begin, time.time() + 1, 60).series[SeriesKey(HOST, "used")].mean) <= {8 * GIB, None}


def test_a_reader_that_fails_is_logged_once_and_tried_again(
    started: Callable[[Machine], Recorder], memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(now: float) -> Sample:
        if machine.reads < 4:
            raise RuntimeError("the moon is in the wrong house")
        return sample(now)

    machine = Machine(fail)
    with caplog.at_level(logging.ERROR, "tunedeck.memory"):
        started(machine)
        until(lambda: memory.latest() is not None, 30)
    assert [r.message for r in caplog.records] == [
        "memory is not recorded: RuntimeError('the moon is in the wrong house')"
    ]


@pytest.fixture
def ticking(workspace: Workspace, memory: MemoryStore, store: Store) -> Callable[[Recorder], Callable[[], None]]:
    machine, watch, jobs = Machine(), MachineWatch(), JobsWatch(store)
    return lambda one: lambda: one.tick(machine, memory, watch, jobs)


def test_on_a_full_disk_it_waits_says_so_and_writes_everything_when_there_is_room(
    workspace: Workspace,
    memory: MemoryStore,
    ticking: Callable[[Recorder], Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = Recorder(workspace)
    tick = ticking(one)
    now = [START]
    monkeypatch.setattr(recorder.time, "time", lambda: now[0])
    room = [True]

    def check() -> None:
        if not room[0]:
            raise workspace_full(workspace.root)

    monkeypatch.setattr(one, "_check_room", check)
    monkeypatch.setattr(one, "_clock", lambda _now: [])
    with caplog.at_level(logging.ERROR, "tunedeck.memory"):
        for second in range(12):
            now[0], room[0] = START + second, not 3 <= second < 9
            tick()
            if second == 5:
                told = recorder.status(workspace)
                assert told is not None
                assert (told.problem, told.since) == ("workspace_full", START + 3)
    assert len(caplog.records) == 1
    used = memory.window(START - 0.5, START + 11.5, 12, [SeriesKey(HOST, "used")]).series[SeriesKey(HOST, "used")]
    assert None not in used.mean, "the seconds without room were kept in memory"
    (full,) = [m for m in memory.moments(0, 1e12) if m.kind == "disk_full"]
    assert (full.t, full.details) == (START + 3, {"until": START + 9})
    told = recorder.status(workspace)
    assert told is not None
    assert told.problem == ""


@pytest.mark.parametrize("by", [-7200.0, 86400.0])
def test_a_clock_that_is_set_is_told_and_followed(
    workspace: Workspace,
    memory: MemoryStore,
    ticking: Callable[[Recorder], Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
    by: float,
) -> None:
    one = Recorder(workspace)
    tick = ticking(one)
    real, offset = time.time, [0.0]
    monkeypatch.setattr(recorder.time, "time", lambda: real() + offset[0])
    tick()
    tick()
    offset[0] = by
    tick()
    tick()
    jumps = [m for m in memory.moments(0, 1e12) if m.kind == "clock_jumped"]
    assert [m.details for m in jumps] == [{"seconds": pytest.approx(by, abs=1)}]
    latest = memory.latest()
    assert latest is not None
    assert latest.t == pytest.approx(real() + by, abs=5)
    assert one._until_next() <= 1.5


def test_what_a_job_took_is_settled_when_it_ends(
    workspace: Workspace, memory: MemoryStore, ticking: Callable[[Recorder], Callable[[], None]]
) -> None:
    one = Recorder(workspace)
    memory.append(sample(time.time() - 5, jobs={3: GIB}))
    one._unsettled.append(3)
    ticking(one)()
    with memory.read() as db:
        assert db.execute("SELECT steady FROM uses WHERE job = 3").fetchone()[0] == GIB


def test_moments_that_could_not_be_told_wait_and_come_in_order(
    workspace: Workspace, memory: MemoryStore, ticking: Callable[[Recorder], Callable[[], None]]
) -> None:
    one = Recorder(workspace)
    one._untold.extend(Moment(START + second, "phase", "", "1", {"phase": str(second)}) for second in range(3))
    ticking(one)()
    assert [(m.details or {})["phase"] for m in memory.moments(START, START + 9)] == ["0", "1", "2"]
    assert not one._untold


LOADED = """
import sys, threading, time
from backend.memory import compaction, recorder
from backend.workspace import open_workspace
recorder.START_AFTER_S = 0.0
one = recorder.Recorder(open_workspace())
one.start()
from backend.memory.series import open_memory
while open_memory(open_workspace()).latest() is None:
    assert one._thread.is_alive()
    threading.Event().wait(0.05)
open_memory(open_workspace()).settle(1)
one.stop()
print(*sorted(name for name in sys.modules if name.startswith("backend.memory.")), "numpy" in sys.modules)
"""


def test_a_watcher_of_an_older_checkout_is_told_by_all_that_the_recorder_loads_and_stays_small(
    workspace: Workspace,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *loaded, numpy = done.stdout.split()
    assert {name.removeprefix("backend.memory.") for name in loaded} == set(recorder.PARTS)
    assert numpy == "False"
