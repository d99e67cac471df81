"""Benchmark in a browser: a newcomer compares set-ups of the shipped model unattended, and takes the table along."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support import benchmarks
from tests.support.browser import PHONE, Visitor, menu, overflow, settle
from tests.support.panel import Panel
from tests.support.stub_openai import Stub

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)  # a browser, a panel and a model server share what may be two busy cores


def requests(page: Page) -> Locator:
    """The field with the number of requests."""
    return page.get_by_role("spinbutton", name="Requests", exact=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_newcomer_compares_set_ups_and_takes_the_table_along(visit: Visit, store: Store) -> None:
    page = visit().open("/benchmark")
    menu(page).get_by_text("Compare set-ups").click()
    expect(page.get_by_text("LMDeploy computes on NVIDIA GPUs only").first).to_be_visible()
    page.get_by_text("More settings").click()
    page.get_by_role("radio", name="This model and its copies").click()
    settle(page)
    requests(page).fill("2")  # what was opened stays open
    requests(page).press("Enter")
    settle(page)
    page.get_by_role("button", name="Measure 1 of 1 set-ups").dblclick()
    expect(page.get_by_role("button", name="All results")).to_be_visible()
    expect(page.get_by_text("Measured by TuneDeck on a processor with")).to_be_visible(timeout=240_000)
    expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=240_000)
    assert [row.title for row in store.list(verb="bench_matrix")] == ["starter: This model and its copies"]
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert [(row["setup"], row["batch"]) for row in rows] == [("starter", "1"), ("starter", "8")]
    assert all(float(row["token_throughput_completion"]) > 0 for row in rows)
    page.get_by_role("button", name="All results").click()
    expect(page.get_by_text("Side by side")).to_be_visible()
    expect(page.get_by_role("button", name="starter: This model and its copies")).to_be_visible()


@pytest.mark.timeout(400)
def test_a_server_is_measured_and_its_curve_stands_there(visit: Visit, store: Store, server: Stub) -> None:
    page = visit().open("/benchmark")
    requests(page).fill("6")
    requests(page).press("Enter")
    settle(page)
    page.get_by_role("button", name="Measure stub").click()
    expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=90_000)
    expect(page.locator("table.tdc")).to_contain_text("4 at once")
    expect(page.locator("canvas")).to_have_count(2)
    assert store.list(verb="bench")[0].state == "succeeded"


def test_at_390_pixels_rows_are_cards_and_nobody_scrolls_sideways(visit: Visit, panel: Panel, store: Store) -> None:
    row = benchmarks.ended_matrix(store, open_workspace(panel.workspace), "people")
    page = visit(viewport=PHONE, scheme="dark").open("/benchmark")
    for address in ("?view=matrix", "?view=results", f"?view=results&job={row.id}"):
        page.goto(f"{panel.url}/benchmark{address}")
        settle(page)
        expect(menu(page).get_by_text("Compare set-ups")).to_be_visible()
        assert overflow(page) <= 0, address
    expect(page.locator("table.tdc td").first).to_have_css("display", "grid")
