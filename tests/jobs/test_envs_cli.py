"""``python -m backend envs …`` as processes, on a checkout with the toy engine and an index on loopback: installed, followed
on a terminal and without one, interrupted, tested, bundled, removed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.queue.store import open_store
from backend.workspace import ROOT, open_workspace
from tests.support.installs import environ
from tests.support.panel import end_all_of
from tests.support.toy_engine import Checkout, checkout_with_engine
from tests.support.wait import until
from tests.support.wheel_index import Fault, WheelIndex


class Shell:
    """A shell on the server: the checkout, the variables, and what is typed there."""

    def __init__(self, checkout: Checkout, folder: Path, index: WheelIndex) -> None:
        self.checkout, self.folder = checkout, folder
        self.broken = folder / "broken"
        self.env = environ(folder, index.url, TUNEDECK_WATCHER_IDLE_S="60", TOY_FAILS=str(self.broken))

    def line(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "backend", "envs", *args]

    def run(self, *args: str, code: int = 0) -> str:
        done = subprocess.run(
            self.line(*args), cwd=self.checkout.root, env=self.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 or "--json" in args else done.stderr

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self.run(*args, "--json", code=code))

    def start(self, *args: str, **how: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.line(*args), cwd=self.checkout.root, env=self.env, **how)

    def jobs(self) -> list[tuple[str, str]]:
        """(kind, state) of all jobs, newest first."""
        store = open_store(open_workspace(self.folder / "workspace"))
        try:
            return [(row.verb, row.state) for row in store.list()]
        finally:
            store.close()


@pytest.fixture
def index() -> Iterator[WheelIndex]:
    with WheelIndex() as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, index: WheelIndex) -> Iterator[Shell]:
    checkout = checkout_with_engine(tmp_path)
    index.add(*checkout.packages)
    yield Shell(checkout, tmp_path, index)
    end_all_of(tmp_path / "workspace")


def toy(listed: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in listed if each["engine"] == "toy")


def test_one_life_missing_planned_installed_reused_broken_and_removed(shell: Shell) -> None:
    assert toy(shell.json("list"))["state"] == "missing"
    (plan,) = shell.json("install", "toy", "--dry-run")
    assert (plan["flavour"], plan["packages"], plan["reuse"], plan["problems"]) == ("cpu", 2, False, [])

    made = shell.json("install", "toy")
    assert (made["state"], made["usable"], made["versions"]) == ("ready", True, {"toy": "1.0", "toy-part": "1.0"})
    assert [check["outcome"] for check in made["report"]["checks"]] == ["passed", "passed"]
    assert made["report"]["passed"]
    assert toy(shell.json("list"))["folder"] == made["folder"]
    assert re.search(r"^toy +ready +1\.0 +cpu .* ✓2$", shell.run("list"), re.MULTILINE)

    # Again: nothing to do, and no job is made of it.
    assert "toy is installed and proven already." in shell.run("install", "toy")
    assert shell.jobs() == [("install_env", "succeeded")]

    shell.broken.touch()
    error = shell.json("test", "toy", code=1)["error"]
    assert error["code"] == "env_selftest_failed"
    assert "The toy is broken" in error["message"] + error["hint"]
    assert toy(shell.json("list"))["report"]["passed"] is False

    refused = shell.json("remove", "toy", code=1)["error"]
    assert refused["code"] == "deletion_not_confirmed"
    assert shell.json("remove", "toy", "--yes")["freed_bytes"] > 10_000
    assert toy(shell.json("list"))["state"] == "missing"


def test_on_a_terminal_one_line_moves_and_ctrl_c_asks_whether_to_cancel(shell: Shell, index: WheelIndex) -> None:
    index.fail("toy_part-1.0", Fault(cut=1000, hold=True))
    terminal, inside = pty.openpty()
    process = shell.start("install", "toy", stdin=inside, stdout=inside, stderr=inside, start_new_session=True)
    os.close(inside)
    seen = Screen(terminal)
    try:
        seen.until("downloading")
        assert index.held.wait(30)
        assert "\r\x1b[K" in seen.text, "the same line is written over"
        os.killpg(process.pid, signal.SIGINT)
        seen.until("Cancel job 1? What it has downloaded stays.")
        os.write(terminal, b"y\n")
        seen.until("Cancelled. The same command goes on from what is there.")
        assert process.wait(30) == 130
        assert shell.jobs() == [("install_env", "cancelled")]
    finally:
        process.kill()
        process.wait(10)
        os.close(terminal)


def test_without_a_terminal_each_phase_is_a_line_and_an_interrupt_leaves_the_job_at_work(
    shell: Shell, index: WheelIndex
) -> None:
    index.fail("toy_part-1.0", Fault(cut=1000, hold=True))
    log = shell.folder / "log"
    with log.open("wb") as out:
        process = shell.start("install", "toy", stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until(lambda: "downloading" in log.read_text(), 60, "the download is said")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait(10)
    assert "Job 1 goes on." in log.read_text()
    assert "\x1b" not in log.read_text()
    assert shell.jobs() == [("install_env", "running")]
    # The same command follows the job that is at work.
    with log.open("wb") as out:
        process = shell.start("install", "toy", stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    until(lambda: "Job 1 does that already" in log.read_text(), 60, "it finds the job")
    index.go_on()
    assert process.wait(90) == 0
    said = log.read_text()
    assert "toy is installed and proven: " in said
    assert "✓ Play a little · Played toy 1.0 plays" in said
    assert shell.jobs() == [("install_env", "succeeded")]


def test_a_bundle_is_installed_where_there_is_no_network_and_all_says_what_could_not_be(shell: Shell) -> None:
    folder = shell.folder / "bundle"
    assert shell.json("bundle", "toy", str(folder))["folder"] == str(folder)
    assert sorted(path.name for path in folder.glob("*.whl"))[0].startswith("toy-1.0")
    shell.env["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"
    found = shell.json("install", "--all", "--from", str(folder), code=1)
    assert (toy(found)["state"], toy(found)["error"]) == ("ready", None)
    others = {each["engine"]: each["error"] for each in found if each["engine"] != "toy"}
    assert others
    assert all(error and error["code"].startswith("env_") for error in others.values())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["install", "nothing-like-it"], "env_unknown"),
        (["install", "transformers"], "env_unknown"),
        (["install"], "usage"),
        (["install", "toy", "--all"], "usage"),
        (["install", "toy", "--from", "/no/such/folder"], "env_bundle_missing"),
        (["remove", "toy", "--yes"], "env_none"),
        (["test", "nothing-like-it"], "env_unknown"),
    ],
)
def test_what_cannot_be_is_said_at_once_and_makes_no_job(shell: Shell, args: list[str], code: str) -> None:
    assert shell.json(*args, code=1)["error"]["code"] == code
    assert shell.jobs() == []


def test_make_engines_is_the_same_command() -> None:
    def said(*args: str) -> str:
        # A variable that happens to be called NAME, as some shells have, means nothing.
        # The tests themselves run under make, which hands its flags on.
        env = {**{k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}, "NAME": "desk"}
        return subprocess.run(
            ["make", "-n", "engines", *args], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]

    assert said("NAME=xtuner").strip().endswith('-m backend envs install "xtuner"')
    assert said().strip().endswith("-m backend envs install --all")


class Screen:
    """What a terminal was sent."""

    def __init__(self, terminal: int) -> None:
        self.terminal, self.text = terminal, ""
        self.news = select.poll()
        self.news.register(terminal, select.POLLIN)

    def until(self, words: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while words not in self.text:
            assert time.monotonic() < deadline, f"no {words!r} in {self.text!r}"
            if self.news.poll(1000):
                self.text += os.read(self.terminal, 4096).decode("utf-8", "replace")
