"""An LMDeploy that was installed for the CPU makes 4-bit copies and is not offered for serving, GPU or not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.engines import engines
from backend.envs import places
from backend.envs.places import Record
from backend.memory import machine
from backend.workspace import ROOT, Workspace
from tests.support import lmdeploy_stub


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started now see one GPU."""
    folder = lmdeploy_stub.driver(tmp_path / "driver")
    if folder is None:
        pytest.skip("no C compiler here to build the stub of libnvidia-ml.so.1 (apt install gcc)")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))


def install(workspace: Workspace, flavour: str) -> None:
    """As an install leaves it, with an LMDeploy that computes nothing."""
    home = places.home(workspace, "lmdeploy")
    build = home / places.BUILDS / flavour
    lmdeploy_stub.make(build)
    Record("lmdeploy", flavour, "", "3.11", {"lmdeploy": "0.18.0"}, 1, 1.0, ("lmdeploy-0.18.0",)).write(build)
    (home / places.CURRENT).unlink(missing_ok=True)
    (home / places.CURRENT).symlink_to(build.relative_to(home))


def problem() -> dict[str, Any]:
    """Why it cannot serve, as a process says that sees the GPU."""
    command = [sys.executable, "-m", "backend", "serve", "engines", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    found = next(engine for engine in json.loads(done.stdout) if engine["engine"] == "lmdeploy")
    return found["problem"] or {}


def test_for_the_cpu_it_is_not_offered_for_serving_and_for_cuda_it_is(gpu: None, workspace: Workspace) -> None:
    assert problem()["code"] == "engine_missing_environment"
    install(workspace, "cpu")
    assert problem()["code"] == "engine_flavour_cpu"
    install(workspace, "cuda")
    assert problem() == {}


@pytest.mark.skipif(bool(machine.gpus()[0]), reason="this machine has a GPU")
def test_without_a_gpu_it_still_makes_4_bit_copies(workspace: Workspace) -> None:
    engine = engines()["lmdeploy"]
    assert [each.problem and each.problem.code for each in engine.capabilities()] == [
        "engine_needs_gpu",
        "engine_missing_environment",
    ]
    install(workspace, "cpu")
    assert [each.problem and each.problem.code for each in engine.capabilities()] == ["engine_needs_gpu", None]
