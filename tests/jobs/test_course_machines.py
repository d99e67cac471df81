"""The course where something is wrong with the machine: no network, no room on the disk, a checkout that cannot be written, and another
panel in the way. Its first steps are real ones: a model that answers, and rows that are made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.course import progress
from backend.web import panel as panels
from backend.workspace import ROOT, open_workspace
from tests.support.panel import start_panel
from tests.support.small_disk import can_mount

STEPS = "tests.support.course_first_steps"
CODE = ("app.py", "backend", "jobs", "locale", "models", "pages", "tests", "ui", ".streamlit", "static")
MOUNTS = ("-m", "--propagation", "private", "bash", "-c")
mounts = pytest.mark.skipif(not can_mount(), reason="needs the right to mount")
pytestmark = pytest.mark.timeout(400)  # a panel and a model server are started, beside other tests


def first_steps(workspace: Path, *prefix: str, checkout: Path = ROOT, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What came of the first steps in ``checkout``, behind ``prefix``: words of a program that runs another one."""
    workspace.mkdir(exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(checkout), "TUNEDECK_WORKSPACE": str(workspace)}
    done = subprocess.run(
        [*prefix, sys.executable, "-m", STEPS, *more],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        timeout=350,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@mounts
def test_neither_a_network_nor_a_checkout_that_can_be_written_is_needed(tmp_path: Path) -> None:
    """Whoever is root writes into any folder, so that it is mounted read-only."""
    checkout = tmp_path / "checkout"
    copy_code(checkout)
    alone = (
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && ! touch "$1/try" 2>/dev/null && ip link set lo up'
    )
    prefix = (*("unshare", "-n", *MOUNTS), f'{alone} && cd "$1" && shift && exec "$@"', "-", str(checkout))
    found = first_steps(tmp_path / "w", *prefix, checkout=checkout)
    assert (found["root"], set(found["done"]), found["healthy"]) == (str(checkout), {"talk", "rows"}, True)


@mounts
def test_on_a_full_disk_each_step_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    small = 'mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@"'
    found = first_steps(workspace, "unshare", *MOUNTS, small, "-", str(workspace), more=("full",))
    for step in ("talk", "rows"):
        assert "The disk that holds" in found["full"][step]
        assert "Delete finished jobs or other files there; what is running goes on." in found["full"][step]
    assert "It answered in" in found["full"]["course"], "what was done before stands there all the same"
    assert set(found["done"]) == {"talk", "rows"}, "nothing was lost, and it goes on where it was"
    assert found["told"]["rows"][0].endswith("teach it the name Robin.")


def test_a_panel_of_another_workspace_keeps_its_port_and_its_course(tmp_path: Path) -> None:
    other = start_panel(tmp_path / "other")
    try:
        begun = progress.begin(open_workspace(other.workspace))
        env = {**os.environ, "TUNEDECK_WORKSPACE": str(tmp_path / "mine")}
        command = [sys.executable, "-m", "backend", "panel", "start", "--port", str(other.port)]
        said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
        assert said.returncode == 1
        assert f"Port {other.port} on 127.0.0.1 is in use by another program" in said.stderr
        assert "leave it empty to take the next free one" in said.stderr
        mine = open_workspace(tmp_path / "mine")
        assert panels.running(mine) is None
        assert not progress.read(mine).began
        assert other.healthy()
        assert progress.read(open_workspace(other.workspace)) == begun
    finally:
        other.stop()


def copy_code(checkout: Path) -> None:
    """What is needed to run, and nothing that was compiled."""
    checkout.mkdir()
    for source in (ROOT / name for name in CODE):
        if source.is_dir():
            shutil.copytree(source, checkout / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, checkout / source.name)
