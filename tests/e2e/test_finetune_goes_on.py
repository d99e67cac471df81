"""From the page of a finished run: some epochs more, and a branch from one of its checkpoints. Both are set up by a press, started
by another, and learn on from where they begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from playwright.sync_api import Page, expect

from backend import catalog
from backend.finetune import files
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import Visitor, at_rest, open_popover
from tests.support.datasets import keep, sums
from tests.support.finetune_jobs import losses
from tests.support.panel import Panel
from tests.support.wait import until

SPEC = {
    "model": "tiny",
    "dataset": "Sums",
    "purpose": "own",
    "epochs": 1.0,
    "batch_size": 8,
    "accumulation": 1,
    "max_length": 64,
    "packing": False,
    "replay": 0.0,
    "method": "full",
    "learning_rate": 5e-3,
    "warmup_ratio": 0.0,
    "scheduler": "constant",
    "eval_every": 10,
    "save_every": 10,
    "sample_every": 50,
    "rehearse": False,
    "merge": False,
    "prove": False,
}
STARTS = "Fine-tune tiny on 'Sums'"


def start(page: Page, store: Store) -> JobRow:
    """The run that is set up on ``page``, begun by a press; once it has ended well."""
    page.wait_for_url(re.compile("view=new"))
    button = page.get_by_role("button", name=STARTS)
    expect(button).to_be_enabled(timeout=30_000)
    at_rest(page)
    button.click()
    page.wait_for_url(re.compile(r"view=runs&job=\d+"))
    return ended(store, max(row.id for row in store.list(verb="finetune")))


def ended(store: Store, job: int) -> JobRow:
    until(lambda: store.get(job).done, 240, f"run {job} has ended")
    assert store.get(job).state == "succeeded", store.get(job)
    return store.get(job)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.slow
@pytest.mark.timeout(600)  # three real trainings, each of which loads torch
def test_a_finished_run_goes_on_for_more_epochs_and_branches_from_a_checkpoint(
    visit: Callable[..., Visitor], panel: Panel, store: Store
) -> None:
    workspace = open_workspace(panel.workspace)
    keep(workspace, "Sums", sums(300))
    catalog.add(workspace, ROOT / "models" / "tiny", "tiny")
    first = ended(store, store.submit("finetune", SPEC).id)
    learned = losses(store.job_dir(first.id))
    begun, reached = learned[1], mean(list(learned.values())[-10:])
    assert reached < 0.8 * begun, "there is something to go on from"

    person = visit()
    person.open("/").close()
    page = person.open(f"/finetune?view=runs&job={first.id}")
    more = page.get_by_role("button", name="Continue for more epochs")
    set_up = page.get_by_role("button", name="Set up this run")
    open_popover(more, set_up)
    expect(page.get_by_text(f"A new run begins from step {max(learned)} with the optimizer as it was.")).to_be_visible()
    set_up.click()
    second = start(page, store)
    newest = files.checkpoints(store.job_dir(first.id))[-1]
    spec = store.spec(second.id)
    assert (spec["start_from"], spec["start_mode"], spec["epochs"]) == (newest.path, "continue", 2.0)
    went_on = losses(store.job_dir(second.id))
    assert (min(went_on), max(went_on)) == (max(learned) + 1, 2 * max(learned)), "the second epoch, and only that"
    assert mean(list(went_on.values())[:10]) < reached + 0.1 * (begun - reached), "it begins where the first one ended"
    assert mean(list(went_on.values())[-10:]) < reached, "and learns on"

    expect(page.get_by_text("What it made")).to_be_visible(timeout=30_000)
    at_rest(page)
    page.get_by_text("Checkpoints", exact=True).click()
    branch = page.get_by_role("button", name="Branch from here").last
    expect(branch).to_be_visible()
    at_rest(page)
    branch.click()
    third = start(page, store)
    oldest = files.checkpoints(store.job_dir(second.id))[0]
    spec = store.spec(third.id)
    assert (spec["start_from"], spec["start_mode"]) == (oldest.path, "branch")
    branched = losses(store.job_dir(third.id))
    assert min(branched) == 1, "a run of its own, with its own steps"
    assert mean(list(branched.values())[:10]) < reached + 0.1 * (begun - reached), "with the weights of the checkpoint"
    expect(page.get_by_text("What it made")).to_be_visible(timeout=30_000)
