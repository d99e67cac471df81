"""Evaluate, as a newcomer uses it: one press and a number with its reasons; what a kill leaves, and going on; and whether one model is better."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, at_rest, menu, overflow
from tests.support.panel import Panel, processes_of
from tests.support.stub_openai import Stub
from tests.support.wait import until

Visit = Callable[..., Visitor]
expect.set_options(timeout=30_000)


def start(page: Page, preset: str, button: str) -> None:
    """Fill the form by one press, and begin by another."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Evaluate", exact=True).click()
    page.get_by_role("button", name=preset, exact=True).click()
    begin = page.get_by_role("button", name=re.compile(button))
    expect(begin).to_be_enabled()
    at_rest(page)
    begin.click()
    page.wait_for_url(re.compile(r"view=results&job=\d+"))


def ended(store: Store, job: int) -> JobRow:
    until(lambda: store.get(job).done, 240, f"evaluation {job} has ended")
    return store.get(job)


@pytest.fixture
def runs(panel: Panel) -> EvaluateStore:
    return open_runs(open_workspace(panel.workspace))


def test_a_newcomer_learns_how_good_the_starter_is_and_sees_each_question(
    visit: Visit, store: Store, runs: EvaluateStore
) -> None:
    page = visit().open("/")
    start(page, "Quick look", "^Evaluate starter on '")
    (row,) = store.list(verb="evaluate")
    assert ended(store, row.id).state == "succeeded", store.get(row.id)

    run = runs.run_of_job(row.id)
    assert run is not None
    tallies = runs.tallies(run.id)
    right, asked = sum(each.right for each in tallies), sum(each.asked for each in tallies)
    assert (asked, len(tallies)) == (60, 12)
    assert asked // 4 < right < asked, "better than chance, and not perfect"
    expect(page.get_by_text("All 12 subjects have a score.")).to_be_visible()
    expect(page.get_by_text(f"{right} of {asked}", exact=True)).to_be_visible()

    page.get_by_role("radio", name="Questions").click()
    expect(page.get_by_text("1–10 of 60", exact=True)).to_be_visible()
    at_rest(page)
    page.close()
    phone = visit(viewport=PHONE).open(f"/evaluate?view=results&run={run.id}")
    expect(phone.get_by_text("All 12 subjects have a score.")).to_be_visible()
    assert overflow(phone) <= 0


def test_killed_in_the_middle_with_the_panel_it_goes_on_and_asks_nothing_twice(
    visit: Visit, store: Store, runs: EvaluateStore, panel: Panel, server: Stub
) -> None:
    page = visit().open("/evaluate?model=stub")
    start(page, "Whole bundled set", "^Evaluate stub on '")
    (row,) = (each for each in store.list(verb="evaluate") if each.title.startswith("stub"))

    def some() -> bool:
        run = runs.run_of_job(row.id)
        return run is not None and sum(each.asked for each in runs.tallies(run.id)) >= 8

    until(some, 120, "some answers are kept")
    panel.kill9()
    (job,) = (each for each in processes_of(panel.workspace) if "jobs.evaluate" in each.cmdline())
    job.kill()
    panel.start_again()
    until(lambda: store.get(row.id).done, 60, "it is seen that the job is gone")
    run = runs.run_of_job(row.id)
    assert run is not None
    kept = sum(each.asked for each in runs.tallies(run.id))
    assert 8 <= kept < 120

    page = visit().open(f"/evaluate?view=results&job={row.id}")
    expect(page.get_by_text(f"{kept} of 120 answers are kept. Resume asks only what is missing.")).to_be_visible()
    at_rest(page)
    page.get_by_role("button", name="Resume", exact=True).click()
    until(lambda: store.get(row.id).attempt == 2, 60, "it goes on")
    assert ended(store, row.id).state == "succeeded", store.get(row.id)
    assert sum(each.asked for each in runs.tallies(run.id)) == 120
    assert len(server.requests()) <= 120 + 1 + 4, (
        "none but those under way when it was killed, and one that sees whether it answers"
    )
    expect(page.get_by_text("All 12 subjects have a score.")).to_be_visible()


def test_two_models_on_the_same_questions_end_in_one_sentence(visit: Visit, runs: EvaluateStore) -> None:
    stub, starter = runs.runs(limit=2)
    assert (stub.model, starter.model) == ("stub", "starter")
    alone = runs.pairs(starter.id, stub.id).all.a_only
    assert alone > 10
    page = visit().open(f"/evaluate?view=results&run={starter.id}")
    menu(page).get_by_text("Compare", exact=True).click()
    page.wait_for_url(re.compile("view=compare"))
    page.close()
    page = visit().open(f"/evaluate?view=compare&runs={starter.id},{stub.id}")
    expect(
        page.get_by_text(re.compile("stub is worse on these questions than starter: .* right of the same 60"))
    ).to_be_visible()
    at_rest(page)
    page.get_by_role("radio", name="Questions").click()
    expect(page.get_by_text(f"1–10 of {alone}", exact=True)).to_be_visible()
