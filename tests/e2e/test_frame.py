"""The frame in a real browser: deep links, language, theme, a phone's width, and no request to anybody else."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from backend.queue.store import open_store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.every_page import go
from tests.support.panel import Panel

Visit = Callable[..., Visitor]
PAGES = ["/" if path.stem == "home" else f"/{path.stem}" for path in sorted((ROOT / "pages").glob("*.py"))]
DARK, LIGHT = "rgb(20, 25, 26)", "rgb(255, 255, 255)"


def background(page: Page) -> str:
    script = "() => getComputedStyle(document.querySelector('[data-testid=\"stApp\"]')).backgroundColor"
    return str(page.evaluate(script))


def test_a_deep_link_as_the_very_first_request_shows_frame_and_page(visit: Visit) -> None:
    # Must stay the first test: it is about a server where no session has called st.navigation yet.
    page = visit().open("/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    # Streamlit's own page discovery would make a navigation too, but not the sidebar's foot.
    expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_text("简体中文")).to_be_visible()
    assert urlsplit(page.url).path == "/settings"


def test_an_address_that_no_page_has_ends_on_a_page_with_the_frame(visit: Visit) -> None:
    page = visit().open("/no-such-page")
    expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home")).to_be_visible()


def test_without_the_token_or_with_a_wrong_one_nothing_of_the_panel_is_shown(visit: Visit, panel: Panel) -> None:
    for path in ("/", "/settings", "/?token=wrong"):
        page = visit().context.new_page()
        answer = page.goto(panel.url + path)
        assert answer is not None
        assert answer.status == 403
        assert page.get_by_test_id("stApp").count() == 0
        assert panel.token not in page.content()


def test_chinese_changes_navigation_and_page_and_survives_a_reload_and_a_deep_link(visit: Visit) -> None:
    page = visit().open("/")
    page.get_by_test_id("stSidebar").get_by_text("简体中文").click()
    expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="首页")).to_be_visible()
    expect(page.get_by_role("heading", name="欢迎使用 TuneDeck")).to_be_visible()
    page.wait_for_function("() => document.cookie.includes('tunedeck_language=zh_CN')")
    page.reload()
    settle(page)
    expect(page.get_by_role("heading", name="欢迎使用 TuneDeck")).to_be_visible()
    page.goto(page.url.rstrip("/") + "/settings")
    settle(page)
    expect(page.get_by_role("heading", name="设置")).to_be_visible()


def test_the_first_guess_is_the_browsers_language(visit: Visit) -> None:
    expect(visit(locale="zh-CN").open("/models").get_by_role("heading", name="模型", exact=True)).to_be_visible()
    expect(visit(locale="de-DE").open("/models").get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_a_timed_redraw_speaks_the_persons_language(visit: Visit, panel: Panel) -> None:
    store = open_store(open_workspace(panel.workspace))
    never = {"cpu": 1024}  # waits for ever, so that the sidebar's timer runs
    store.submit("drill", never, title="redraw")
    try:
        page = visit(locale="zh-CN").open("/settings")
        line = page.get_by_test_id("stSidebar").get_by_text("等待中：1").first
        expect(line).to_be_visible()
        # A timed redraw runs in a thread of its own, without the frame. It shows what changed in the meantime.
        store.submit("drill", never, title="redraw too")
        expect(page.get_by_test_id("stSidebar").get_by_text("等待中：2").first).to_be_visible()
    finally:
        for row in store.queue():
            store.cancel(row.id)
        store.close()


@pytest.mark.parametrize(("scheme", "colour"), [("light", LIGHT), ("dark", DARK)])
def test_the_page_follows_the_systems_light_or_dark(visit: Visit, scheme: str, colour: str) -> None:
    assert background(visit(scheme=scheme).open("/")) == colour


def test_a_chosen_theme_holds_on_every_page_and_after_a_reload(visit: Visit) -> None:
    person = visit(scheme="light")
    page = person.open("/")
    with page.expect_navigation():
        page.get_by_test_id("stSidebar").get_by_text("Dark", exact=True).click()
    settle(page)
    assert background(page) == DARK
    for path in PAGES:
        page.goto(person.panel.url + path)
        settle(page)
        assert background(page) == DARK, path
    with page.expect_navigation():
        page.get_by_test_id("stSidebar").get_by_text("Auto", exact=True).click()
    settle(page)
    assert background(page) == LIGHT


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_nobody_scrolls_sideways_on_a_phone(visit: Visit, locale: str) -> None:
    page, wide = visit(locale=locale, viewport=PHONE).open("/"), {}
    for path in PAGES:
        go(page, path)
        wide[path] = overflow(page)
    assert wide == dict.fromkeys(PAGES, 0)


def test_fonts_and_everything_else_come_from_the_panel_itself(visit: Visit, panel: Panel) -> None:
    person = visit(locale="zh-CN")
    asked: list[str] = []
    person.context.on("request", lambda request: asked.append(request.url))
    page = person.open("/")
    page.wait_for_function("""() => document.fonts.check('14px "Noto Sans SC Common"', '模型')""")
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    strangers = {urlsplit(u).netloc for u in asked if urlsplit(u).scheme not in ("data", "blob")} - {
        urlsplit(panel.url).netloc
    }
    assert strangers == set()
    fonts = {url.rsplit("/", 1)[-1] for url in asked if "/fonts/" in url}
    assert {"inter-latin.woff2", "noto-sans-sc-common.woff2"} <= fonts


def test_english_pages_load_no_chinese_font_but_the_switchs(visit: Visit) -> None:
    person = visit()
    asked: list[str] = []
    person.context.on("request", lambda request: asked.append(request.url))
    page = person.open("/")
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    assert "noto-sans-sc-more.woff2" not in {url.rsplit("/", 1)[-1] for url in asked}


def test_a_killed_panel_that_is_started_again_takes_the_open_page_back(visit: Visit, panel: Panel) -> None:
    page = visit().open("/settings")
    panel.kill9()
    expect(page.locator("[data-testid='stApp']")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
    panel.start_again()
    settle(page)
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
