"""A run that was started in the browser, on a bad day: panel, watcher, and the job with all its processes are killed in mid-run.
The run goes on, and the page that stood open the whole time shows it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend import catalog
from backend.finetune import control, files
from backend.queue import folder, watcher
from backend.queue.store import Store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import Visitor, settle
from tests.support.finetune_jobs import losses
from tests.support.finetune_page import persona
from tests.support.jobs import Queue
from tests.support.panel import Panel
from tests.support.wait import until

Visit = Callable[..., Visitor]
LEARNS = re.compile(r"^training · ([\d,]+) of ")
ADDRESS = (
    "/finetune?model=tiny&dataset=Robin&purpose=identity&epochs=1000&max_steps=20000&batch_size=4&accumulation=1&max_length=160"
    "&packing=false&replay=0&method=full&learning_rate=0.003&eval_every=5000&save_every=10&sample_every=5000&rehearse=false&merge=false"
    "&prove=false"
)
"""A training that would take an hour, with a checkpoint every second or so."""


@pytest.fixture
def page(panel: Panel, visit: Visit) -> Page:
    """The form with these settings."""
    workspace = open_workspace(panel.workspace)
    persona(workspace, "Robin")
    catalog.add(workspace, ROOT / "models" / "tiny", "tiny")
    person = visit()
    person.open("/").close()  # with the token, which an address that has more in it cannot carry
    return person.open(ADDRESS)


@pytest.fixture
def started(page: Page, store: Store) -> Iterator[int]:
    """The run, started by a press; at the end of the test nothing of it works any more."""
    page.get_by_role("button", name="Fine-tune tiny on 'Robin'").click()
    page.wait_for_url(re.compile(r"view=runs&job=\d+"))
    (row,) = store.list(verb="finetune")
    yield row.id
    if not store.get(row.id).done:
        store.cancel(row.id)
        until(lambda: store.get(row.id).done, 60, "the run has ended")


def shown(page: Page) -> int:
    """The step that the page says it is at; 0 while it says none."""
    said = page.get_by_text(LEARNS)
    found = LEARNS.match(said.first.inner_text()) if said.count() else None
    return int(found[1].replace(",", "")) if found else 0


def saved(job_dir: Path) -> int:
    """The step of the newest complete checkpoint."""
    return max((one.step for one in files.checkpoints(job_dir)), default=0)


@pytest.mark.timeout(400)  # two starts of a real training, each of which loads torch, and of a panel
def test_panel_watcher_and_the_whole_job_are_killed_and_the_open_page_shows_the_run_go_on(
    page: Page, panel: Panel, store: Store, started: int
) -> None:
    workspace, job_dir = open_workspace(panel.workspace), store.job_dir(started)
    queue = Queue(workspace, store)
    until(lambda: shown(page) and saved(job_dir), 120, "the page shows that it learns, and a checkpoint is there")

    # The panel: what it showed goes on without it, and is there when it is back.
    panel.kill9()
    expect(page.locator("[data-testid='stApp']")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
    then = saved(job_dir)
    until(lambda: saved(job_dir) > then, 60, "a checkpoint more, with no panel at all")
    missed = saved(job_dir)
    panel.start_again()
    settle(page)
    until(lambda: shown(page) > missed, 60, "the same page, which nobody has touched, shows where it is now")

    # The watcher: the panel has another one start, and it finds the run as it is.
    first = watcher.running(workspace)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: watcher.running(workspace) not in (None, first), 60, "another watcher runs")
    then = shown(page)
    until(lambda: shown(page) > then, 60, "the page goes on")
    assert (store.get(started).state, store.get(started).attempt) == ("running", 1)

    # The job: its supervisor and all that it started, at one blow. A save that was cut short leaves a folder without its marker.
    (job_dir / files.CHECKPOINTS / files.checkpoint_name(19_999)).mkdir()
    everything = [queue.supervisor(started), *queue.processes(started)]
    for process in everything:
        os.kill(process.pid, signal.SIGKILL)
    last, learned = saved(job_dir), max(losses(job_dir))
    until(lambda: store.get(started).attempt == 2, 60, "it is started again by itself")
    until(lambda: max(losses(job_dir)) > learned + 10, 120, "it is further than it was")
    log = folder.log_file(job_dir, 2).read_text()
    assert f"going on from step {last}\n" in log
    until(lambda: shown(page) > learned, 60, "the page shows it")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    # What was learned stays learned, and the end is as good as any.
    steps = losses(job_dir)
    assert sorted(steps) == list(range(1, max(steps) + 1)), "each step was done"
    around = [steps[step] for step in range(last + 1, last + 11)]
    assert sum(around) / 10 < 0.9 * steps[1], "it went on from what it had learned"
    control.finish(job_dir)
    expect(page.get_by_text("It was stopped before the end on request")).to_be_visible(timeout=90_000)
    assert store.get(started).state == "succeeded"
