"""Environments: every state of an engine says what it is and has the one button that fits; what a person may fold out;
what became of the last job. The environments are folders as an install leaves them, see tests.support.environments."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import settings
from backend.engines import Capability, engines
from backend.envs import places
from backend.errors import PanelError, ServerError
from backend.queue import lifecycle, locks
from backend.queue.events import EventWriter
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.support import environments
from tests.support.environments import FAILED, NOT_TESTED, PASSED, Toy
from tests.support.page_text import labels, text
from ui.jobs import card as job_card


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The only engine of these pages."""
    found = Toy(tmp_path / "locks")
    for name in list(engines()):
        monkeypatch.delitem(engines(), name)
    monkeypatch.setitem(engines(), "toy", found)
    return found


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> object:
    return next(button for button in app.button if button.label == label)


def unfold(app: AppTest) -> AppTest:
    app.session_state["engine_more_toy"] = True
    app.run()
    assert not app.exception
    return app


def end(store: Store, job: int, state: str, error: PanelError | None = None) -> None:
    """The job ``job`` ran and ended like that."""
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1, started = created WHERE id = ?", (job,))
    row = store.get(job)
    how = {"attempt": 1, "state": state, "ended": row.created + 90, "elapsed": 90.0}
    assert lifecycle.finish(store, job, 1, {**how, "error": error.to_dict() if error else {}})


MAIN = ("Install Toy", "Update Toy", "Repair Toy", "Test Toy", "Test again")
"""What the one button may say."""


def test_missing_says_what_it_takes_and_the_button_makes_that_job(open_page: OpenPage, store: Store) -> None:
    app = open_page("environments")
    said = plain(app)
    assert "No engine can be used yet." in said
    assert "not installed" in said
    assert "for the CPU · download 2.9 MiB · needs " in said
    assert ":gray[:material/check:] Play alone" in said
    assert ":gray[:material/block:] Play with many" in said
    assert "This machine shows no NVIDIA GPU." in said
    assert [label for label in labels(app) if label in MAIN] == ["Install Toy"]
    press(app, "Install Toy")
    (row,) = store.queue()
    assert (row.verb, row.title) == ("install_env", "install toy")
    assert store.spec(row.id) == {"engine": "toy", "flavour": "auto", "wheels": "", "reinstall": False}
    assert [label for label in labels(app) if label in MAIN] == []
    press(app, "Cancel")
    assert store.queue() == []


def test_what_only_the_install_removes_is_no_reason_against_a_missing_engine(open_page: OpenPage, toy: Toy) -> None:
    not_here = ServerError("engine_missing_environment", "Toy is not installed.")
    toy.able[0] = Capability("Play alone", not_here)
    said = plain(open_page("environments"))
    assert "On this machine, once it is installed" in said
    assert ":gray[:material/check:] Play alone" in said
    assert "Toy is not installed." not in said


