"""What docs/operations.md promises about services and backups, tried: the units, a restart that ends the panel only, copy and restore."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from backend.cli import build
from backend.data.store import Datasets
from backend.queue import folder, proctree
from backend.queue.store import open_store
from backend.web import panel as panels
from backend.workspace import ROOT, open_workspace
from tests.support.panel import end_all_of, free_port, start_panel
from tests.support.wait import until

UNITS = {
    "tunedeck.service": ("%h/tunedeck", "tunedeck.service"),
    "tunedeck@.service": ("/opt/tunedeck", "tunedeck@root.service"),
}
"""File: the checkout that it names, and the unit that systemd makes of it."""


def unit(name: str) -> configparser.SectionProxy:
    """The section Service of a unit, with this checkout in it."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names are told apart by case
    parser.read_string(here(name))
    return parser["Service"]


def here(name: str) -> str:
    return (ROOT / "docs" / "systemd" / name).read_text(encoding="utf-8").replace(UNITS[name][0], str(ROOT))


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_ends_nothing_but_the_panel(name: str) -> None:
    service = unit(name)
    assert service["KillMode"] == "process"
    assert service["OOMPolicy"] == "continue"
    assert service["TasksMax"] == "infinity"
    assert not {"MemoryMax", "PrivateTmp", "ProtectHome", "RestrictNamespaces"} & set(service), "it would hold for jobs"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_the_panel_of_its_checkout(name: str) -> None:
    service = unit(name)
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).is_file()
    assert service["WorkingDirectory"] == str(ROOT)
    assert arguments == ["-m", "backend", "panel", "start"]
    assert "panel" in {group.name for group in build().registered_groups}


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_a_unit_without_a_word(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    (tmp_path / name).write_text(here(name), encoding="utf-8")
    manager = ["--user"] if name == "tunedeck.service" else []
    done = subprocess.run(
        ["systemd-analyze", *manager, "verify", str(tmp_path / UNITS[name][1])],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if name.split(".")[0].split("@")[0] in line] == []


def test_a_restart_as_systemd_makes_it_leaves_a_job_at_work(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    workspace = open_workspace(root)
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TUNEDECK_", "STREAMLIT_"))},
        "TUNEDECK_WORKSPACE": str(root),
        "TUNEDECK_PORT": str(port),
        "TUNEDECK_WATCHER_IDLE_S": "2",
    }
    command = shlex.split(unit("tunedeck.service")["ExecStart"])

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "journal").open("ab") as journal:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=journal, stderr=journal)

    panel = start()
    try:
        until(lambda: panels.running(workspace), 90, "the panel is open")
        store = open_store(workspace)
        job = store.submit("drill", {"steps": 10_000, "step_s": 0.05})
        until(lambda: store.get(job.id).progress.get("step"), 90, "the job works")
        child = folder.read(store.job_dir(job.id), folder.CHILD, 1)
        assert child is not None

        panel.send_signal(signal.SIGTERM)  # KillMode=process: to this process and to no other
        assert panel.wait(30) is not None
        reached = store.get(job.id).progress["step"]
        panel = start()
        until(lambda: panels.running(workspace), 90, "the next panel is open")
        until(lambda: store.get(job.id).progress["step"] > reached, 60, "the job has gone on")
        assert proctree.process_at(int(child["pid"]), int(child["ticks"])), "it is the same process as before"
        assert store.get(job.id).attempt == 1
        found = panels.running(workspace)
        assert found is not None
        assert found.port == port, "the link is the same"
    finally:
        panel.kill()
        panel.wait(20)
        end_all_of(root)


def backup_script() -> str:
    """The commands of the section Backup."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(from=.+?)```", page, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_a_backup_that_is_made_while_all_runs_can_be_restored(tmp_path: Path) -> None:
    home, root = tmp_path / "home of anna", tmp_path / "home of anna" / ".tunedeck"
    home.mkdir()
    panel = start_panel(root)
    try:
        workspace = open_workspace(root)
        store = open_store(workspace)
        ended = store.submit("drill", {"steps": 2, "step_s": 0.01})
        runs = store.submit("drill", {"steps": 10_000, "step_s": 0.05})
        until(lambda: store.get(ended.id).done and store.get(runs.id).progress.get("step"), 90, "one ended, one runs")
        made = Datasets(workspace).folder / "tiny"
        made.mkdir(parents=True)
        (made / "rows.jsonl").write_text("{}\n")
        with closing(sqlite3.connect(workspace.chat_db)) as chat:
            chat.execute("PRAGMA journal_mode = WAL")
            chat.execute("CREATE TABLE IF NOT EXISTS proof (words)")
            chat.execute("INSERT INTO proof VALUES ('kept')")
            chat.commit()  # and stays in the side file, since the connection is open
            done = subprocess.run(
                ["sh", "-euc", backup_script()],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(home)},
                capture_output=True,
                text=True,
                timeout=120,
            )
        assert done.returncode == 0, done.stderr
        token = panel.token
    finally:
        panel.stop()

    copy = home / "tunedeck-backup"
    assert copy.stat().st_mode & 0o077 == 0
    assert not (copy / "run").exists()
    assert not list(copy.glob("state.db*"))
    root.rename(home / "before")
    copy.rename(root)
    again = start_panel(root)
    try:
        store = open_store(open_workspace(root), check=True)  # as pages and watcher do
        assert store.get(ended.id).state == "succeeded"
        until(
            lambda: store.get(runs.id).attempt == 2, 60, "what was broken off begins again by itself, as a drill does"
        )
        with closing(sqlite3.connect(root / "chat.db")) as chat:
            assert chat.execute("SELECT words FROM proof").fetchall() == [("kept",)]
        assert (root / "datasets" / "sets" / "tiny" / "rows.jsonl").is_file()
        assert again.token == token
    finally:
        again.stop()
