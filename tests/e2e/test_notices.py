"""News in a real browser: a job ends while a person types, is told without disturbing them, and is read in another tab."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from backend import settings
from backend.notices import visits
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import Visitor, settle
from tests.support.panel import Panel
from tests.support.wait import until
from ui.notices import visitor


def cookie(person: Visitor) -> str | None:
    return next((one["value"] for one in person.context.cookies() if one["name"] == visitor.COOKIE), None)


def test_an_end_is_told_to_a_person_who_types_and_what_is_read_in_one_tab_is_read_in_the_other(
    visit: Callable[..., Visitor], panel: Panel, store: Store
) -> None:
    settings.save(open_workspace(panel.workspace), cpu_slots=2)
    person = visit()
    # While it runs, the pace of the page stays the same, and nothing but the line in the sidebar is drawn anew.
    stays = store.submit("drill", {"steps": 2000, "step_s": 0.1}, title="goes on")
    until(lambda: store.get(stays.id).state == "running", 60, "the other job runs")
    page = person.open("/settings")
    name = until(lambda: cookie(person), 20, "the browser has a name")
    assert (panel.workspace / visits.FOLDER / f"{name}.json").is_file()
    field = page.get_by_role("spinbutton", name="Seconds a cancelled job has to save its work")
    field.fill("17")
    store.submit("drill", {"steps": 3, "step_s": 0.1, "fault": "raise", "fault_step": 2}, title="Wren")

    toast = page.get_by_test_id("stToast").filter(has_text="Wren")
    expect(toast).to_contain_text("failed", timeout=60_000)
    expect(field).to_have_value("17")
    expect(field).to_be_focused()
    expect(page).to_have_title("(1) TuneDeck")
    address = toast.get_by_role("link", name="Show it").get_attribute("href")
    assert re.fullmatch(r"/jobs\?job=\d+", address or "")

    other = person.open("/")
    expect(other.get_by_test_id("stToast")).to_have_count(0)
    expect(other.get_by_text("Ended since")).to_be_visible()
    other.get_by_role("button", name="I have seen this").click()
    expect(other.get_by_text("Ended since")).to_have_count(0)
    expect(other).to_have_title("TuneDeck")
    expect(page).to_have_title("TuneDeck", timeout=60_000)
    expect(page.get_by_text("1 job ended")).to_have_count(0)

    stranger = visit().open("/")
    settle(stranger)
    expect(stranger.get_by_role("button", name="I have seen this")).to_have_count(0)
    store.cancel(stays.id)
    until(lambda: store.get(stays.id).done, 40, "the other job has ended")
