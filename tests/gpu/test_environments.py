"""The environments of engines on a real card. TUNEDECK_TEST_ENVIRONMENTS names a folder in which ``make engines`` has made those
for CUDA; the index must be in reach for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.engines import engines
from backend.envs import places
from backend.queue.resources import Card
from backend.workspace import Workspace
from jobs.selftests.testing import run_selftest

# Before any fixture: the tests' own workspace takes all TUNEDECK_ variables away.
FOLDER = os.environ.get("TUNEDECK_TEST_ENVIRONMENTS", "")
NAMES = [name for name, engine in engines().items() if engine.recipe and "cuda" in engine.recipe.flavours]


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", NAMES)
def test_with_a_gpu_nothing_is_left_untested_for_want_of_one(
    name: str, card: Card, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_ENVIRONMENTS_FOLDER", FOLDER)
    found = places.status(workspace, name)
    if not FOLDER or not found.usable or found.python is None or found.flavour != "cuda":
        pytest.skip(f"TUNEDECK_TEST_ENVIRONMENTS names no folder with {name} for CUDA (make engines NAME={name})")
    folder = tmp_path / "selftest"
    folder.mkdir()
    report = run_selftest(engines()[name], found.python, "cuda", folder, print)
    assert report.passed, report
    assert [check.name for check in report.checks if check.problem and check.problem.code == "env_no_gpu"] == []
