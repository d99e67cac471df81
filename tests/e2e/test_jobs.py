"""The Jobs page in a real browser: submit, watch, read the log, cancel, resume, reload, delete; desk and phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.panel import Panel
from tests.support.wait import until

Open = Callable[..., Page]


@pytest.fixture
def jobs(panel: Panel) -> Iterator[Store]:
    """The panel's jobs; those that a test leaves are cancelled, so that the next one finds free CPU slots."""
    store = open_store(open_workspace(panel.workspace))
    yield store
    for row in store.list(limit=1000):
        store.cancel(row.id)
    until(lambda: all(row.done for row in store.list(limit=1000)), 40, "every job of the test has ended")
    store.close()


def reach(jobs: Store, job_id: int, state: str) -> None:
    until(lambda: jobs.get(job_id).state == state, 40, f"job {job_id} is {state}")


def job_in_url(page: Page) -> int:
    page.wait_for_url(re.compile(r"[?&]job=\d+"))
    found = re.search(r"[?&]job=(\d+)", page.url)
    assert found is not None
    return int(found.group(1))


def test_a_newcomer_takes_a_practice_job_through_its_whole_life(open_page: Open, jobs: Store) -> None:
    page = open_page("/jobs")
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.get_by_role("button", name="Try a practice job").dblclick()
    job = job_in_url(page)

    # It runs, and its progress moves without anybody touching the page.
    expect(page.get_by_text(re.compile(r"^counting · \d+ of 60"))).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile(r"left, done about \d\d:\d\d")).first).to_be_visible()
    before = page.get_by_text(re.compile(r"^counting · \d+ of 60")).inner_text()
    expect(page.get_by_text(before, exact=True)).to_have_count(0, timeout=15_000)
    assert len(jobs.list()) == 1

    # Its log follows it.
    page.get_by_text("Log", exact=True).click()
    page.wait_for_url(re.compile(r"tab=log"))
    expect(page.get_by_text("The end of the log; it follows the job.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\[count\]")).first).to_be_visible()

    # A reload, and another tab, show the same job and the same part of it.
    page.reload()
    settle(page)
    expect(page.get_by_text("The end of the log; it follows the job.")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    settle(other)
    expect(other.get_by_text("The end of the log; it follows the job.")).to_be_visible()
    other.close()

    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped on request.")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("attempt 2")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=30_000)

    page.get_by_role("button", name="Delete job").click()
    expect(page.get_by_text(re.compile(r"This frees [\d.]+ KiB"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Delete and free")).click()
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    assert jobs.list() == []
    assert not jobs.job_dir(job).exists()


def test_a_click_on_a_row_opens_the_job_and_back_leads_to_the_list(open_page: Open, jobs: Store) -> None:
    row = jobs.submit("drill", {"steps": 1, "step_s": 0.01}, title="A quick <b>one</b>")
    reach(jobs, row.id, "succeeded")
    page = open_page("/jobs")
    link = page.get_by_role("link", name="A quick <b>one</b>")
    expect(link).to_have_attribute("href", f"?job={row.id}")
    expect(page.get_by_role("table", name="Jobs").get_by_text("done", exact=True)).to_be_visible()
    link.click()
    assert job_in_url(page) == row.id
    expect(page.get_by_text("Wrote the file counted.txt.")).to_be_visible()
    page.get_by_role("button", name="All jobs").click()
    expect(link).to_be_visible()
    assert "job=" not in page.url
    link.click()
    assert job_in_url(page) == row.id
    page.go_back()
    expect(link).to_be_visible()


def test_a_job_that_another_tab_deleted_is_said_to_be_gone(open_page: Open, jobs: Store) -> None:
    row = jobs.submit("drill", {"steps": 1, "step_s": 0.01})
    reach(jobs, row.id, "succeeded")
    page = open_page("/jobs")
    page.goto(f"{page.url}?job={row.id}")
    settle(page)
    expect(page.get_by_role("button", name="Delete job")).to_be_visible()
    jobs.delete(row.id)
    page.get_by_text("Log", exact=True).click()
    expect(page.get_by_text(f"There is no job {row.id}.")).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)
    page.get_by_role("button", name="All jobs").click()
    expect(page.get_by_text("There is no job")).to_have_count(0)


def test_the_list_moves_by_itself_and_keeps_what_a_person_typed(open_page: Open, jobs: Store) -> None:
    row = jobs.submit("drill", {"steps": 400, "step_s": 0.05}, title="A long one")
    reach(jobs, row.id, "running")
    page = open_page("/jobs")
    line = page.get_by_role("table", name="Jobs").get_by_text(re.compile(r"counting · \d+ of 400"))
    expect(line).to_be_visible()
    first = line.inner_text()
    page.get_by_placeholder("Name or number").press_sequentially("A lo")
    expect(line).not_to_have_text(first, timeout=15_000)
    expect(page.get_by_placeholder("Name or number")).to_have_value("A lo")
    page.get_by_placeholder("Name or number").press("Enter")
    expect(page.get_by_role("link", name="A long one")).to_be_visible()
    jobs.cancel(row.id)
    expect(page.get_by_role("table", name="Jobs").get_by_text("cancelled", exact=True)).to_be_visible(timeout=20_000)


def test_run_again_with_changes_from_the_form_keeps_typing_while_the_job_runs(open_page: Open, jobs: Store) -> None:
    row = jobs.submit("drill", {"steps": 1000, "step_s": 0.05}, title="Template")
    reach(jobs, row.id, "running")
    page = open_page("/jobs")
    page.goto(f"{page.url}?job={row.id}&tab=again")
    settle(page)
    name = page.get_by_label("Name", exact=True)
    name.fill("Changed")
    progress = page.get_by_text(re.compile(r"^counting · \d+ of 1,000"))
    before = progress.inner_text()
    expect(progress).not_to_have_text(before, timeout=15_000)
    expect(name).to_have_value("Changed")
    page.get_by_role("spinbutton", name="Steps").fill("3")
    page.get_by_role("button", name="Run Practice job again").click()
    page.wait_for_url(lambda url: f"job={row.id}" not in url)
    new = jobs.get(job_in_url(page))
    assert (new.title, new.parent, jobs.spec(new.id)["steps"]) == ("Changed", row.id, 3)
    jobs.cancel(row.id)
    reach(jobs, row.id, "cancelled")


def test_on_a_phone_jobs_are_cards_and_nothing_is_wider_than_the_screen(
    visit: Callable[..., Visitor], jobs: Store
) -> None:
    row = jobs.submit("drill", {"steps": 1, "step_s": 0.01}, title="a name of many words " * 8)
    reach(jobs, row.id, "succeeded")
    page = visit(viewport=PHONE).open("/jobs")
    card = page.get_by_role("link", name="a name of many words").first
    expect(card).to_be_visible()
    assert overflow(page) == 0
    name, age = card.bounding_box(), page.get_by_text("just now", exact=True).first.bounding_box()
    assert name is not None
    assert age is not None
    assert age["y"] > name["y"] + name["height"], "the age stands below the name, not in a column beside it"
    card.click()
    job_in_url(page)
    for section in ("Overview", "Log", "Command", "Run again"):
        page.get_by_text(section, exact=True).click()
        settle(page)
        assert overflow(page) == 0, section
