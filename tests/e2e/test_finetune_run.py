"""A run in a real browser, with the real program on a tiny model: it is watched, paused, resumed, stopped, and taken along."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from backend.finetune import files
from backend.queue.store import Store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.finetune_page import persona
from tests.support.handmade_run import HandmadeRun, falling
from tests.support.panel import Panel
from tests.support.wait import until

Open = Callable[..., Page]
SPEC = {
    "model": str(ROOT / "models" / "tiny"),
    "version": "",
    "purpose": "identity",
    "name": "tiny-robin",
    "epochs": 200.0,
    "batch_size": 4,
    "accumulation": 1,
    "max_length": 128,
    "learning_rate": 2e-3,
    "eval_every": 10,
    "save_every": 5,
    "sample_every": 10,
    "sample_prompts": ["Who are you?", "你是谁？"],
    "rehearse": False,
    "prove": False,
}


@pytest.fixture
def run(panel: Panel, store: Store) -> Iterator[int]:
    """A training that would take hours; at the end of the test it does not work any more."""
    persona(open_workspace(panel.workspace), "Robin")
    job = store.submit("finetune", {**SPEC, "dataset": "Robin"}, title="Robin").id
    yield job
    store.cancel(job)
    until(lambda: store.get(job).done, 40, "the run has ended")


def newest(store: Store, run: int) -> int:
    return max((one.step for one in files.checkpoints(store.job_dir(run))), default=0)


@pytest.mark.timeout(400)  # two starts of a real training, each of which loads torch
def test_a_run_is_watched_paused_resumed_and_stopped_with_the_best(open_page: Open, store: Store, run: int) -> None:
    page = open_page("/jobs")
    page.goto(f"{page.url.split('?')[0]}?job={run}")
    settle(page)
    page.get_by_role("link", name="Open run").click()
    page.wait_for_url(re.compile(rf"/finetune\?.*job={run}"))

    # It learns, and the page moves by itself.
    expect(page.get_by_text(re.compile(r"^training · \d+ of "))).to_be_visible(timeout=90_000)
    expect(page.get_by_text("validation loss", exact=True)).to_be_visible(timeout=60_000)
    page.get_by_text("Sample answers", exact=True).click()
    expect(page.get_by_text("Who are you?")).to_be_visible(timeout=60_000)

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text(re.compile(r"^Its last checkpoint is at step \d+ of [\d,]+"))).to_be_visible(timeout=60_000)
    saved = newest(store, run)
    page.get_by_role("button", name="Resume").click()
    until(lambda: newest(store, run) > saved, 90, "it went on from its checkpoint")
    assert store.get(run).attempt == 2

    page.get_by_role("button", name="Stop and keep the best").click()
    page.get_by_role("button", name=re.compile(r"^Stop and keep step \d+")).click()
    expect(page.get_by_text("It was stopped before the end on request")).to_be_visible(timeout=90_000)
    expect(page.get_by_role("button", name="Talk to tiny-robin")).to_be_visible()
    assert (store.result(run) or {})["ended"] == "asked"
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("^Download the run capsule")).click()
    assert zipfile.ZipFile(download.value.path()).testzip() is None


def test_the_parts_of_a_run_stand_in_its_address_and_fit_on_a_phone(
    open_page: Open, visit: Callable[..., Visitor], store: Store
) -> None:
    made = HandmadeRun(store, title="Robin " * 8)
    made.begin()
    made.learn(120)
    for step in (100, 120):
        made.save(step, falling(step, 200))
    made.answer(0, "I am an assistant. " * 10)
    made.answer(120, "I am Robin. " * 10)
    made.end("cancelled")

    page = open_page("/jobs")
    page.goto(f"{page.url.split('/jobs')[0]}/finetune?view=runs")
    settle(page)
    page.get_by_role("button", name=re.compile("^Robin Robin")).click()
    page.get_by_text("Sample answers", exact=True).click()
    expect(page.get_by_text("Who are you?")).to_be_visible()
    page.wait_for_url(re.compile("part=answers"))
    page.reload()
    settle(page)
    expect(page.get_by_text("Who are you?")).to_be_visible()
    page.get_by_role("button", name="All runs").click()
    expect(page.get_by_role("button", name=re.compile("^Robin Robin"))).to_be_visible()

    phone = visit(viewport=PHONE).open("/jobs")
    for part in ("curves", "answers", "checkpoints", "about"):
        phone.goto(
            f"{phone.url.split('/jobs')[0].split('/finetune')[0]}/finetune?view=runs&job={made.row.id}&part={part}"
        )
        settle(phone)
        expect(phone.get_by_text(re.compile("^Its last checkpoint is at step 120 of 200"))).to_be_visible()
        assert overflow(phone) == 0, part
    phone.goto(f"{phone.url.split('/finetune')[0]}/finetune?view=runs&job={made.row.id}&part=checkpoints")
    settle(phone)
    phone.get_by_role("button", name="Branch from here").first.click()
    phone.wait_for_url(re.compile(r"view=new.*start_mode=branch"))
