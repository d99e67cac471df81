"""What this machine has: containers' limits count, missing NVML values are values, and nothing here can crash a page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.memory import machine
from backend.workspace import ROOT
from tests.support import nvml

GIB = 2**30
PROGRAM = """
import dataclasses, json
from backend.memory import machine
for _ in range(2):  # the library stays open: the second look must say the same
    found, problem = machine.gpus()
print(json.dumps([[dataclasses.asdict(gpu) for gpu in found], problem]))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stub of the driver's library, compiled now."""
    return nvml.driver(tmp_path_factory.mktemp("driver"))


def gpus_with(driver: Path, mode: str = "") -> tuple[list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=nvml.environ(driver, mode), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found, problem = json.loads(done.stdout)
    return found, problem


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def test_the_snapshot_of_this_machine_is_sane(tmp_path: Path) -> None:
    found = machine.snapshot(tmp_path)
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.ram_free <= found.ram_total <= psutil.virtual_memory().total
    assert found.disk_free is not None
    assert found.disk_total is not None
    assert 0 < found.disk_free <= found.disk_total
    assert found.host


def test_a_containers_limits_count_and_its_file_cache_is_free(tmp_path: Path) -> None:
    inner = group(
        tmp_path / "a" / "b",
        cpu_max="150000 100000\n",
        memory_max=f"{GIB}\n",
        memory_current=f"{GIB // 2}\n",
        memory_stat=f"anon 1\ninactive_file {GIB // 4}\nactive_file {GIB // 8}\n",
    )
    assert machine.cores([inner]) == min(2, len(os.sched_getaffinity(0)))
    assert machine.ram([inner]) == (GIB, GIB - GIB // 8)


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    outer = group(tmp_path / "outer", memory_max=f"{GIB}\n", memory_current=f"{GIB - 1000}\n", memory_stat="")
    inner = group(tmp_path / "outer" / "inner", memory_max="max\n", memory_current="4096\n", memory_stat="")
    assert machine.ram([inner, outer]) == (GIB, 1000)


@pytest.mark.parametrize("content", ["", "max 100000", "max", "nonsense", "0 0"])
def test_a_group_without_limits_or_with_odd_files_changes_nothing(tmp_path: Path, content: str) -> None:
    odd = group(tmp_path / "odd", cpu_max=content, memory_max=content, memory_current=content, memory_stat=content)
    assert machine.cores([odd, tmp_path / "missing"]) == len(os.sched_getaffinity(0))
    assert machine.ram([odd, tmp_path / "missing"])[0] == psutil.virtual_memory().total


def test_a_disk_that_is_gone_is_unknown(tmp_path: Path) -> None:
    found = machine.snapshot(tmp_path / "unmounted")
    assert (found.disk_total, found.disk_free) == (None, None)


def test_cards_are_read_and_what_the_driver_does_not_tell_is_none(driver: Path) -> None:
    found, problem = gpus_with(driver)
    assert problem == ""
    assert [gpu["name"] for gpu in found] == ["NVIDIA A100-SXM4-80GB", "NVIDIA GB10", ""]
    assert (found[0]["total"], found[0]["free"], found[0]["load"]) == (80 * GIB, 30 * GIB, 0.37)
    assert found[0]["uuid"] == "GPU-11111111-0000-0000-0000-000000000000"
    for gpu in found[1:]:
        assert (gpu["total"], gpu["free"], gpu["load"]) == (None, None, None)


def test_a_machine_whose_driver_is_not_loaded_has_no_gpu_and_no_problem(driver: Path) -> None:
    assert gpus_with(driver, "no-driver") == ([], "")


def test_a_driver_that_does_not_fit_its_library_is_a_problem_in_words(driver: Path) -> None:
    assert gpus_with(driver, "mismatch") == ([], "RM has detected an NVML/RM version mismatch.")
