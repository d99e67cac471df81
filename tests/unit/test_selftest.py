"""Self-tests of environments: what a check becomes, and that nothing of a program is left when it fails or is stopped."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from backend.engines import Capability, Recipe
from backend.envs.status import Report
from backend.errors import PanelError
from jobs.harness import Stopped
from jobs.selftests import testing
from tests.support.wait import until

Test = testing.Test
FAMILY = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
Path("pids").write_text(f"{os.getpid()} {child.pid}")
print("both run", flush=True)
"""
"""Starts a child that ignores SIGTERM."""


@dataclass(frozen=True)
class Toy:
    """An engine whose environment is the one that runs the tests."""

    name: str = "toy"
    title: str = "Toy"
    purpose: str = "Plays."
    roles: tuple[str, ...] = ()
    recipe: Recipe | None = field(default_factory=lambda: Recipe(("psutil",), ("cpu",), ("psutil",)))

    def unavailable(self) -> PanelError | None:
        return None

    def capabilities(self) -> list[Capability]:
        return []


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def test(tmp_path: Path, lines: list[str]) -> Test:
    return Test("toy", "cpu", Path(sys.executable), os.environ, tmp_path, lines.append)


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def running(test: Test, code: str) -> Callable[[], None]:
    """A check that runs a program of ``code``."""

    def check() -> None:
        test.child(program(code), 60)

    return check


def alive(tmp_path: Path) -> list[int]:
    """Those of the :data:`FAMILY` that live."""
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_a_check_passes_with_its_figures_and_tells_them(test: Test, lines: list[str]) -> None:
    test.check("Counting", lambda: {"Steps": "3"})
    (check,) = test.checks
    assert (check.name, check.outcome, dict(check.figures), check.problem) == (
        "Counting",
        "passed",
        {"Steps": "3"},
        None,
    )
    assert any("Counting" in line and "Steps: 3" in line for line in lines)


def test_a_failed_program_fails_its_check_with_its_last_line_and_leaves_the_others(
    test: Test, lines: list[str]
) -> None:
    test.check("A", running(test, "import sys; print('so far'); sys.exit('no such disk\\n')"))
    test.check("B", lambda: None, needs=["A"])
    test.check("C", lambda: None)
    first, second, third = test.checks
    assert first.outcome == "failed"
    assert first.problem is not None
    assert first.problem.code == "env_selftest_program"
    assert str(first.problem).endswith("ended with exit code 1: no such disk")
    assert "so far" in lines
    assert (second.outcome, second.problem and second.problem.code) == ("not_tested", "env_selftest_follows")
    assert third.outcome == "passed"


def test_what_cannot_be_tested_here_is_said_and_what_builds_on_it_has_the_same_reason(test: Test) -> None:
    problem = test.no_gpu()
    assert problem is not None
    test.not_tested("On the GPU", problem)
    test.check("And then", lambda: None, needs=["On the GPU"])
    assert [check.outcome for check in test.checks] == ["not_tested", "not_tested"]
    assert [str(check.problem) for check in test.checks] == ["This environment computes on the CPU only."] * 2


def test_a_defect_of_a_check_is_its_failure(test: Test) -> None:
    test.check("Broken", lambda: {"x": str(1 // 0)})
    assert test.checks[0].outcome == "failed"
    assert "ZeroDivisionError" in str(test.checks[0].problem)


def test_the_environment_and_the_folder_are_those_of_the_test(test: Test) -> None:
    test.environ["TOY"] = "yes"
    found = test.answer(
        program("import json, os; print('hello'); print(json.dumps({'cwd': os.getcwd(), 'toy': os.environ['TOY']}))"),
        60,
    )
    assert found == {"cwd": str(test.folder), "toy": "yes"}


def test_an_answer_that_is_none_is_a_failure(test: Test) -> None:
    with pytest.raises(PanelError, match="but: hello") as caught:
        test.answer(program("print('hello')"), 60)
    assert caught.value.code == "env_selftest_answer"


def test_a_program_that_takes_too_long_is_ended_with_its_children(test: Test, tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        test.child(program(FAMILY + "time.sleep(600)"), 1.5)
    assert caught.value.code == "env_selftest_slow"
    assert alive(tmp_path) == []


def test_what_a_program_leaves_behind_is_ended_too(test: Test, tmp_path: Path) -> None:
    assert test.child(program(FAMILY), 60).stdout == "both run"
    assert alive(tmp_path) == []


def test_a_stop_ends_the_program_and_the_test(tmp_path: Path, lines: list[str]) -> None:
    stop = threading.Event()
    test = Test("toy", "cpu", Path(sys.executable), os.environ, tmp_path, lines.append, stopping=stop.is_set)

    def ask() -> None:
        until(lambda: "both run" in lines)
        stop.set()

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(Stopped):
        test.check("Long", running(test, FAMILY + "time.sleep(600)"))
    thread.join()
    assert alive(tmp_path) == []
    assert test.checks == []


def test_a_server_runs_as_long_as_its_block(test: Test, tmp_path: Path) -> None:
    with test.started(program(FAMILY + "time.sleep(600)")) as process:
        until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
        assert process.poll() is None
        assert len(alive(tmp_path)) == 2
    assert alive(tmp_path) == []


def test_libraries_are_loaded_first_and_their_versions_are_the_figures(tmp_path: Path, lines: list[str]) -> None:
    report = testing.run_selftest(
        Toy(), Path(sys.executable), "cpu", tmp_path, lines.append, lock="abc", environ=os.environ
    )
    assert report.passed
    assert [(check.name, dict(check.figures)) for check in report.checks] == [
        (testing.IMPORTS, {"psutil": psutil.__version__})
    ]
    assert Report.from_dict(report.to_dict()) == report


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(("psutil",), ("cpu",), ("no_such_module",)), "No module named 'no_such_module'"),
        (Recipe(("no-such-package",), ("cpu",), ("psutil",)), "the package no-such-package is not installed"),
    ],
)
def test_a_library_that_does_not_load_fails_the_test(recipe: Recipe, said: str, tmp_path: Path) -> None:
    report = testing.run_selftest(
        Toy(recipe=recipe), Path(sys.executable), "cpu", tmp_path, lambda text: None, environ=os.environ
    )
    assert not report.passed
    assert said in str(report.checks[0].problem)
