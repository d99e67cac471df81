"""What a server holds while it is measured: its processes' memory on the CPU, and on a GPU what the driver says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.workspace import ROOT
from jobs.benching.footprint import Footprint
from tests.support import nvml

MIB = 1 << 20
GPU = "GPU-0"
WATCHED = """
import subprocess, sys
program = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
subprocess.run([sys.executable, "-c", program], stdin=sys.stdin)
"""
LOOKER = """
import json, sys
from jobs.benching.footprint import Footprint, used_on
pid, gpu = int(sys.argv[1]), sys.argv[2]
before = used_on([gpu])
footprint = Footprint(pid, [gpu], before)
print(json.dumps(before), flush=True)
for line in sys.stdin:
    footprint.mark()
    print(json.dumps([*footprint.use(), footprint.source]), flush=True)
"""


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """(watcher, engine): a process, and the one that it started, which runs."""
    with subprocess.Popen([sys.executable, "-c", WATCHED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdin is not None
        yield watcher.pid, int(watcher.stdout.readline())
        watcher.stdin.close()


def test_on_the_cpu_all_processes_of_the_engine_count_and_a_mark_forgets(server: tuple[int, int]) -> None:
    watcher, _engine = server
    alone = Footprint(watcher, [], {})
    assert alone.source == "process"
    assert 1 * MIB < alone.use().peak < 200 * MIB, "the engine, without its watcher"
    program = (
        "import sys; a = b'x' * (80 << 20); print(flush=True); sys.stdin.readline(); del a; print(flush=True); input()"
    )
    shell = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    with subprocess.Popen([sys.executable, "-c", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as grown:
        assert grown.stdin is not None
        assert grown.stdout is not None
        footprint = Footprint(grown.pid, [], {})
        footprint.start()
        grown.stdout.readline()
        assert footprint.use().peak > 80 * MIB
        grown.stdin.write(b"\n")
        grown.stdin.flush()
        grown.stdout.readline()
        assert footprint.use().peak > 80 * MIB, "the most since the mark"
        footprint.mark()
        after = footprint.use()
        assert 1 * MIB < after.steady <= after.peak < 80 * MIB, "what was given back is not held against it"
        footprint.leave()
        grown.stdin.close()
    assert footprint.use().peak > 0, "one that has ended keeps its last figures"


def test_on_a_gpu_the_driver_says_it_and_where_it_names_nobody_the_rise_counts(
    tmp_path: Path, server: tuple[int, int]
) -> None:
    watcher, engine = server
    scene = nvml.Scene(tmp_path / "scene", [nvml.Card(used=1000, uuid=GPU), nvml.Card(used=7000, uuid="GPU-1")])
    scene.write()
    environment = nvml.environ(nvml.driver(tmp_path / "driver"), scene)
    with subprocess.Popen(
        [sys.executable, "-c", LOOKER, str(watcher), GPU],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as looker:
        assert looker.stdin is not None
        assert looker.stdout is not None

        def look() -> Any:
            assert looker.stdin is not None
            assert looker.stdout is not None
            looker.stdin.write("\n")
            looker.stdin.flush()
            return json.loads(looker.stdout.readline())

        assert json.loads(looker.stdout.readline()) == {GPU: 1000 * MIB}
        scene.cards[0].used = 6000
        scene.processes = [nvml.Process(engine, 0, 4500), nvml.Process(1, 0, 500), nvml.Process(engine, 1, 300)]
        scene.write()
        assert look() == [4500 * MIB, 4500 * MIB, "driver"], "its own process, on its own card"
        scene.cards[0].named = False
        scene.write()
        assert look() == [5000 * MIB, 5000 * MIB, "rise"], "what came since before its start"
        looker.stdin.close()
