"""The recorder in a real watcher, beside real jobs: kills, full disks, damage, a driver that hangs. Jobs never notice."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.memory import alerts
from backend.memory.sample import HOST, SeriesKey
from backend.memory.series import MemoryStore
from backend.workspace import ROOT, Workspace
from tests.jobs.test_disk_faults import can_mount, on_disk
from tests.support import nvml
from tests.support.jobs import Queue
from tests.support.wait import until

MIB = 1 << 20
USED = SeriesKey(HOST, "used")


def seen_after(memory: MemoryStore, t: float, timeout: float = 20) -> float:
    """The time of the first sample after ``t`` that is there."""
    until(lambda: (latest := memory.latest()) is not None and latest.t > t, timeout, "something is recorded")
    latest = memory.latest()
    assert latest is not None
    return latest.t


def cli(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", "memory", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )


def told(*args: str) -> Any:
    done = cli(*args, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_killed_watcher_leaves_a_gap_and_loses_nothing_else(queue: Queue, memory: MemoryStore) -> None:
    job = queue.drill(steps=4000, step_s=0.05, hold_mib=64)
    queue.step(job.id, 1)
    key = SeriesKey(HOST, "job", str(job.id))
    until(lambda: key in memory.window(time.time() - 60, time.time(), 60).series, 20, "the job is recorded")
    last = seen_after(memory, time.time())
    queue.kill_watcher()
    latest = memory.latest()
    assert latest is not None
    assert latest.t >= last, "what was there is there"
    until(lambda: time.time() > last + 3)
    assert [a.code for a in alerts.now(memory, last + 60)] == ["recorder_stopped"]
    queue.start_watcher()
    again = seen_after(memory, time.time())
    window = memory.window(last - 2, again + 1, 600, [USED, key])
    for name in (USED, key):
        cells = {int(window.start) + at: value for at, value in enumerate(window.series[name].mean)}
        assert cells[int(last)] is not None
        assert cells[int(again)] is not None
        assert None in cells.values(), "nobody looked, so nobody knows"
    held = max(value or 0 for value in window.series[key].high)
    assert 64 * MIB < held < 200 * MIB
    kinds = [m.kind for m in memory.moments(0, 1e12)]
    assert kinds.count("job_started") == 1
    assert kinds.count("phase") == 1
    assert kinds.count("recorder_began") == 2
    assert queue.store.get(job.id).attempt == 1, "the job did not notice"


def test_a_job_that_runs_out_of_memory_has_its_moment_and_its_peak(queue: Queue, memory: MemoryStore) -> None:
    job = queue.drill(steps=60, step_s=0.05, hold_mib=96, fault="out_of_memory", fault_step=50)
    failed = queue.reach(job.id, "failed")
    moments = until(
        lambda: [m for m in memory.moments(0, 1e12) if m.kind == "out_of_memory"], 20, "it is told that memory ran out"
    )
    assert [(m.place, m.subject, m.t) for m in moments] == [(HOST, str(job.id), failed.ended)]
    assert "MemoryError" in (moments[0].details or {})["text"]
    (peak,) = memory.peaks(job.id)
    assert 96 * MIB < peak.peak < 256 * MIB
    assert peak.source == "process"

    live = told("live")
    assert live["recorded"] is True
    assert live["host"]["ram_total"] > 0
    past = told("history", "--last", "5m", "--job", str(job.id))
    assert [(s["place"], s["name"], s["subject"]) for s in past["series"]] == [(HOST, "job", str(job.id))]
    assert max(v for v in past["series"][0]["high"] if v is not None) == pytest.approx(peak.peak, rel=1e-6)
    assert [m["kind"] for m in past["moments"]][-2:] == ["job_ended", "out_of_memory"]
    assert past["peaks"][0]["peak"] == peak.peak
    rows = list(csv.DictReader(cli("history", "--last", "5m", "--csv").stdout.splitlines()))
    assert {"used", "total", "job", "neighbours"} <= {row["name"] for row in rows}
    assert all(float(row["low"]) <= float(row["high"]) for row in rows)
    assert "Main memory" in cli("live").stdout
    assert "out_of_memory" in cli("history").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--last", "soon"), "write 90s, 15m, 1h, 7d or 4w"),
        (("--from", "yesterday"), "write epoch seconds or 2026-01-31T03:00"),
        (("--from", "nan"), "is no time"),
        (("--from", "2026-01-02", "--to", "2026-01-01"), "must be before the end"),
    ],
)
def test_a_time_that_is_none_is_refused_with_how_to_write_one(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], says: str
) -> None:
    assert main(["memory", "history", *args, "--json"]) == 1
    assert says in json.loads(capsys.readouterr().out)["error"]["message"]


def test_the_machine_can_be_looked_at_without_a_recorder(memory: MemoryStore) -> None:
    live = told("live")
    assert live["recorded"] is False
    assert live["host"]["ram_used"] > 0
    assert [a["code"] for a in live["alerts"]] == ["recorder_stopped"]
    assert told("history")["series"] == []


def test_a_record_damaged_under_a_running_watcher_is_put_beside_and_the_job_goes_on(
    queue: Queue, memory: MemoryStore
) -> None:
    job = queue.drill(steps=4000, step_s=0.05)
    queue.step(job.id, 1)
    seen_after(memory, time.time())
    memory.close()
    size = queue.workspace.memory_db.stat().st_size
    with queue.workspace.memory_db.open("r+b") as file:
        file.write(b"\xff" * size)
    for suffix in ("-wal", "-shm"):
        path = Path(f"{queue.workspace.memory_db}{suffix}")
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
    until(lambda: list(queue.workspace.root.glob("memory.db.damaged-*")), 30, "the damaged record is put beside")
    seen_after(memory, time.time(), 30)
    assert "record_damaged" in [m.kind for m in memory.moments(0, 1e12)]
    assert queue.store.get(job.id).state == "running"


def test_a_driver_that_hangs_stops_neither_the_queue_nor_the_record_nor_the_watchers_leaving(
    workspace: Workspace, store: Any, memory: MemoryStore, tmp_path: Path
) -> None:
    driver = nvml.driver(tmp_path / "driver")
    scene = nvml.Scene(tmp_path / "scene", [nvml.Card(used=1000)], state="stuck")
    queue = Queue(workspace, store)
    try:
        environment = nvml.environ(driver, scene)
        queue.start_watcher(**{name: environment[name] for name in ("LD_LIBRARY_PATH", "NVML_STUB_FILE")})
        job = queue.drill(steps=3)
        queue.reach(job.id, "succeeded")
        seen_after(memory, time.time(), 30)
        latest = memory.latest()
        assert latest is not None
        assert latest.problem
        assert latest.host.ram_used > 0
        assert queue.watcher is not None
        begin = time.monotonic()
        queue.watcher.terminate()
        queue.watcher.wait(10)
        assert time.monotonic() - begin < 5
    finally:
        scene.state = "ok"
        scene.write()
        queue.end()


def test_a_watcher_whose_workspace_is_deleted_leaves_and_makes_no_new_one(queue: Queue, memory: MemoryStore) -> None:
    seen_after(memory, time.time())
    memory.close()
    queue.store.close()
    assert queue.watcher is not None
    # Where it writes a file just then, a folder is not empty when its turn comes: whoever deletes presses again.
    until(
        lambda: shutil.rmtree(queue.workspace.root, ignore_errors=True) or not queue.workspace.root.exists(), 20, "gone"
    )
    queue.watcher.wait(20)
    assert not queue.workspace.root.exists()
    os.makedirs(queue.workspace.root)  # noqa: PTH103 - the fixture's end looks for processes of it


FULL = """
import time
from backend.memory import alerts, recorder
from backend.memory.sample import HOST, SeriesKey
from backend.memory.series import open_memory
workspace = open_workspace()
queue = Queue(workspace, open_store(workspace))
queue.start_watcher()
memory = open_memory(workspace)
filler = (workspace.root / "filler").open("wb", buffering=0)
def fill(leave):
    try:
        while os.statvfs(workspace.root).f_bavail * 4096 > leave:
            filler.write(b"x" * 65536)
        while leave == 0:
            filler.write(b"x" * 4096)
    except OSError:
        pass
