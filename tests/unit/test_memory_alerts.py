"""Alerts: what is a leak and what only looks like one, and when a record says that something else is wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

import pytest

from backend.cli import memory_live
from backend.memory import alerts, recorder
from backend.memory.alerts import Alert, growth
from backend.memory.sample import HOST, HostSample, JobUse, Moment, ProcessUse, Sample, Series
from backend.memory.series import MemoryStore, open_memory
from backend.workspace import Workspace
from tests.support.seconds import GIB, START, fill, gpu, sample

MIB = 1 << 20
STEP = 30.0
NOISE = random.Random(3)


@pytest.fixture
def memory(workspace: Workspace) -> Iterator[MemoryStore]:
    alerts._leaks.clear()
    opened = open_memory(workspace)
    yield opened
    opened.close()


def series(values: list[float | None]) -> Series:
    return Series(tuple(values), tuple(values), tuple(values))


def wavering() -> float:
    return NOISE.uniform(-200, 200) * MIB


LEAKS: dict[str, Callable[[int], float | None]] = {
    "a line": lambda n: 10 * GIB + n * 20 * MIB,
    "a line with noise": lambda n: 10 * GIB + n * 40 * MIB + wavering() / 4,
    "a line that is seen half of the time": lambda n: 10 * GIB + n * 20 * MIB if n % 2 else None,
    "small steps": lambda n: 10 * GIB + n // 6 * 100 * MIB,
    "a line with one wild point": lambda n: 10 * GIB + n * 20 * MIB - (3 * GIB if n == 50 else 0),
    "from loading to leaking": lambda n: min(n, 10) * GIB + n * 40 * MIB,
}
HARMLESS: dict[str, Callable[[int], float | None]] = {
    "flat": lambda n: 10 * GIB,
    "noise": lambda n: 10 * GIB + wavering(),
    "a model that loads, then serves": lambda n: min(n / 20, 1.0) * 14 * GIB,
    "one that loads for half of the time": lambda n: min(n / 60, 1.0) * 60 * GIB,
    "one step up": lambda n: 10 * GIB + (8 * GIB if n > 60 else 0),
    "two models": lambda n: 10 * GIB + (8 * GIB if n > 40 else 0) + (8 * GIB if n > 90 else 0),
    "a saw, given back each epoch": lambda n: 10 * GIB + n % 20 * 300 * MIB,
    "shrinking": lambda n: 40 * GIB - n * 50 * MIB,
    "hardly seen": lambda n: 10 * GIB + n * 50 * MIB if n > 100 else None,
    "a cache that fills up and stays": lambda n: min(10 * GIB + n * 80 * MIB, 16 * GIB),
}


@pytest.mark.parametrize("name", LEAKS)
def test_what_grows_steadily_is_a_leak(name: str) -> None:
    # From where loading was over, as the phase of the job tells.
    found = growth(series([LEAKS[name](n) for n in range(120)]), START, STEP, START + 12 * STEP)
    assert found is not None
    assert 15 * MIB <= found.per_s * STEP <= 45 * MIB
    assert found.since >= START + 12 * STEP


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_one_is_none(name: str) -> None:
    assert growth(series([HARMLESS[name](n) for n in range(120)]), START, STEP) is None


def test_a_leaking_job_is_told_with_its_rate_and_when_the_card_will_be_full(memory: MemoryStore) -> None:
    def look(t: float) -> Sample:
        size = int(20 * GIB + (t - START) * 4 * MIB)
        ours = [ProcessUse(5, size, "me", "python", 7), ProcessUse(6, 9 * GIB, "anna", "python")]
        seen = sample(t, devices=[gpu(0, size + 9 * GIB, ours)])
        return Sample(t, seen.host, seen.devices, (JobUse(7, "GPU-0", size, "driver"),))

    fill(memory, range(0, 3600, 15), look)
    (leak,) = alerts.now(memory, START + 3590)
    assert (leak.code, leak.place, leak.subject) == ("leak", "GPU-0", "job:7")
    assert leak.details["per_hour"] == pytest.approx(4 * MIB * 3600, rel=0.02)
    free = look(START + 3585).devices[0].free
    assert free is not None
    assert leak.details["full_at"] == pytest.approx(START + 3585 + free / (4 * MIB), abs=300)


def test_a_neighbours_leak_is_told_by_user_and_a_slow_one_within_the_night(memory: MemoryStore) -> None:
    def look(t: float) -> Sample:
        anna = int(20 * GIB + (t - START) * MIB / 8)
        return sample(t, devices=[gpu(0, anna, [ProcessUse(6, anna, "anna", "python")])])

    fill(memory, range(0, 10 * 3600, 120), look)
    (leak,) = alerts.now(memory, START + 10 * 3600 - 119)
    assert (leak.code, leak.place, leak.subject) == ("leak", "GPU-0", "user:anna")


def test_growth_before_the_present_phase_began_does_not_count(memory: MemoryStore) -> None:
    def look(t: float) -> Sample:
        return sample(t, jobs={7: int(min(GIB + (t - START) * 8 * MIB, 30 * GIB))})

    fill(memory, range(0, 3000, 15), look)
    loading = alerts.leaks(memory, look(START + 2985))
    assert [leak.subject for leak in loading] == ["job:7"], "nobody said that it is loading"
    memory.add_moment(Moment(START + 2500, "phase", "", "7", {"phase": "ready"}))
    assert alerts.leaks(memory, look(START + 2985)) == []


def test_nearly_full_is_told_after_a_while_and_not_for_a_spike(memory: MemoryStore) -> None:
    def look(t: float) -> Sample:
        return sample(t, ram_used=(63 if t > START + 20 else 30) * GIB, devices=[gpu(0, 79 * GIB), gpu(1, None)])

    fill(memory, range(25), look)
    assert [(a.code, a.place) for a in alerts.now(memory, START + 25)] == [("nearly_full", "GPU-0")]
    fill(memory, range(25, 45), look)
    full = alerts.now(memory, START + 45)
    assert {(a.code, a.place) for a in full} == {("nearly_full", "GPU-0"), ("nearly_full", HOST)}
    assert full[0].details == {"used": 63 * GIB, "total": 64 * GIB}


def test_a_lost_card_comes_first(memory: MemoryStore) -> None:
    fill(memory, range(20), lambda t: sample(t, devices=[gpu(0, 79 * GIB), gpu(1, lost=True)]))
    told = alerts.now(memory, START + 20)
    assert [(a.code, a.place) for a in told] == [("gpu_lost", "GPU-1"), ("nearly_full", "GPU-0")]
    assert told[0].details == {"index": 1, "name": "NVIDIA A100-SXM4-80GB"}


def test_an_old_record_is_what_is_wrong_and_nothing_is_said_of_then(memory: MemoryStore) -> None:
    assert alerts.now(memory, START) == [Alert("recorder_stopped", START, "", "", {"last": None})]
    fill(memory, range(30), lambda t: sample(t, devices=[gpu(0, 79 * GIB)]))
    late = START + 29 + alerts.STALE_S + 1
    assert alerts.now(memory, late) == [Alert("recorder_stopped", START + 29, "", "", {"last": START + 29})]


def test_a_recorder_that_finds_no_room_says_so(memory: MemoryStore, workspace: Workspace) -> None:
    fill(memory, range(30), sample)
    recorder._write_status(workspace, recorder.Status(1, START + 40, "workspace_full"))
    assert alerts.now(memory, START + 500) == [Alert("disk_full", START + 40, "", "", {"since": START + 40})]
    recorder._write_status(workspace, recorder.Status(1, START + 600, ""))
    assert [a.code for a in alerts.now(memory, START + 700)] == ["recorder_stopped"]
    assert json.loads((workspace.run / recorder.STATUS).read_text())["problem"] == ""


def test_ten_pages_that_ask_work_out_the_leaks_once(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(memory, range(30), sample)
    asked = []
    real = alerts.leaks
    monkeypatch.setattr(alerts, "leaks", lambda *args: asked.append(1) or real(*args))
    for _ in range(10):
        alerts.now(memory, START + 30)
    assert len(asked) == 1
    fill(memory, range(30, 60), sample)
    alerts.now(memory, START + 60)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (Alert("nearly_full", 1.0, HOST, "", {}), "! Main memory is nearly full"),
        (Alert("gpu_lost", 1.0, "", "", {"index": 3}), "! GPU 3 is lost"),
        (Alert("leak", 1.0, HOST, "job:12", {"per_hour": 1 << 30}), "! #12 takes more and more  +1.0 GiB an hour"),
        (Alert("leak", 1.0, HOST, "user:anna", {"per_hour": 1 << 30}), "! anna takes more and more  +1.0 GiB an hour"),
        (Alert("recorder_stopped", 1.0, "", "", {"last": None}), "! Memory is not recorded"),
    ],
)
def test_the_command_line_says_an_alert_in_words(alert: Alert, said: str) -> None:
    now = Sample(1.0, HostSample(8 << 30, 4 << 30))
    assert memory_live.lines(now, [alert])[-1] == said
