"""The way in, with a real browser: the link, the field for the token, and links on other sites."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.panel import Panel

READY = "[data-testid='stApp'][data-test-connection-state='CONNECTED']"
ANOTHER_SITE = "A page of somebody else"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser that has never been here."""
    context = browser.new_context(locale="en-US")
    yield context.new_page()
    context.close()


@pytest.fixture
def elsewhere(panel: Panel) -> Iterator[str]:
    """The address of another site, with a link to the panel. For a browser 127.0.0.1 and localhost are two sites."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                f"<title>{ANOTHER_SITE}</title><a href='http://localhost:{panel.port}/jobs'>to the panel</a>".encode()
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_link_opens_the_panel_and_the_token_leaves_the_address_bar(page: Page, panel: Panel) -> None:
    page.goto(panel.link("/jobs"))
    expect(page.locator(READY)).to_be_visible(timeout=30_000)
    assert page.url == f"{panel.url}/jobs"
    assert panel.token not in page.evaluate("JSON.stringify(performance.getEntriesByType('resource').map(e => e.name))")
    assert page.evaluate("document.cookie.includes('tunedeck-')") is False


def test_without_a_link_the_token_can_be_pasted_alone_or_with_its_link(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}/jobs")
    expect(page.locator("section[lang=en] h1")).to_have_text("This panel is locked")
    page.locator("section[lang=en] input").fill("wrong")
    page.locator("section[lang=en] button").click()
    expect(page.locator("section[lang=en] [role=alert]")).to_contain_text("That token is not right")
    page.locator("section[lang=en] input").fill(panel.link())
    page.locator("section[lang=en] button").click()
    expect(page.locator(READY)).to_be_visible(timeout=30_000)
    assert page.url == f"{panel.url}/jobs"


def test_a_link_on_another_site_opens_the_panel_for_who_is_in_and_the_locked_page_for_who_is_not(
    page: Page, panel: Panel, elsewhere: str
) -> None:
    page.goto(elsewhere)
    page.get_by_text("to the panel").click()
    expect(page.locator("section[lang=en] h1")).to_have_text("This panel is locked")
    page.goto(f"http://localhost:{panel.port}/?token={panel.token}")
    expect(page.locator(READY)).to_be_visible(timeout=30_000)
    page.goto(elsewhere)
    page.get_by_text("to the panel").click()
    expect(page.locator(READY)).to_be_visible(timeout=30_000)
    assert page.url == f"http://localhost:{panel.port}/jobs"


def test_another_site_can_neither_frame_the_panel_nor_talk_to_it(page: Page, panel: Panel, elsewhere: str) -> None:
    page.goto(f"http://localhost:{panel.port}/?token={panel.token}")
    expect(page.locator(READY)).to_be_visible(timeout=30_000)
    page.goto(elsewhere)
    tried = page.evaluate(
        """async (port) => {
            const own = `localhost:${port}`;
            const socket = await new Promise(done => {
                const s = new WebSocket(`ws://${own}/_stcore/stream`, ['streamlit']);
                s.onopen = () => done('open'); s.onerror = () => done('refused');
            });
            const read = await fetch(`http://${own}/_stcore/host-config`, {credentials: 'include'})
                .then(() => 'read', () => 'refused');
            return {socket, read};
        }""",
        panel.port,
    )
    assert tried == {"socket": "refused", "read": "refused"}