def newest():
    return memory.latest().t if memory.latest() else 0
try:
    until(lambda: newest() > 0, 20, "it records")
    job = queue.drill(steps=40, step_s=0.1)
    queue.step(job.id, 2)
    fill(6 << 20)
    until(lambda: (s := recorder.status(workspace)) and s.problem == "workspace_full", 20, "it says that the disk is full")
    stopped = newest()
    answer = {"job": queue.reach(job.id, "succeeded", "failed").state, "alerts": [a.code for a in alerts.now(memory)]}
    fill(0)
    until(lambda: time.time() > stopped + 7, 20)
    answer["silent"] = newest() == stopped
    answer["still"] = [a.code for a in alerts.now(memory)]
    os.truncate(filler.name, 0)
    until(lambda: newest() > stopped + 7, 20, "it records again")
    # It writes what waited, then what happened, and last that all is well.
    until(lambda: (s := recorder.status(workspace)) and not s.problem, 20, "it says that it records again")
    window = memory.window(stopped - 3, newest(), 600, [SeriesKey(HOST, "used")])
    answer["seconds"] = len(window.series[SeriesKey(HOST, "used")].mean)
    answer["gaps"] = window.series[SeriesKey(HOST, "used")].mean[2:-1].count(None)
    answer["after"] = [a.code for a in alerts.now(memory)]
    answer["told"] = [m.details["until"] - m.t for m in memory.moments(0, 1e12) if m.kind == "disk_full"]
    answer["log"] = (workspace.logs / "watcher.log").read_text().count("memory is not recorded")
    answer["alive"] = queue.watcher.poll() is None
