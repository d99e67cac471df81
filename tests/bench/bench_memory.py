"""Memory: what a look at 8 GPUs with 64 processes costs, and that looking for a day costs no memory.

The real reader over a real queue's rows and real processes, eight jobs of eight, under a stub of the NVIDIA driver: what a
driver itself takes for its answers is not in the figures.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from backend.memory.reader import Reader
from backend.queue import folder
from backend.queue.proctree import COOKIE
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, open_workspace
from tests.bench.table import Row
from tests.support import nvml

CARDS, JOBS, EACH = 8, 8, 8
LOOKS = 20
DAY_S, STEP_S = 86_400, 10
COMES_AND_GOES = 20
"""Looks between two processes that come and go."""
FAMILY = f"""
import os, sys, time
held = bytearray(b"x") * (20 << 20)
children = []
for _ in range({EACH - 1}):
    child = os.fork()
    if not child:
        os.close(1)
        time.sleep(3600)
    children.append(child)
print(os.getpid(), *children, flush=True)
sys.stdin.read()
for child in children:
    os.kill(child, 9)
"""


@contextmanager
def families(store: Store) -> Iterator[list[int]]:
    """The processes of eight jobs that the queue takes for running."""
    running = []
    for _ in range(JOBS):
        job = store.submit("drill", {"steps": 1})
        cookie = f"{job.id}.1.bench"
        folder.write(store.job_dir(job.id), folder.ATTEMPT, {"attempt": 1, "cookie": cookie})
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", FAMILY],
                env={**os.environ, COOKIE: cookie},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1")
    try:
        yield [int(pid) for parent in running if parent.stdout for pid in parent.stdout.readline().split()]
    finally:
        for parent in running:
            parent.communicate(timeout=20)


def work() -> None:
    """In a process of its own, which has the stub for its driver: what is measured, as JSON."""
    workspace = open_workspace()
    now = 0.0
    reader = Reader(workspace, open_store(workspace), lambda: now)
    for _ in range(3):
        now += 1
        sample = reader.read(time.time())
    assert sum(len(device.processes) for device in sample.devices) == JOBS * EACH, sample
    assert len({use.job for use in sample.jobs if use.source == "driver"}) == JOBS, sample.jobs
    # Really once a second: what lies in the processor's caches is another's by the next look.
    spent, walls = time.process_time(), []
    for _ in range(LOOKS):
        time.sleep(1)
        now += 1
        begin = time.perf_counter()
        reader.read(time.time())
        walls.append(time.perf_counter() - begin)
    share = (time.process_time() - spent) / LOOKS
    sizes: list[int] = []
    for count in range(DAY_S // STEP_S):
        now += STEP_S
        if count % COMES_AND_GOES == 0:
            with subprocess.Popen(["sleep", "600"]) as passing:
                reader.read(time.time())
                passing.kill()
        reader.read(time.time())
        if count % 432 == 0:
            gc.collect()
            sizes.append(psutil.Process().memory_info().rss)
    reader.close()
    print(json.dumps({"share": share, "slowest": max(walls), "sizes": sizes}))


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        os.environ["TUNEDECK_WORKSPACE"] = f"{place}/workspace"
        library = nvml.build(Path(place) / "driver")
        if library is None:
            raise RuntimeError("no C compiler here to build the stub of libnvidia-ml.so.1 (apt install gcc)")
        store = open_store(open_workspace())
        try:
            with families(store) as pids:
                cards = [nvml.Card(used=40_000, load=90, power=300_000) for _ in range(CARDS)]
                held = [nvml.Process(pid, number % CARDS, 4_900) for number, pid in enumerate(pids)]
                scene = nvml.Scene(Path(place) / "scene", cards, held)
                done = subprocess.run(
                    [sys.executable, "-c", "from tests.bench.bench_memory import work; work()"],
                    cwd=ROOT,
                    env=nvml.environ(library, scene),
                    capture_output=True,
                    text=True,
                )
        finally:
            store.close()
            del os.environ["TUNEDECK_WORKSPACE"]
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    # The first tenth of the day fills the caches.
    settled = found["sizes"][2:]
    grown = (max(settled) - settled[0]) / 2**20
    return [
        {
            "what": f"a look each second at {CARDS} GPUs with {JOBS * EACH} processes of {JOBS} jobs, of one core",
            "value": found["share"] * 100,
            "unit": "%",
            "goal": "under 1 %",
            "ok": found["share"] < 0.01,
        },
        {"what": "the slowest of these looks", "value": found["slowest"] * 1000, "unit": "ms"},
        {
            "what": f"a simulated day of looks ({DAY_S // STEP_S}, with processes that come and go): growth of the reader",
            "value": grown,
            "unit": "MiB",
            "goal": "under 1 MiB",
            "ok": grown < 1,
        },
        {"what": "the process that looks", "value": settled[-1] / 2**20, "unit": "MiB"},
    ]
