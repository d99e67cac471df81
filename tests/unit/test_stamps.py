"""What is kept by a stamp: settings, datasets and installed packages are read anew as soon as their files change."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import settings, stamps
from backend.data.store import Datasets
from backend.engines import packages
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.datasets import keep, sums
from tests.support.wait import until


def settle(*paths: Path) -> None:
    """Wait until what is read of ``paths`` may be kept."""
    until(lambda: stamps.settled(stamps.stamp(*paths)), 10, "the clock of the file system has gone on")


@pytest.mark.parametrize(
    "change", [lambda f: f.write_text("other"), lambda f: f.unlink(), lambda f: os.utime(f, (1, 1))]
)
def test_a_file_that_changed_has_another_stamp(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = tmp_path / "file"
    file.write_text("once")
    before = stamps.stamp(file)
    assert stamps.stamp(file) == before
    change(file)
    assert stamps.stamp(file) != before


def test_a_file_of_this_moment_is_not_settled(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("once")
    ahead = time.time() + 60
    os.utime(file, (ahead, ahead))
    assert not stamps.settled(stamps.stamp(file))
    assert stamps.settled(stamps.stamp(tmp_path / "gone"))


def test_settings_that_another_process_wrote_hold_at_once(workspace: Workspace) -> None:
    settings.save(workspace, cpu_slots=2)
    settle(workspace.settings_file)
    assert settings.load(workspace).cpu_slots == 2
    assert settings.load(workspace).cpu_slots == 2  # from memory
    other = workspace.settings_file.with_name("other.json")
    other.write_text('{"cpu_slots": 3}')
    other.replace(workspace.settings_file)
    assert settings.load(workspace).cpu_slots == 3
    workspace.settings_file.unlink()
    assert settings.load(workspace).cpu_slots == settings.Settings().cpu_slots


def test_a_variable_that_came_later_holds_at_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load(workspace).language == "auto"
    monkeypatch.setenv("TUNEDECK_LANGUAGE", "zh_CN")
    assert settings.load(workspace).language == "zh_CN"
    monkeypatch.delenv("TUNEDECK_LANGUAGE")
    assert settings.load(workspace).language == "auto"


def test_settings_are_nobodys_to_change(workspace: Workspace) -> None:
    settings.load(workspace).language = "zh_CN"
    assert settings.load(workspace).language == "auto"


def test_a_dataset_is_what_was_last_written_gone_back_to_or_lost(workspace: Workspace) -> None:
    sets = Datasets(workspace)
    first = keep(workspace, "sums", sums(3))
    home = workspace.datasets / "sums"
    settle(home / "dataset.json", home / "versions")
    assert sets.get("sums") == sets.get("sums")
    second = keep(workspace, "sums", sums(4))
    assert (sets.get("sums").current.rows, sets.get("sums").versions) == (4, 2)
    settle(home / "dataset.json", home / "versions")
    assert sets.get("sums").current.id == second.id
    info = home / "versions" / second.id / "version.json"
    info.rename(info.with_name("away"))
    assert sets.get("sums").current.id == first.id
    info.with_name("away").rename(info)
    assert sets.get("sums").current.id == second.id


def test_a_package_that_was_just_installed_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert not packages.there("just_installed")
    (tmp_path / "just_installed").mkdir()
    (tmp_path / "just_installed" / "__init__.py").touch()
    os.utime(tmp_path, (time.time() + 5, time.time() + 5))  # the tick of the file system's clock may be too long
    assert packages.there("just_installed")


def test_titles_are_those_of_the_jobs_asked_for(store: Store) -> None:
    ids = [store.submit("drill", {"steps": 1}, title=title).id for title in ("one", "two", "three")]
    assert store.titles([ids[0], ids[2], 999]) == {ids[0]: "one", ids[2]: "three"}
    assert store.titles([]) == {}
