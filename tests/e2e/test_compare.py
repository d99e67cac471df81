"""Side by side in a browser: the answers outlive the page, one is stopped alone, and a verdict is found again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle, slow_line
from tests.support.panel import Panel
from tests.support.stub_openai import Stub, published, stub

expect.set_options(timeout=60_000)  # a browser, a panel and stubs share what may be two busy cores
SCRIPTS: dict[str, dict[str, Any]] = {
    "quick": {"say": "The cat sat on the mat."},
    "careful": {"say": "The dog sat on the mat."},
    "slow": {"tokens": 500, "delay_s": 0.2},
}
ADDRESS = "/chat?view=compare&models="


@pytest.fixture
def servers(panel: Panel) -> Iterator[dict[str, Stub]]:
    store = open_store(open_workspace(panel.workspace))
    with ExitStack() as stack:
        stack.callback(store.close)
        running = {}
        for name, script in SCRIPTS.items():
            running[name] = stack.enter_context(stub(name, script=script))
            stack.enter_context(published(store, running[name]))
        yield running


def go(person: Visitor, path: str) -> Page:
    """``path`` with its query; the first address brings the token."""
    page = person.open("/chat")
    page.goto(person.panel.url + path)
    settle(page)
    return page


def say(page: Page, text: str) -> None:
    box = page.get_by_placeholder("Ask all columns")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


COUNTED = """words => {
    const count = () => [...document.querySelectorAll("p")].filter(each => each.textContent === words && each.checkVisibility()).length;
    window.mostAtOnce = count();
    new MutationObserver(() => { window.mostAtOnce = Math.max(window.mostAtOnce, count()); })
        .observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
"""Keeps in the page how often the words were seen at once, whatever becomes of them between two looks."""


def test_answers_outlive_the_page_and_one_is_stopped_while_the_other_has_its_end(
    servers: dict[str, Stub], visit: Callable[..., Visitor]
) -> None:
    person = visit()
    page = go(person, ADDRESS + "quick,slow")
    say(page, "What sat where?")
    expect(page.get_by_text("The cat sat on the mat.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"w5 w6"))).to_be_visible()
    # The one that has ended says so while the other goes on.
    expect(page.get_by_text(re.compile(r"\d+ tokens · first token after"))).to_be_visible()
    expect(page.get_by_role("button", name="Stop A", exact=True)).to_have_count(0)
    page.reload()
    expect(page.get_by_text(re.compile(r"w20 w21"))).to_be_visible()
    other = person.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text(re.compile(r"w25 w26"))).to_be_visible()
    other.get_by_role("button", name="Stop B").click()
    for each in (other, page):
        for words in ("Stopped here. What was said is kept.", "The cat sat on the mat."):
            expect(each.get_by_text(words)).to_be_visible()
    other.close()


def test_differences_are_shown_and_a_vote_is_found_again_on_a_phone(
    servers: dict[str, Stub], visit: Callable[..., Visitor]
) -> None:
    person = visit()
    page = go(person, ADDRESS + "quick,careful")
    say(page, "What sat where?")
    page.get_by_text("Show what differs").click()
    expect(page.locator("del", has_text="cat")).to_be_visible()
    expect(page.locator("ins", has_text="dog")).to_be_visible()
    page.get_by_role("radio", name="B is better").click()
    page.get_by_label("Why (optional)").fill("dogs")
    page.keyboard.press("Enter")
    settle(page)
    address = page.url
    phone = go(visit(viewport=PHONE), address.removeprefix(person.panel.url))
    expect(phone.get_by_role("radio", name="B is better")).to_be_checked()
    expect(phone.get_by_label("Why (optional)")).to_have_value("dogs")
    assert overflow(phone) == 0
    phone.get_by_role("button", name="Votes").click()
    expect(phone.get_by_text(re.compile(r"quick better: 0"))).to_be_visible()
    with phone.expect_download() as download:
        phone.get_by_role("button", name="Download votes").click()
    assert '"reason": "dogs"' in download.value.path().read_text()


def test_on_a_slow_line_no_answer_stands_twice_when_it_has_its_end(
    servers: dict[str, Stub], visit: Callable[..., Visitor]
) -> None:
    person = visit()
    person.open("/chat").close()  # the first address brings the token
    page = person.context.new_page()
    slow_line(page, 0.03)
    page.goto(person.panel.url + ADDRESS + "quick,careful")
    settle(page)
    page.evaluate(COUNTED, "The cat sat on the mat.")
    say(page, "What sat where?")
    expect(page.get_by_text("Show what differs")).to_be_visible()
    settle(page)
    assert page.evaluate("window.mostAtOnce") == 1


def test_settings_of_one_column_change_by_preset_and_stay_open(
    servers: dict[str, Stub], visit: Callable[..., Visitor]
) -> None:
    page = go(visit(), ADDRESS + "quick,quick")
    page.get_by_role("button", name="Settings of column A").click()
    page.get_by_role("radio", name="Precise").click()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("0")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Precise · at most 512 tokens")).to_be_visible()
    settle(page)
    say(page, "Hello")
    expect(page.get_by_text("quick (temperature=0, top_p=1)")).to_be_visible()
    assert sorted(request["temperature"] for request in servers["quick"].requests()) == [0.0, 0.7]