finally:
    queue.end()
print(json.dumps(answer))
"""


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_on_a_full_disk_the_recorder_waits_says_so_and_leaves_the_room_to_the_jobs(tmp_path: Path) -> None:
    found = on_disk(tmp_path / "small", "size=32m", FULL)
    assert found["job"] == "succeeded"
    assert found["alerts"] == found["still"] == ["disk_full"]
    assert found["silent"]
    assert found["seconds"] > 8
    assert found["gaps"] <= found["seconds"] // 3, "what it saw meanwhile it kept"
    assert found["after"] == []
    assert len(found["told"]) == 1
    assert found["told"][0] > 5
    assert found["log"] == 1, "once, not every second"
    assert found["alive"]


REALLY_FULL = """
from backend.memory.series import open_memory
from tests.support.seconds import START, busy
workspace = open_workspace()
memory = open_memory(workspace)
filler = (workspace.root / "filler").open("wb", buffering=0)
second, errors = 0, set()
def go_on(until):
    global second
    while second < until:
        try:
            memory.append(busy(START + second, second, gpus=2, processes=4))
        except PanelError as error:
            errors.add(error.code)
            return
        second += 1
go_on(250)
try:
    while True:
        filler.write(b"x" * 4096)
except OSError:
    pass
go_on(1000)
refused, readable = second, memory.latest().t - START
os.truncate(filler.name, 0)
go_on(1000)
memory.close()
memory = open_memory(workspace)
with memory.read() as db:
    sound = db.execute("PRAGMA integrity_check").fetchone()[0]
used = [s for k, s in memory.window(START - 0.5, START + 999.5, 1000).series.items() if k.name == "cpu"][0]
print(json.dumps({"errors": sorted(errors), "refused": refused, "readable": readable, "second": second, "sound": sound,
    "gaps": used.mean[:1000].count(None), "kept_aside": len(list(workspace.root.glob("*.damaged*")))}))
"""


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_write_that_finds_no_room_changes_nothing_and_the_next_one_that_does_goes_on(tmp_path: Path) -> None:
    found = on_disk(tmp_path / "small", "size=8m", REALLY_FULL)
    assert found["errors"] == ["workspace_full"]
    assert 250 <= found["refused"] < 1000
    assert found["readable"] == found["refused"] - 1, "it can be read while nothing can be written"
    assert (found["second"], found["gaps"]) == (1000, 0)
    assert (found["sound"], found["kept_aside"]) == ("ok", 0)
