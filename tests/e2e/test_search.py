"""Search in a browser: from any page by the keyboard to a thing, back to what was found, and the documentation on a phone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from backend.queue.store import Store
from tests.support.browser import PHONE, Visitor, at_rest, overflow, settle

expect.set_options(timeout=60_000)  # a browser and a panel share what may be two busy cores


def test_a_thing_is_reached_by_the_keyboard_and_the_way_back_leads_to_what_was_found(
    visit: Callable[..., Visitor], store: Store
) -> None:
    job = store.submit("drill", {"cpu": 1024}, title="Wheat <b>adviser</b>")  # waits for ever
    try:
        page = visit().open("/settings")
        side = page.get_by_test_id("stSidebar").get_by_role("searchbox", name="Search")
        expect(side).to_be_visible()
        at_rest(page)
        page.keyboard.press("Control+k")
        expect(side).to_be_focused()
        box, home = (
            side.bounding_box(),
            page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").bounding_box(),
        )
        assert box is not None
        assert home is not None
        assert box["y"] + box["height"] <= home["y"]  # above the navigation, not over it
        page.keyboard.type("adviser")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=adviser")
        settle(page)
        expect(page.get_by_role("searchbox", name="Search for")).to_be_focused()
        link = page.get_by_test_id("stMain").get_by_role("link", name="Wheat <b>adviser</b>")
        expect(link).to_be_visible()
        link.click()
        page.wait_for_url(f"**/jobs?job={job.id}")
        settle(page)
        page.go_back()
        page.wait_for_function("() => location.pathname === '/search' && location.search === '?q=adviser'")
        expect(link).to_be_visible()
    finally:
        store.cancel(job.id)


def test_a_section_of_the_documentation_fits_a_phone(visit: Callable[..., Visitor]) -> None:
    page = visit(viewport=PHONE, scheme="dark").open(
        "/search?doc=troubleshooting&section=setting-up-and-starting&q=port_taken"
    )
    expect(page.get_by_role("heading", name="Setting up and starting")).to_be_visible()
    expect(page.get_by_text("What was looked for")).to_be_visible()
    assert overflow(page) == 0
    page.get_by_test_id("stMain").get_by_role("link", name="Back to what was found").click()
    expect(page.get_by_role("searchbox", name="Search for")).to_have_value("port_taken")
