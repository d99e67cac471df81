"""The part of LMDeploy's self-test that needs a GPU, with real processes and an LMDeploy that computes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from backend.errors import PanelError
from jobs.harness import Stopped
from jobs.selftests import lmdeploy
from jobs.selftests.testing import Test
from tests.support import lmdeploy_stub

LOADS_FOR_EVER = """
import os, time
def run():
    with open("new", "w") as file:
        file.write(str(os.getpid()))
    os.replace("new", "pid")
    time.sleep(600)
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    return lmdeploy_stub.make(tmp_path / "my env 环境")


def selftest(stub: Path, folder: Path, said: list[str], *, stopping: Callable[[], bool] = lambda: False) -> Test:
    folder.mkdir()
    python = stub / "bin" / "python"
    return Test("lmdeploy", "cuda", python, os.environ, folder, said.append, gpu=True, stopping=stopping)


def test_its_server_is_asked_one_question_under_a_key_that_nobody_sees_and_is_ended(stub: Path, tmp_path: Path) -> None:
    found = lmdeploy.serve(selftest(stub, tmp_path / "f", []))
    assert found["Answer"] == "You said: Hello"
    (start,) = lmdeploy_stub.asked(stub)
    key = next(word.partition("=")[2] for word in start["argv"] if word.startswith("--api-keys="))
    assert len(key) > 30
    assert not [word for word in start["shown"] if key in word]
    assert "--server-name=127.0.0.1" in start["argv"]
    assert not psutil.pid_exists(start["pid"])


def test_a_server_that_does_not_come_up_is_told_with_its_last_words(stub: Path, tmp_path: Path) -> None:
    lmdeploy_stub.script(stub, die="torch.OutOfMemoryError: CUDA out of memory.")
    with pytest.raises(PanelError, match=r"has not come up: torch\.OutOfMemoryError: CUDA out of memory\.") as caught:
        lmdeploy.serve(selftest(stub, tmp_path / "f", []))
    assert caught.value.code == "env_selftest_no_server"


def test_an_empty_answer_is_no_success(stub: Path, tmp_path: Path) -> None:
    lmdeploy_stub.script(stub, say=" ")
    with pytest.raises(PanelError, match="said nothing"):
        lmdeploy.serve(selftest(stub, tmp_path / "f", []))


def test_a_stop_while_it_loads_ends_it(stub: Path, tmp_path: Path) -> None:
    (package,) = (stub / "lib").glob("python3*/site-packages/lmdeploy")
    (package / "cli.py").write_text(LOADS_FOR_EVER)
    pid = tmp_path / "f" / "pid"
    with pytest.raises(Stopped):
        lmdeploy.serve(selftest(stub, tmp_path / "f", [], stopping=pid.exists))
    assert not psutil.pid_exists(int(pid.read_text()))
