"""Who works at a conversation: started once, and when it cannot start, that is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from backend.agent import working
from backend.workspace import Workspace
from tests.support.agents import end_workers
from tests.support.wait import until


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    end_workers()


def runs(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(working, "COMMAND", (sys.executable, "-c", program))


def test_a_program_that_cannot_start_is_named_with_its_last_line_and_tried_again_later(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch, "raise SystemExit('No module named openai')")
    working.ensure(workspace, "one")
    until(lambda: working.failure(workspace, "one"), 20, "it has failed")
    told = working.failure(workspace, "one")
    assert told is not None
    assert (told.code, told.params["exit"]) == ("agent_not_started", 1)
    assert "No module named openai" in str(told)
    working.ensure(workspace, "one")
    assert "one" not in working._started, "it rests"
    assert working.failure(workspace, "another") is None

    monkeypatch.setattr(working, "AGAIN_S", 0.0)
    assert working.failure(workspace, "one") is None
    working.ensure(workspace, "one")
    assert "one" in working._started


def test_one_that_was_killed_did_not_fail_to_start(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, "import sys; sys.stdin.read(); import signal; signal.pause()")
    working.ensure(workspace, "one")
    first = working._started["one"].process
    working.ensure(workspace, "one")
    assert working._started["one"].process is first
    first.kill()
    first.wait(10)
    assert working.failure(workspace, "one") is None
    working.ensure(workspace, "one")
    assert working._started["one"].process is not first
