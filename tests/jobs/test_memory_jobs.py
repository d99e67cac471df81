"""What jobs take: a real queue and real processes, on the machine as it is and under a stub of the NVIDIA driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.memory.attribution import Processes, all_pids
from backend.memory.reader import Reader
from backend.memory.sample import HOST
from backend.queue import folder
from backend.queue.events import EventWriter
from backend.queue.proctree import COOKIE
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import nvml
from tests.support.jobs import Queue
from tests.support.nvml_reader import NvmlReader
from tests.support.wait import until

MIB = 2**20
LEAVES = """
import os, subprocess, sys
held = bytearray(b"x") * (60 << 20)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={}, start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
"""
LEAVES_A_DAEMON = """
import os, subprocess, sys
from pathlib import Path
if "TUNEDECK_JOB_ID" in os.environ and "jobs.drill" in sys.orig_argv:
    leave = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=-3).pid)"
    pid = subprocess.run([sys.executable, "-c", leave], env={}, stdout=subprocess.PIPE, check=True).stdout
    Path(__file__).with_name("daemon").write_bytes(pid)
"""


@pytest.fixture
def reader(workspace: Workspace, store: Store) -> Iterator[Reader]:
    opened = Reader(workspace, store)
    yield opened
    opened.close()


def on_host(reader: Reader, job: int) -> int:
    """Bytes of main memory that the job is said to take; 0: it is not mentioned."""
    uses = [use for use in reader.read(time.time()).jobs if use.job == job and use.place == HOST]
    assert [use.source for use in uses] in ([], ["process"])
    return sum(use.size for use in uses)


def cookie(queue: Queue, job: int) -> str:
    plan = folder.read(queue.store.job_dir(job), folder.ATTEMPT)
    assert plan is not None
    return str(plan["cookie"])


def end(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_without_a_gpu_each_job_has_its_main_memory_and_none_when_it_is_over(queue: Queue, reader: Reader) -> None:
    assert reader.read(time.time()).jobs == ()
    small, large = queue.drill(steps=2000), queue.drill(steps=2000, hold_mib=150)
    queue.step(small.id, 2)
    queue.step(large.id, 2)
    assert 2 * MIB < on_host(reader, small.id) < 100 * MIB
    assert 150 * MIB < on_host(reader, large.id) < 250 * MIB
    queue.store.cancel(large.id)
    queue.reach(large.id, "cancelled")
    assert on_host(reader, large.id) == 0
    assert on_host(reader, small.id) > 2 * MIB


def test_a_detached_process_counts_by_the_cookie_and_its_child_with_a_cleaned_environment_by_descent(
    queue: Queue, reader: Reader, workspace: Workspace
) -> None:
    job = queue.drill(steps=2000)
    queue.step(job.id, 2)
    alone = on_host(reader, job.id)
    environment = {**os.environ, COOKIE: cookie(queue, job.id)}
    with subprocess.Popen(
        [sys.executable, "-c", LEAVES],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as left:
        assert left.stdout is not None
        grandchild = int(left.stdout.readline())
        try:
            assert on_host(reader, job.id) > alone + 60 * MIB
            members = Processes(workspace).look(all_pids(), queue.store.live())[job.id]
            assert {queue.child(job.id).pid, left.pid, grandchild} <= members.keys()
            assert os.getpid() not in members
            assert queue.supervisor(job.id).pid not in members
        finally:
            end(left.pid, grandchild)


def test_a_daemon_without_the_cookie_is_known_by_the_supervisor_that_adopted_it(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LEAVES_A_DAEMON)
    queue = Queue(workspace, store)
    queue.start_watcher(PYTHONPATH=str(tmp_path))
    try:
        job = queue.drill(steps=2000)
        queue.step(job.id, 2)
        daemon = int((tmp_path / "daemon").read_text())
        assert daemon not in {process.pid for process in queue.processes(job.id)}, "it carries no cookie"
        members = Processes(workspace).look(all_pids(), store.live())[job.id]
        assert members.keys() == {queue.child(job.id).pid, daemon}
        store.cancel(job.id)
        queue.reach(job.id, "cancelled")  # which ends the daemon, too
    finally:
        queue.end()


def test_jobs_are_still_told_apart_when_their_supervisor_was_killed(queue: Queue, reader: Reader) -> None:
    first, second = queue.drill(steps=2000, hold_mib=80), queue.drill(steps=2000)
    queue.step(first.id, 2)
    queue.step(second.id, 2)
    queue.kill_supervisor(first.id)
    assert on_host(reader, first.id) > 80 * MIB
    assert on_host(reader, second.id) < 80 * MIB


def test_a_cookie_that_is_not_a_jobs_makes_no_member(queue: Queue, workspace: Workspace) -> None:
    job = queue.drill(steps=2000)
    queue.step(job.id, 2)
    forged = {**os.environ, COOKIE: cookie(queue, job.id)[:-1] + "x", "TUNEDECK_WORKSPACE": str(workspace.root)}
    with subprocess.Popen(["sleep", "600"], env=forged) as stranger:
        members = Processes(workspace).look(all_pids(), queue.store.live())
        stranger.kill()
    assert stranger.pid not in members[job.id]


def test_a_damaged_database_does_not_end_the_looking(workspace: Workspace) -> None:
    store = Store(workspace)
    reader = Reader(workspace, store)
    store.close()
    for name in ("", "-wal", "-shm"):
        workspace.state_db.with_name(workspace.state_db.name + name).unlink(missing_ok=True)
    workspace.state_db.write_bytes(b"no database at all" * 1000)
    sample = reader.read(5.0)
    reader.close()
    assert (sample.t, sample.jobs) == (5.0, ())
    assert sample.host.ram_used > 0


# --- under a driver


@pytest.fixture
def scene(tmp_path: Path) -> nvml.Scene:
    return nvml.Scene(tmp_path / "scene", [nvml.Card(used=1000), nvml.Card(used=300)])


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return nvml.driver(tmp_path / "driver")


@pytest.fixture
def gpu_queue(workspace: Workspace, store: Store, scene: nvml.Scene, library: Path) -> Iterator[Queue]:
    running = Queue(workspace, store)
    running.start_watcher(**nvml.environ(library, scene))
    yield running
    running.end()


def uses(sample: dict[str, Any], job: int) -> dict[str, tuple[int, str]]:
    """``{place: (MiB, source)}`` of the job but for main memory."""
    return {
        use["place"]: (use["size"] // MIB, use["source"])
        for use in sample["jobs"]
        if use["job"] == job and use["place"] != HOST
    }


def test_what_the_driver_says_of_a_jobs_processes_is_the_jobs_and_the_rest_are_neighbours(
    gpu_queue: Queue, scene: nvml.Scene, library: Path, workspace: Workspace
) -> None:
    job = gpu_queue.drill(steps=2000, gpu_mib=100)
    gpu_queue.step(job.id, 2)
    program = gpu_queue.child(job.id).pid
    scene.processes = [
        nvml.Process(program, 0, 700),
        nvml.Process(program, 1, 90),
        nvml.Process(os.getpid(), 0, 250),
    ]
    scene.write()
    with NvmlReader(library, scene) as reader:
        found = reader.fresh(workspace).look()
    assert uses(found, job.id) == {"GPU-0": (700, "driver"), "GPU-1": (90, "driver")}
    assert [(p["pid"], p["job"]) for p in found["devices"][0]["processes"]] == sorted(
        [(program, job.id), (os.getpid(), None)]
    )
    ours = next(p for p in found["devices"][0]["processes"] if p["pid"] == program)
    assert ours["command"].endswith(" -m jobs.drill")


def test_where_processes_are_hidden_a_card_of_ones_own_tells_by_its_rise_even_to_a_reader_that_came_later(
    gpu_queue: Queue, scene: nvml.Scene, library: Path, workspace: Workspace
) -> None:
    with NvmlReader(library, scene) as reader:
        assert reader.fresh(workspace).look()["jobs"] == []
        job = gpu_queue.drill(steps=2000, gpus=1)
        gpu_queue.step(job.id, 2)
        lease = next(lease["resource"] for lease in gpu_queue.store.get(job.id).leases if "gpu:" in lease["resource"])
        mine = next(card for card in scene.cards if f"gpu:{card.uuid}" == lease)
        assert uses(reader.look(), job.id) == {}
        before = mine.used
        for card in scene.cards:
            card.used += 8000
        scene.write()
        assert uses(reader.look(), job.id) == {mine.uuid: (8000, "lease")}
        assert uses(reader.fresh(workspace).look(), job.id) == {mine.uuid: (8000, "lease")}, before
    # A neighbour that the driver does name is not the job's.
    scene.processes = [nvml.Process(os.getpid(), scene.cards.index(mine), before + 3000)]
    scene.write()
    with NvmlReader(library, scene) as reader:
        assert uses(reader.fresh(workspace).look(), job.id) == {mine.uuid: (5000, "lease")}
        gpu_queue.store.cancel(job.id)
        gpu_queue.reach(job.id, "cancelled")
        assert reader.look()["jobs"] == []


def test_on_a_shared_card_that_hides_processes_the_trainers_own_figure_is_told(
    gpu_queue: Queue, scene: nvml.Scene, library: Path, workspace: Workspace
) -> None:
    job = gpu_queue.drill(steps=2000, gpu_mib=100)
    gpu_queue.step(job.id, 2)
    lease = next(lease["resource"] for lease in gpu_queue.store.get(job.id).leases if "gpu:" in lease["resource"])
    with NvmlReader(library, scene) as reader:
        assert uses(reader.fresh(workspace).look(), job.id) == {}
        events = EventWriter(gpu_queue.store.job_dir(job.id))
        events.progress("count", 3, metrics={"memory_mib": 512.5})
        events.close()
        until(
            lambda: "memory_mib" in gpu_queue.store.get(job.id).progress.get("metrics", {}),
            what="the row has the figure",
        )
        assert uses(reader.look(), job.id) == {lease.removeprefix("gpu:"): (512, "trainer")}
