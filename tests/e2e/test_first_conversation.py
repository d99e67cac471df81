"""The demonstration: a newcomer opens the link and talks to the shipped model; then everything that can die, dies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Burst, Visitor, overflow, settle, visitor
from tests.support.panel import start_panel
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

expect.set_options(timeout=90_000)  # a browser, a panel and a model server share what may be two busy cores
FIGURES = re.compile(r"\d+ tokens? · first token after \d+\.\d\d s")


def say(page: Page, text: str) -> None:
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


def messages(page: Page) -> Locator:
    return page.get_by_test_id("stChatMessage")


def answered(page: Page, count: int) -> None:
    """Wait until the conversation has ``count`` messages and the last one its figures."""
    expect(messages(page)).to_have_count(count, timeout=60_000)
    expect(messages(page).last.get_by_text(FIGURES)).to_be_visible(timeout=60_000)
    settle(page)


def shows(page: Page, before: list[str]) -> None:
    """The same messages as before; the buttons under the last one come a moment after it."""
    until(lambda: [m.inner_text() for m in messages(page).all()] == before, timeout=20, what="the same messages")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_newcomer_talks_within_a_minute_and_nothing_that_dies_takes_the_conversation_along(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    panel = start_panel(tmp_path_factory.mktemp("newcomer"))
    store = open_store(open_workspace(panel.workspace))
    try:
        with visitor(browser, panel) as person:
            # The link with the token; one primary button; the model comes up in visible phases.
            page = person.open("/")
            page.get_by_role("button", name="Talk to the starter model").dblclick()
            page.wait_for_url(re.compile("/chat"))
            expect(page.get_by_text(re.compile("Starting starter"))).to_be_visible()
            expect(page.get_by_text(re.compile("Starting starter.*(checking|loading)"))).to_be_visible(timeout=60_000)
            expect(page.get_by_text("Starting starter")).to_have_count(0, timeout=90_000)
            assert [row.title for row in store.list(verb="serve")] == ["starter"], "a double click makes one server"

            # Two languages, streamed, with figures.
            say(page, "Hello")
            answered(page, 2)
            say(page, "你好")
            answered(page, 4)
            job = store.list(verb="serve")[0]
            before = [message.inner_text() for message in messages(page).all()]
            assert "Hello" in before[0]
            assert "你好" in before[2]
            address = page.url
            assert re.search(r"\?c=[0-9a-f]{12}$", address)

            # A reload shows the same.
            page.reload()
            settle(page)
            expect(messages(page)).to_have_count(4)
            shows(page, before)

            # kill -9 of the panel: server and job go on; a new panel on the same workspace shows the same, and answers.
            panel.kill9()
            assert store.get(job.id).state == "running"
            panel.start_again()
            page.goto(address)
            settle(page)
            expect(messages(page)).to_have_count(4)
            shows(page, before)
            assert store.get(job.id).state == "running"
            assert store.get(job.id).attempt == job.attempt
            say(page, "Who are you?")
            answered(page, 6)
            assert len(store.list(verb="serve")) == 1
            assert person.errors == []
    finally:
        store.close()
        panel.stop()


def test_a_first_message_starts_the_model_by_itself_and_its_answer_follows(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    panel = start_panel(tmp_path_factory.mktemp("impatient"))
    try:
        with visitor(browser, panel) as person:
            page = person.open("/chat")
            page.get_by_role("button", name="Hello, who are you?").click()
            expect(page.get_by_text(re.compile("Your answer begins by itself"))).to_be_visible()
            # Even the page may go away meanwhile.
            address = until(lambda: page.url if "c=" in page.url else "", 10, "the conversation has its address")
            page.goto(panel.url + "/jobs")
            settle(page)
            page.goto(address)
            answered(page, 2)
            expect(page.get_by_text(re.compile("not running"))).to_have_count(0)
    finally:
        panel.stop()


def test_stop_in_mid_answer_keeps_what_was_said_also_after_a_reload(
    server: Stub, open_page: Callable[..., Page]
) -> None:
    page = open_page("/chat")
    say(page, '!{"tokens": 5000, "delay_s": 0.03}')
    expect(page.get_by_text(re.compile(r"w9 w10"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Stop")).click()
    expect(page.get_by_text("Stopped here. What was said is kept.")).to_be_visible()
    settle(page)
    expect(messages(page).last.get_by_role("button", name="More")).to_be_visible()  # the last thing to come
    said = messages(page).last.inner_text()
    assert "w10" in said
    until(lambda: server.cancelled() >= 1, 10, "the server stopped working")
    page.reload()
    settle(page)
    expect(page.get_by_text("Stopped here. What was said is kept.")).to_be_visible()
    # The buttons under it come a moment after the text.
    until(lambda: messages(page).last.inner_text() == said, 10, "the message reads as before")
    say(page, "Go on")
    answered(page, 4)


def test_a_reload_and_a_second_tab_see_the_same_answer_being_written(
    server: Stub, visit: Callable[..., Visitor]
) -> None:
    person = visit()
    page = person.open("/chat")
    say(page, '!{"tokens": 100000, "delay_s": 0.05}')
    expect(page.get_by_text(re.compile(r"w5 w6"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(r"w30 w31"))).to_be_visible()
    other = person.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text(re.compile(r"w30 w31"))).to_be_visible()
    expect(other.get_by_placeholder("Write a message")).to_be_disabled()
    other.get_by_role("button", name=re.compile("^Stop")).click()
    expect(other.get_by_text("Stopped here. What was said is kept.")).to_be_visible()
    expect(page.get_by_text("Stopped here. What was said is kept.")).to_be_visible()
    other.close()


def test_a_panel_killed_in_mid_answer_leaves_its_words_marked_as_interrupted(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    panel = start_panel(tmp_path_factory.mktemp("killed"))
    store = open_store(open_workspace(panel.workspace))
    try:
        with stub() as server, published(store, server), visitor(browser, panel) as person:
            page = person.open("/chat")
            say(page, '!{"tokens": 100000, "delay_s": 0.02}')
            expect(page.get_by_text(re.compile(r"w99 w100"))).to_be_visible()
            panel.kill9()
            panel.start_again()
            page.goto(page.url)
            settle(page)
            expect(
                page.get_by_text("Interrupted: the panel ended while this answer was being written.")
            ).to_be_visible()
            expect(page.get_by_text(re.compile(r"w0 w1 w2 .*w20 w21"))).to_be_visible()
            expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    finally:
        store.close()
        panel.stop()


def test_a_server_that_dies_is_started_and_asked_again_by_one_button(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    panel = start_panel(tmp_path_factory.mktemp("dead-server"))
    store = open_store(open_workspace(panel.workspace))
    try:
        with visitor(browser, panel) as person:
            with stub("starter") as server, published(store, server):
                page = person.open("/chat")
                say(page, '!{"tokens": 50, "die_at": 3}')
                expect(page.get_by_text("The server of 'starter' stopped in the middle of the answer.")).to_be_visible()
                expect(page.get_by_text("w0 w1 w2")).to_be_visible()
            page.reload()
            page.get_by_role("button", name="Start starter and ask again").click()
            expect(page.get_by_text("Starting starter")).to_be_visible()
            answered(page, 2)
            expect(page.get_by_text("stopped in the middle")).to_have_count(0)
    finally:
        store.close()
        panel.stop()


def test_conversations_are_found_renamed_and_deleted(server: Stub, open_page: Callable[..., Page]) -> None:
    page = open_page("/chat")
    for text in ("How does wheat grow?", "什么是合同法？"):
        page.get_by_role("button", name="New conversation").click()
        expect(messages(page)).to_have_count(0)
        settle(page)
        say(page, text)
        answered(page, 2)
    page.get_by_placeholder("Search conversations").fill("合同")
    page.keyboard.press("Enter")
    beside = page.get_by_role("button", name="How does wheat grow?")
    expect(beside).to_have_count(0)
    page.get_by_placeholder("Search conversations").fill("")
    page.keyboard.press("Enter")
    beside.click()
    expect(messages(page).first).to_contain_text("How does wheat grow?")
    settle(page)
    page.get_by_role("button", name="Rename or delete").click()
    page.get_by_label("Name", exact=True).fill("Wheat")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("button", name="Wheat", exact=True)).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Wheat", exact=True)).to_be_visible()
    page.get_by_role("button", name="Rename or delete").click()
    page.get_by_role("button", name="Delete conversation").click()
    expect(page.get_by_role("button", name="Wheat", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="什么是合同法？")).to_be_visible()
    expect(messages(page)).to_have_count(0)


def test_folded_settings_open_with_the_values_in_force_and_are_kept(
    server: Stub, open_page: Callable[..., Page]
) -> None:
    page = open_page("/chat")
    say(page, "Hello")
    answered(page, 2)
    page.reload()
    settle(page)
    page.get_by_role("button", name="Chat settings").click()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("0.7")
    expect(page.get_by_role("spinbutton", name="Longest answer (tokens)")).to_have_value("512")
    page.get_by_role("textbox", name="System prompt").fill("Be brief")
    page.get_by_role("textbox", name="System prompt").press("Control+Enter")
    page.get_by_text("Creative", exact=True).click()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("1")
    settle(page)
    page.keyboard.press("Escape")
    say(page, "Again")
    answered(page, 4)
    asked = server.requests()[-1]
    assert (asked["temperature"], asked["max_tokens"]) == (1.0, 512)
    assert asked["messages"][0] == {"role": "system", "content": "Be brief"}


def test_what_a_model_writes_loads_nothing_and_runs_nothing(server: Stub, visit: Callable[..., Visitor]) -> None:
    person = visit()
    page = person.open("/chat")
    asked: list[str] = []

    def note(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), note)
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    attack = (
        "![a](http://evil.test/1.png)\n\n![b][r]\n\n[r]: http://evil.test/2.png\n\n[![c](http://evil.test/3.png)](x)\n\n"
        "<img src=http://evil.test/4.png onerror=alert(1)><script>alert(2)</script>\n\n"
        '```mermaid\nflowchart LR\nA@{ img: "http://evil.test/5.png", label: "x" }\n```\n\n'
        "[click](javascript:alert(3)) the end"
    )
    say(page, "!" + json.dumps({"say": attack}))
    answered(page, 2)
    expect(messages(page).last.get_by_text("the end")).to_be_visible()
    expect(messages(page).last.get_by_text("flowchart LR")).to_be_visible()
    assert messages(page).last.locator("img").count() == 0
    assert messages(page).last.locator("a[href^='javascript:']").count() == 0
    assert asked == []


def test_a_very_long_prompt_gets_a_clear_message_and_the_page_stays_usable(
    store: Store, open_page: Callable[..., Page]
) -> None:
    with stub("small", context_length=512) as server, published(store, server):
        page = open_page("/chat")
        say(page, "字" * 100_000)
        expect(page.get_by_text(re.compile("This message is too long for 'small': 100,000 characters"))).to_be_visible()
        settle(page)
        say(page, "😀 مرحبا")
        answered(page, 3)
        expect(messages(page).last).to_contain_text("😀 مرحبا")


def test_after_a_line_that_stood_still_the_next_message_can_be_written(
    server: Stub, visit: Callable[..., Visitor]
) -> None:
    person = visit()
    person.open("/").close()  # lets the person in
    page = person.context.new_page()
    line = Burst(page)
    page.goto(person.panel.url + "/chat")
    settle(page)
    line.hold()
    say(page, "One")
    # Drawn with the answer coming, drawn anew with the whole one, and at last by the timer of the sidebar.
    line.until_finished(4)
    line.release()
    answered(page, 2)
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_focused()
    page.keyboard.type("Two")
    page.keyboard.press("Enter")
    answered(page, 4)
    expect(messages(page).last).to_contain_text("You said: Two")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_on_a_phone_the_history_is_behind_a_button_and_nothing_overflows(
    server: Stub, visit: Callable[..., Visitor], locale: str
) -> None:
    words = {
        "en-US": ("Write a message", "History", "Search conversations"),
        "zh-CN": ("输入消息", "历史记录", "搜索对话"),
    }
    write, history, search = words[locale]
    page = visit(locale=locale, viewport=PHONE).open("/chat")
    box = page.get_by_placeholder(write)
    box.fill('!{"say": "```python\\nprint(1)\\n``` | a | b |"}')
    box.press("Enter")
    expect(messages(page)).to_have_count(2)
    settle(page)
    assert overflow(page) == 0
    expect(page.get_by_placeholder(search)).to_have_count(1)
    expect(page.get_by_placeholder(search)).to_be_hidden()
    page.get_by_role("button", name=history).click()
    expect(page.get_by_placeholder(search).last).to_be_visible()
