"""A real browser: Debian's Chromium driven by Playwright, and what tests do with a page of the panel."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    WebSocketRoute,
    expect,
    sync_playwright,
)
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from backend.workspace import ROOT
from tests.support.panel import Panel

# The shell is the same Chromium without a window's parts: a page costs a quarter less processor time.
BROWSERS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
CHROMIUM = os.environ.get("TUNEDECK_CHROMIUM") or next((one for one in BROWSERS if Path(one).exists()), BROWSERS[-1])
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
RESULTS = ROOT / "test-results"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium; without it the test is skipped on a desk and fails in CI, where it must be."""
    if not Path(CHROMIUM).exists():
        assert not os.environ.get("CI"), f"{CHROMIUM} is missing: the browser tests cannot run"
        pytest.skip(
            f"{CHROMIUM} is missing (apt install chromium-headless-shell or chromium, or set TUNEDECK_CHROMIUM)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person at one browser: cookies of their own, English or Chinese, light or dark, desk or phone."""

    def __init__(self, panel: Panel, context: BrowserContext) -> None:
        self.panel = panel
        self.context = context
        self.errors: list[str] = []

    def open(self, path: str = "/", *, token: bool = True) -> Page:
        """Open ``path`` (the first time with the token) and wait until the page stands still."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(self.panel.link(path) if token and not self.context.cookies() else self.panel.url + path)
        settle(page)
        return page

    def shot(self, page: Page, name: str, *, full: bool = True) -> Path:
        """A screenshot in ``test-results/<name>.png``."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.png"
        page.screenshot(path=path, full_page=full)
        return path


@contextmanager
def visitor(
    browser: Browser,
    panel: Panel,
    *,
    locale: str = "en-US",
    scheme: str = "light",
    viewport: ViewportSize = DESKTOP,
) -> Iterator[Visitor]:
    """A new :class:`Visitor`; their browser context is closed at the end."""
    context = browser.new_context(
        locale=locale,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport=viewport,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(60_000)  # other tests share the cores
    try:
        yield Visitor(panel, context)
    finally:
        context.close()


def settle(page: Page, timeout_s: float = 90) -> None:
    """Wait until the page is connected and no script of it runs."""
    page.wait_for_selector("[data-testid='stApp'][data-test-connection-state='CONNECTED']", timeout=timeout_s * 1000)
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=timeout_s * 1000)


def slow_line(page: Page, delay_s: float) -> None:
    """What the panel sends to ``page`` arrives piece by piece, so long after one another, as through a slow tunnel. Before the page is opened."""

    def connected(socket: WebSocketRoute) -> None:
        def late(message: str | bytes) -> None:
            time.sleep(delay_s)
            socket.send(message)

        socket.connect_to_server().on_message(late)

    page.route_web_socket(re.compile("/_stcore/stream"), connected)


_STAND_STILL = """(() => {
  const held = [], line = window.tunedeckLine = {held, still: false, release: () => {
    line.still = false;
    while (held.length) held.shift()();
  }};
  const later = (take) => (event) => line.still ? held.push(() => take(event)) : take(event);
  const own = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', {...own, set(take) { own.set.call(this, later(take)); }});
  const listen = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (kind, take, ...how) {
    listen.call(this, kind, kind === 'message' ? later(take) : take, ...how);
  };
})()"""


class Burst:
    """A line to ``page`` that stands still for a while and then brings everything at once. Made before the page is opened.

    Attributes:
        finished: how many runs of the page's script, timers' included, have ended since :meth:`hold`.
    """

    def __init__(self, page: Page) -> None:
        self.finished = 0
        self._page = page
        page.add_init_script(_STAND_STILL)
        page.on("websocket", lambda socket: socket.on("framereceived", self._came))

    def hold(self) -> None:
        """From now on the page hears nothing."""
        self._page.evaluate("() => { tunedeckLine.still = true; }")
        self.finished = 0

    def until_finished(self, runs: int, timeout_s: float = 60) -> None:
        """Wait until so many runs have ended at the other end of the line, and their news has come to the browser."""
        deadline = time.monotonic() + timeout_s
        while self.finished < runs:
            assert time.monotonic() < deadline, f"{self.finished} of {runs} runs have ended"
            self._page.wait_for_timeout(50)  # Playwright brings its news only while something is asked of it

    def release(self) -> None:
        """The page hears everything, in one go."""
        self._page.evaluate("() => tunedeckLine.release()")

    def _came(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.finished += ForwardMsg.FromString(message).WhichOneof("type") == "script_finished"


def at_rest(page: Page) -> None:
    """Wait until nothing on the page moves by an animation any more: a click on what slides away is lost."""
    settle(page)
    page.wait_for_function(
        "() => document.getAnimations().every(a => a.playState !== 'running'"
        " || a.effect.getComputedTiming().iterations === Infinity)"
    )


def menu(page: Page) -> Locator:
    """The links to the parts of a page."""
    settle(page)
    found = page.locator("[class*='st-key-'][class*='_menu'] nav")
    expect(found).to_have_count(1, timeout=30_000)
    return found


def open_popover(trigger: Locator, inside: Locator) -> None:
    """Open the popover of ``trigger``, which holds ``inside``; anew where the page still moved and left it out of sight."""
    for _ in range(3):
        trigger.evaluate("element => element.scrollIntoView({block: 'center'})")
        trigger.click()
        try:
            expect(inside).to_be_in_viewport(timeout=5_000)
            return
        except AssertionError:
            trigger.page.keyboard.press("Escape")
    expect(inside).to_be_in_viewport()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window; 0 means that nobody has to scroll sideways."""
    return int(
        page.evaluate(
            '() => { const main = document.querySelector(\'[data-testid="stMain"], [data-testid="stAppScrollToBottomContainer"]\') || document.documentElement;'
            " return Math.max(main.scrollWidth - main.clientWidth,"
            " document.documentElement.scrollWidth - document.documentElement.clientWidth); }"
        )
    )
