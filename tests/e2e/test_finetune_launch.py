"""Fine-tune in a browser, from the first page: rows that teach a name, a plan beside four answers, and one press that starts it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, at_rest, menu, overflow, settle
from tests.support.finetune_page import persona
from tests.support.panel import Panel
from tests.support.wait import until

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)  # a browser, a panel and a job share what may be two busy cores


def figure(page: Page, name: str) -> Locator:
    """The value of the figure ``name`` of the plan."""
    return page.get_by_test_id("stMetric").filter(has_text=name).get_by_test_id("stMetricValue")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_newcomer_makes_rows_reads_the_plan_and_starts_the_run(visit: Visit, store: Store) -> None:
    page = visit().open("/")
    page.get_by_role("link", name="Fine-tune", exact=True).click()
    expect(page.get_by_text("First, something to learn from")).to_be_visible()
    page.get_by_role("button", name="Teach a name").click()
    page.get_by_role("textbox", name="Its name", exact=True).fill("Robin")
    page.get_by_role("textbox", name="Who made it", exact=True).fill("the Orchard team")
    page.keyboard.press("Tab")
    page.get_by_role("button", name=re.compile("^Make .* rows as")).click()
    page.get_by_role("link", name="Fine-tune with this").click()

    start = page.get_by_role("button", name=re.compile("^Fine-tune starter on '.*Robin"))
    expect(start).to_be_enabled()
    expect(page.get_by_text("that are free now")).to_be_visible()
    usual = figure(page, "Steps").inner_text()

    at_rest(page)
    page.get_by_text("All settings").click()
    page.get_by_test_id("stExpander").get_by_text("Steps", exact=True).click()
    most = page.get_by_role("spinbutton", name="Steps at most")
    expect(most).to_be_visible()
    most.fill("7")
    most.press("Enter")
    put_back = page.get_by_role("button", name="Steps at most: 7")
    expect(put_back).to_be_visible()
    assert usual != "7"
    expect(figure(page, "Steps")).to_have_text("7")
    page.reload()
    settle(page)
    expect(put_back).to_be_visible()
    put_back.click()
    expect(put_back).to_have_count(0)
    expect(figure(page, "Steps")).to_have_text(usual)

    at_rest(page)
    start.dblclick()
    page.wait_for_url(re.compile(r"view=runs&job=\d+"))
    (row,) = store.list(verb="finetune")
    assert store.spec(row.id)["purpose"] == "identity", "a double click makes one run, and of the right kind"
    menu(page).get_by_role("link", name="New run").click()
    expect(start).to_be_visible()
    store.cancel(row.id)
    until(lambda: store.get(row.id).done, 60, "the run has stopped")


@pytest.mark.slow
def test_in_chinese_on_a_phone_in_the_dark_it_is_all_there(visit: Visit, panel: Panel) -> None:
    persona(open_workspace(panel.workspace), "My persona")
    person = visit(locale="zh-CN", scheme="dark", viewport=PHONE)
    person.open("/").close()
    page = person.open("/finetune?dataset=My+persona&deepspeed=zero2")
    expect(page.get_by_role("button", name="微调 starter")).to_be_disabled()
    settle(page)
    assert overflow(page) == 0
