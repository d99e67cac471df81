"""The panel through a slow tunnel: 300 ms of delay and 200 kB/s. What a page costs after the first one, and that nothing typed or pressed
is lost or done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from backend import settings
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support.browser import Visitor, settle
from tests.support.every_page import PAGES, fill, go
from tests.support.panel import Panel
from tests.support.wait import until

pytestmark = pytest.mark.timeout(600)  # two minutes and more: where files run side by side, it begins early

Visit = Callable[..., Visitor]
DELAY_S, RATE = 0.3, 200_000
MOST_BYTES = 300_000


class Line:
    """The line of one page: made slow, and its bytes counted, those of the websocket as well."""

    def __init__(self, page: Page) -> None:
        self.received = 0
        self.page = page
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self.cdp.send("Network.enable")
        self.cdp.on("Network.loadingFinished", self._loaded)
        self.cdp.on("Network.webSocketFrameReceived", self._framed)

    def slow(self) -> None:
        """From now on."""
        how: dict[str, Any] = {"offline": False, "latency": DELAY_S * 1000, "downloadThroughput": RATE}
        self.cdp.send("Network.emulateNetworkConditions", {**how, "uploadThroughput": RATE})

    def _loaded(self, event: dict[str, Any]) -> None:
        self.received += int(event["encodedDataLength"])

    def _framed(self, event: dict[str, Any]) -> None:
        payload = event["response"]["payloadData"]
        binary = event["response"]["opcode"] == 2
        self.received += len(payload) * 3 // 4 if binary else len(payload)


@pytest.fixture(scope="module")
def filled(panel: Panel) -> Iterator[tuple[str, ...]]:
    """Content in the panel's workspace; the addresses of what can be looked at in full."""
    store: Store = open_store(open_workspace(panel.workspace))
    try:
        yield fill(open_workspace(panel.workspace), store)
    finally:
        store.close()


def test_after_the_first_page_none_brings_more_than_300_kb(visit: Visit, filled: tuple[str, ...]) -> None:
    page = visit().open("/")
    for address in (*PAGES, *filled):
        go(page, address)  # what the browser keeps of the panel's code comes only once
    line, told = Line(page), {}
    for address in (*PAGES, *filled):
        line.received = 0
        go(page, address)
        told[address] = line.received
    print(dict(sorted(told.items(), key=lambda each: -each[1])))
    assert all(told[address] > 1_000 for address in PAGES[1:]), "nothing was counted"
    assert {address: size for address, size in told.items() if size > MOST_BYTES} == {}


def test_pages_are_changed_and_a_form_is_filled_in_and_sent_once(visit: Visit, panel: Panel) -> None:
    person = visit()
    person.open("/").close()  # lets the person in
    page = person.context.new_page()
    Line(page).slow()
    # How far Chromium delays single messages of a websocket differs by version, so each one to the panel is held back here.
    page.add_init_script(
        f"""const send = WebSocket.prototype.send
        WebSocket.prototype.send = function (data) {{ setTimeout(() => send.call(this, data), {DELAY_S * 1000}) }}"""
    )
    page.goto(panel.url + "/")
    settle(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    field = page.get_by_role("spinbutton", name="Seconds a cancelled job has to save its work")
    field.fill("77")
    save = page.get_by_role("button", name="Save limits")
    save.dblclick()  # who waits presses again
    expect(page.get_by_text("Saved.").first).to_be_visible()
    assert settings.load(open_workspace(panel.workspace)).grace_int_s == 77
    expect(field).to_have_value("77")


def test_a_job_started_by_an_impatient_double_click_is_started_once(visit: Visit, panel: Panel) -> None:
    person = visit()
    page = person.open("/jobs")
    Line(page).slow()
    store = open_store(open_workspace(panel.workspace))
    try:
        before = len(store.list(verb="drill", limit=50))
        page.get_by_role("button", name="Try a practice job").dblclick()
        until(lambda: len(store.list(verb="drill", limit=50)) > before, 60, "the job is there")
        settle(page)
        # Both clicks went the same way before this one: what it asked for comes after what they did.
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Settings", exact=True).click()
        expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
        assert len(store.list(verb="drill", limit=50)) == before + 1
    finally:
        for row in store.queue():
            store.cancel(row.id)
        store.close()