def test_ready_is_green_with_versions_and_the_figures_of_its_self_test(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    environments.make(workspace, toy, PASSED, NOT_TESTED)
    app = open_page("environments")
    said = plain(app)
    assert "Can be used now: Toy (1 of 1)." in said
    assert ":green-badge[:material/verified: installed and proven]" in said
    assert "toy 1.0 · toy-parts 0.5 · 4.0 MiB · for the CPU · installed 2 h ago" in said
    assert "Passed 1 h ago, took 2 s." in said
    assert ":green[:material/check_circle:] Three training steps" in said
    assert "Loss 3.42 → 3.10" in said
    assert [label for label in labels(app) if label in MAIN] == ["Test again"]


def test_what_was_not_tested_here_is_grey_with_its_reason_and_never_green(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    environments.make(workspace, toy, PASSED, NOT_TESTED)
    (report,) = [m.value for m in open_page("environments").markdown if "Three training steps" in m.value]
    (line,) = [part for part in report.split("\n") if "A request to its server" in part]
    assert "green" not in line
    assert "not tested here" in line
    assert "This machine shows no NVIDIA GPU." in line


def test_a_failed_self_test_is_red_and_says_what_failed(open_page: OpenPage, workspace: Workspace, toy: Toy) -> None:
    environments.make(workspace, toy, FAILED)
    app = open_page("environments")
    said = plain(app)
    assert ":red-badge[:material/error: self-test failed]" in said
    assert ":red[· It ended with code 1.]" in said
    assert "green" not in said.split("Self-test")[1].split("On this machine")[0]
    assert [label for label in labels(app) if label in MAIN] == ["Test again"]


def test_installed_without_a_self_test_is_not_called_proven(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    environments.make(workspace, toy, tested=False)
    app = open_page("environments")
    assert "installed, not tested" in plain(app)
    assert "installed and proven" not in plain(app)
    press(app, "Test Toy")


def test_an_older_lock_offers_the_update(open_page: OpenPage, workspace: Workspace, toy: Toy, store: Store) -> None:
    environments.make(workspace, toy, lock="another")
    app = open_page("environments")
    assert "update available" in plain(app)
    press(app, "Update Toy")
    assert store.queue()[0].verb == "install_env"


def test_damage_is_named_and_repaired_anew(open_page: OpenPage, workspace: Workspace, toy: Toy, store: Store) -> None:
    environments.delete_package(environments.make(workspace, toy))
    app = open_page("environments")
    assert "These packages are gone: toy_parts-0.5" in plain(app)
    assert "needs repair" in plain(app)
    press(app, "Repair Toy")
    assert store.spec(store.queue()[0].id)["reinstall"] is True


def test_a_python_of_ones_own_is_used_and_not_removed(open_page: OpenPage, workspace: Workspace, toy: Toy) -> None:
    home = places.home(workspace, "toy") / "bin"
    home.mkdir(parents=True)
    (home / "python").symlink_to(sys.executable)
    app = unfold(open_page("environments"))
    assert "your own" in plain(app)
    assert [tab.label for tab in app.tabs] == ["Install in another way", "Make a bundle", "What is in it"]
    press(app, "Test Toy")


def test_a_built_in_engine_can_be_tested_and_nothing_else(open_page: OpenPage, workspace: Workspace, toy: Toy) -> None:
    toy.recipe = None  # type: ignore[assignment]
    app = unfold(open_page("environments"))
    assert "built in" in plain(app)
    assert not app.tabs
    environments.report(workspace, toy, Path(sys.prefix), PASSED)
    assert [label for label in labels(app) if label in MAIN] == ["Test Toy"]


def test_problems_before_the_start_stand_beside_a_button_that_cannot_be_pressed(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    environments.write_lock(toy.recipe.lock("cpu"), "cpu", environments.PACKAGES, python="9.9")
    toy.recipe.lock("cuda").unlink()
    app = open_page("environments")
    assert "Toy needs Python 9.9" in plain(app)
    assert button(app, "Install Toy").disabled  # type: ignore[attr-defined]


def test_a_folder_or_flavour_of_ones_choice_is_planned_and_installed(
    open_page: OpenPage, store: Store, tmp_path: Path, toy: Toy
) -> None:
    app = unfold(open_page("environments"))
    app.text_input(key="engine_wheels_toy").set_value(str(tmp_path / "gone")).run()
    assert f"There is no folder {tmp_path / 'gone'}." in plain(app)
    assert button(app, "Install like this").disabled  # type: ignore[attr-defined]
    wheels = tmp_path / "bundle"
    wheels.mkdir()
    for name in ("toy-1.0-py3-none-any.whl", "toy_parts-0.5-py3-none-any.whl"):
        (wheels / name).write_bytes(b"")
    app.text_input(key="engine_wheels_toy").set_value(str(wheels)).run()
    app.selectbox(key="engine_flavour_toy").select("cuda").run()
    assert any(f"envs install toy --flavour cuda --from {wheels}" in block.value for block in app.code)
    press(app, "Install like this")
    assert store.spec(store.queue()[0].id) == {
        "engine": "toy",
        "flavour": "cuda",
        "wheels": str(wheels),
        "reinstall": False,
    }


def test_a_bundle_needs_a_folder_and_says_how_much_it_is(open_page: OpenPage, store: Store, tmp_path: Path) -> None:
    app = unfold(open_page("environments"))
    assert "2 packages, 2.9 MiB" in plain(app)
    assert button(app, "Make the bundle").disabled  # type: ignore[attr-defined]
    app.text_input(key="engine_bundle_folder_toy").set_value(str(tmp_path / "out")).run()
    press(app, "Make the bundle")
    (row,) = store.queue()
    assert (row.verb, store.spec(row.id)["folder"]) == ("bundle_env", str(tmp_path / "out"))


def test_what_is_in_it_names_packages_and_patches_with_why_and_until_when(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    build = environments.make(workspace, toy)
    app = unfold(open_page("environments"))
    assert "Its parts do not fit together." in plain(app)
    assert "Needed with toy <2; left out with others." in plain(app)
    assert str(build) in [block.value for block in app.code]
    (table,) = app.dataframe
    assert table.value.to_numpy().tolist()[1][:2] == ["toy-parts", "0.5"]


def test_removal_asks_says_what_it_frees_and_leaves_nothing(
    open_page: OpenPage, workspace: Workspace, toy: Toy
) -> None:
    environments.make(workspace, toy)
    app = unfold(open_page("environments"))
    (label,) = [label for label in labels(app) if label.startswith("Remove and free")]
    press(app, label)
    assert "not installed" in plain(app)
    assert [toast.value for toast in app.toast if "Toy is removed" in toast.value]
    assert places.current(places.home(workspace, "toy")) is None


def test_a_failed_install_shows_its_reason_and_the_ways_on_until_it_is_dismissed(
    open_page: OpenPage, store: Store
) -> None:
    job = store.submit("install_env", {"engine": "toy"}).id
    end(store, job, "failed", PanelError("env_pip_cut_off", "The network was lost.", "Try again."))
    app = open_page("environments")
    assert "The network was lost." in plain(app)
    ways = [label for label in labels(app) if label in (*MAIN, "Try again", "Set a mirror or proxy", "Dismiss")]
    assert ways == ["Try again", "Set a mirror or proxy", "Dismiss"]
    press(app, "Dismiss")
    assert store.list() == []
    assert "Install Toy" in labels(app)


def test_a_cancelled_install_is_resumed_from_its_card(open_page: OpenPage, store: Store) -> None:
    job = store.submit("install_env", {"engine": "toy"}).id
    end(store, job, "cancelled")
    app = press(open_page("environments"), "Resume")
    assert [(row.id, row.state) for row in store.queue()] == [(job, "queued")]
    assert "waiting" in plain(app)


def test_an_old_failure_is_no_news_once_it_is_installed(
    open_page: OpenPage, store: Store, workspace: Workspace, toy: Toy
) -> None:
    job = store.submit("install_env", {"engine": "toy"}).id
    end(store, job, "failed", PanelError("env_pip_cut_off", "The network was lost."))
    with store.write() as db:
        db.execute("UPDATE jobs SET ended = ended - 90000 WHERE id = ?", (job,))
    environments.make(workspace, toy)
    assert "The network was lost." not in plain(open_page("environments"))


def test_where_a_bundle_lies_is_said_when_it_is_made(open_page: OpenPage, store: Store, tmp_path: Path) -> None:
    job = store.submit("bundle_env", {"engine": "toy", "folder": str(tmp_path / "out")}).id
    end(store, job, "succeeded")
    environments.write_json(store.job_dir(job) / "result.json", {"ok": True, "attempt": 1, "folder": "/data/out"})
    app = open_page("environments")
    assert "The bundle is made." in plain(app)
    assert "/data/out" in [block.value for block in app.code]


def test_the_job_that_made_it_leads_back_from_the_list_of_jobs(
    open_page: OpenPage, store: Store, tmp_path: Path
) -> None:
    job = store.submit("install_env", {"engine": "toy"}).id
    events = EventWriter(store.job_dir(job))
    events.artifact("environment", tmp_path, "Toy")
    events.close()
    end(store, job, "succeeded")
    app = open_page("jobs")
    app.query_params["job"] = str(job)
    app.run()
    assert "Made the environment of **Toy**." in plain(app)
    assert "Open Environments" in [link.proto.label for link in app.main.get("page_link")]


def test_another_panel_at_work_is_said_and_nothing_is_begun_twice(open_page: OpenPage, workspace: Workspace) -> None:
    home = places.home(workspace, "toy")
    home.mkdir(parents=True)
    held = locks.acquire(home / places.INSTALL_LOCK)
    assert held is not None
    try:
        app = open_page("environments")
        assert "It is being installed from another panel or a shell." in plain(app)
        assert button(app, "Install Toy").disabled  # type: ignore[attr-defined]
    finally:
        os.close(held)


def test_what_is_fetched_is_said_in_megabytes_and_files(store: Store) -> None:
    metrics = {"mb_per_s": 12.5, "files": 1, "files_total": 4}
    progress = {"phase": "download", "step": 250.0, "total": 1000.0, "metrics": metrics}
    row = replace(store.submit("install_env", {"engine": "toy"}), state="running", progress=progress)
    assert job_card.progress_line(row) == "downloading · 250.0 of 1,000.0 MB · 12.5 MB/s · 1 of 4 files"


def test_the_settings_page_keeps_mirror_and_folders(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.text_input(key="set_pip_index_url").set_value("https://mirror.example.org/simple/")
    app.text_input(key="set_shared_environments_folder").set_value("/data/environments")
    press(app, "Save for environments")
    kept = settings.load(workspace)
    assert kept.pip_index_url == "https://mirror.example.org/simple"
    assert kept.shared_environments_folder == "/data/environments"
    app.text_input(key="set_proxy").set_value("http://ada:secret@proxy.example.org")
    press(app, "Save for environments")
    assert "a name and password do not belong here" in plain(app)
    assert settings.load(workspace).proxy == ""
