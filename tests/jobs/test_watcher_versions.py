"""A watcher of another version of TuneDeck makes room for ours, whoever asks, and even if they ask once only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from backend.queue import watcher
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.jobs import Queue
from tests.support.panel import end_all_of
from tests.support.wait import until

OLD = "import sys; from backend.queue import watcher; watcher.code_version = lambda: 'old'; sys.exit(watcher.main())"


@pytest.fixture
def old(waiting_queue: Queue) -> Iterator[subprocess.Popen[bytes]]:
    """A watcher that says that it is of another version, at work."""
    with ExitStack() as stack:
        running = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", OLD, str(waiting_queue.workspace.root)], cwd=ROOT)
        )
        stack.callback(running.kill)
        until(lambda: watcher.running(waiting_queue.workspace) == running.pid, what="the old watcher is there")
        yield running


@pytest.fixture
def waiting_queue(workspace: Workspace, store: Store) -> Iterator[Queue]:
    """The queue without a watcher of ours."""
    yield Queue(workspace, store)
    end_all_of(workspace.root)
    for each in watcher._started:
        each.wait(10)


def test_asked_once_the_old_one_leaves_and_ours_runs_what_waits(
    waiting_queue: Queue, old: subprocess.Popen[bytes]
) -> None:
    job = waiting_queue.drill(steps=600, step_s=0.05)
    waiting_queue.step(job.id, 1)
    waiting = waiting_queue.drill(steps=1)
    watcher.ensure_running(waiting_queue.workspace)
    assert old.wait(20) == 0
    until(lambda: watcher.running(waiting_queue.workspace) not in (None, old.pid), 20, "a watcher of ours is there")
    # What runs is not disturbed by the change.
    waiting_queue.step(job.id, waiting_queue.store.get(job.id).progress["step"] + 1)
    assert waiting_queue.store.get(job.id).attempt == 1
    waiting_queue.store.cancel(job.id)
    waiting_queue.reach(job.id, "cancelled")
    waiting_queue.reach(waiting.id, "succeeded")


def test_two_that_ask_at_once_get_one_watcher(waiting_queue: Queue, old: subprocess.Popen[bytes]) -> None:
    ask = (
        "import sys; from pathlib import Path; from backend.queue import watcher; from backend.workspace import open_workspace;"
        "watcher.ensure_running(open_workspace(Path(sys.argv[1])))"
    )
    asking = [subprocess.Popen([sys.executable, "-c", ask, str(waiting_queue.workspace.root)], cwd=ROOT) for _ in "ab"]
    assert [each.wait(30) for each in asking] == [0, 0]
    assert old.wait(20) == 0
    until(lambda: watcher.running(waiting_queue.workspace) not in (None, old.pid), 20, "a watcher of ours is there")
    waiting_queue.reach(waiting_queue.drill(steps=1).id, "succeeded")


def test_what_the_one_before_was_asked_is_not_for_its_successor(waiting_queue: Queue) -> None:
    ours = waiting_queue.start_watcher()
    retire = waiting_queue.workspace.run / watcher.RETIRE
    retire.write_text(str(ours + 100_000))
    until(lambda: not retire.exists(), what="it was read")
    waiting_queue.reach(waiting_queue.drill(steps=1).id, "succeeded")
    assert watcher.running(waiting_queue.workspace) == ours
    retire.write_text("")  # by a TuneDeck of before, which names nobody
    assert waiting_queue.watcher is not None
    assert waiting_queue.watcher.wait(20) == 0
