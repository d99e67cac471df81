"""Quantize in a browser: from the Models page to a smaller copy that is really made, and to the report card that is being measured."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from backend import catalog
from backend.queue.store import Store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import PHONE, Visitor, at_rest, menu, overflow, settle
from tests.support.panel import Panel

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)  # a browser, a panel and a job share what may be two busy cores
START = "Quantize starter to 4 bits (plain rounding)"


def figure(page: Page, name: str) -> Locator:
    """The value of the figure ``name``."""
    return page.get_by_test_id("stMetric").filter(has_text=name).get_by_test_id("stMetricValue")


@pytest.mark.slow
@pytest.mark.timeout(420)  # torch is loaded three times: by the job, and by the servers that its report card times
def test_a_model_is_made_smaller_from_the_models_page_to_its_report(visit: Visit, store: Store, panel: Panel) -> None:
    original = (ROOT / "models" / "starter" / "model.safetensors").stat()
    page = visit().open("/models")
    page.get_by_role("link", name="Make smaller").click()
    page.wait_for_url(re.compile(r"/quantize\?.*model=starter"))

    # The plan changes with the method, and stands beside every step.
    page.get_by_text("Plain rounding, 4 bits", exact=True).click()
    start = page.get_by_role("button", name=START)
    expect(start).to_be_enabled()
    foreseen = figure(page, "Size of the copy").inner_text()
    page.get_by_role("button", name="Next: Calibration").click()
    expect(page.get_by_text("There is nothing to choose here.")).to_be_visible()
    page.get_by_role("button", name="Next: Plan").click()
    expect(page.get_by_text("Compute on")).to_be_visible()
    expect(figure(page, "Size of the copy")).to_have_text(foreseen)
    page.reload()
    settle(page)
    expect(start).to_be_enabled()

    at_rest(page)
    start.dblclick()
    page.wait_for_url(re.compile(r"step=run&job=\d+"))
    (row,) = store.list(verb="quantize")
    assert store.spec(row.id)["method"] == "rtn", "a double click makes one copy, and of the right kind"

    # The page moves by itself; the copy is whole before its report card is measured, which can be read while it grows.
    page.get_by_role("button", name="Look at the report card so far").click(timeout=180_000)
    page.wait_for_url(re.compile(r"step=report"))
    expect(page.get_by_text("perplexity", exact=False).first).to_be_visible(timeout=120_000)

    menu(page).get_by_role("link", name="Run").click()
    expect(page.get_by_text("As planned")).to_be_visible()
    made = next(card for card in catalog.models(open_workspace(panel.workspace)) if card.made_by == row.id)
    assert made.size_bytes < original.st_size / 2
    assert (made.quantization_bits, made.lineage and made.lineage.base) == (4, "starter")
    after = (ROOT / "models" / "starter" / "model.safetensors").stat()
    assert (after.st_size, after.st_mtime_ns) == (original.st_size, original.st_mtime_ns), "the original is as it was"
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It was stopped. What was finished is kept")).to_be_visible(timeout=60_000)
    assert store.get(row.id).state == "cancelled"


@pytest.mark.slow
def test_in_chinese_on_a_phone_in_the_dark_it_is_all_there(visit: Visit) -> None:
    person = visit(locale="zh-CN", scheme="dark", viewport=PHONE)
    person.open("/").close()
    for step in ("method", "plan"):
        page = person.open(f"/quantize?step={step}&group_size=100")
        expect(page.get_by_role("button", name=re.compile("starter 量化到"))).to_be_disabled()
        settle(page)
        assert overflow(page) == 0
