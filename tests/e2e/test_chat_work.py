"""Work with a conversation in a real browser: branches, the found place, keys, prompts, files, rows for a dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.chat.conversations import Conversations
from backend.data.collected import Collected
from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.panel import Panel
from tests.support.stub_openai import Stub, published, stub
from tests.support.talk import Talk, living

expect.set_options(timeout=90_000)  # a browser, a panel and a model server share what may be two busy cores


@pytest.fixture(scope="module")
def server(panel: Panel) -> Iterator[Stub]:
    """A model called ``stub`` that says what the test tells it to."""
    store = open_store(open_workspace(panel.workspace))
    with stub() as running, published(store, running):
        yield running
    store.close()


@pytest.fixture
def talk(panel: Panel, server: Stub) -> Iterator[Talk]:
    """A conversation of 120 messages; one of them, far back, speaks of wheat in Chinese."""
    talks = Conversations(open_workspace(panel.workspace))
    with living(talks) as owner:
        talk = Talk(talks, owner, model=server.model)
        for n in range(60):
            talk.say(f"Question {n}?", f"Answer {n}." + (" 小麦在春天生长。" if n == 20 else ""))
        yield talk
    talks.close()


def messages(page: Page) -> Locator:
    return page.get_by_test_id("stChatMessage")


def say(page: Page, text: str, count: int) -> None:
    """Send ``text`` and wait until the conversation has ``count`` messages and stands still."""
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")
    done(page, count)


def done(page: Page, count: int) -> None:
    expect(messages(page)).to_have_count(count)
    expect(messages(page).last.get_by_role("button", name="More", exact=True)).to_be_visible()
    settle(page)


def test_an_edited_message_begins_a_branch_that_a_reload_keeps_and_a_press_leaves(
    server: Stub, open_page: Callable[..., Page]
) -> None:
    page = open_page("/chat")
    say(page, "One", 2)
    say(page, "Two", 4)
    messages(page).first.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit your message").fill("Uno")
    page.get_by_role("textbox", name="Edit your message").press("Control+Enter")
    done(page, 2)
    expect(messages(page).last).to_contain_text("You said: Uno")
    page.reload()
    settle(page)
    expect(messages(page).first).to_contain_text("Uno")
    messages(page).first.get_by_role("button", name="‹").click()
    done(page, 4)
    expect(messages(page).nth(2)).to_contain_text("Two")
    expect(messages(page).first.get_by_text("1/2")).to_be_visible()
    say(page, "Three", 6)
    asked = [m["content"] for m in server.requests()[-1]["messages"]]
    assert asked == ["One", "You said: One", "Two", "You said: Two", "Three"]


def test_keys_lead_to_the_input_stop_an_answer_and_begin_a_conversation(
    server: Stub, open_page: Callable[..., Page]
) -> None:
    page = open_page("/chat")
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_enabled()
    page.get_by_role("heading", name="Chat").click()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type('!{"tokens": 100000, "delay_s": 0.02}')
    page.keyboard.press("Enter")
    expect(messages(page).last).to_contain_text("w3")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped here. What was said is kept.")).to_be_visible()
    settle(page)
    page.keyboard.press("Control+Shift+O")
    expect(messages(page)).to_have_count(0)
    expect(page.get_by_text("Begin with one of these")).to_be_visible()


def test_a_place_that_was_found_comes_into_view_and_the_end_is_one_press_away(
    talk: Talk, open_page: Callable[..., Page]
) -> None:
    page = open_page("/chat")
    page.get_by_placeholder("Search conversations").fill("小麦")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Answer 20. 小麦在春天生长。").click()
    found = messages(page).filter(has_text="小麦")
    expect(found).to_be_in_viewport()
    assert messages(page).count() < 60
    settle(page)
    page.get_by_role("button", name="Back to the newest messages").click()
    expect(messages(page).last).to_contain_text("Answer 59.")
    expect(messages(page)).to_have_count(20)


def test_a_prompt_of_ones_own_is_kept_filled_in_and_sent(server: Stub, open_page: Callable[..., Page]) -> None:
    page = open_page("/chat")
    page.get_by_role("button", name="Prompts").click()
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Name", exact=True).fill("Ask")
    page.get_by_role("textbox", name="Text", exact=True).fill("What is {{thing}}?")
    page.get_by_role("button", name="Save prompt").click()
    page.get_by_label("thing", exact=True).fill("wheat")
    page.get_by_role("button", name="Put into the message").click()
    box = page.get_by_placeholder("Write a message")
    expect(box).to_have_value("What is wheat?")
    expect(page.get_by_role("button", name="Put into the message")).to_have_count(0)
    settle(page)
    box.press("Enter")
    done(page, 2)
    expect(messages(page).last).to_contain_text("You said: What is wheat?")


def test_both_files_of_a_conversation_can_be_fetched(talk: Talk, open_page: Callable[..., Page]) -> None:
    page = open_page("/chat")
    page.goto(f"{page.url.split('?')[0]}?c={talk.id}")
    expect(messages(page)).to_have_count(20)
    settle(page)
    page.get_by_role("button", name="Export").click()
    files = {}
    for name in ("Markdown, to read", "JSON, with everything"):
        with page.expect_download() as waiting:
            # By keyboard: the page still scrolls to its newest message, and takes what a popover holds out of sight.
            page.get_by_role("button", name=name).press("Enter")
        files[Path(waiting.value.suggested_filename).suffix] = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "## 42. Answer\n\nAnswer 20. 小麦在春天生长。" in files[".md"]
    assert len(json.loads(files[".json"])["messages"]) == 120


def test_on_a_phone_an_answer_is_corrected_and_sent_to_a_dataset_and_nothing_overflows(
    server: Stub, panel: Panel, visit: Callable[..., Visitor]
) -> None:
    page = visit(viewport=PHONE).open("/chat")
    say(page, "One", 2)
    messages(page).last.get_by_role("button", name="More", exact=True).click()
    page.get_by_text("Send to dataset").filter(visible=True).click()
    page.get_by_role("textbox", name="The answer that the model should give").fill("Eins")
    assert overflow(page) == 0
    page.get_by_role("button", name="Add to dataset").click()
    expect(page.get_by_text(re.compile("Added to From chat"))).to_be_visible()
    settle(page)
    assert overflow(page) == 0
    (collection,) = Collected(open_workspace(panel.workspace)).list()
    row = json.loads(collection.path.read_text(encoding="utf-8").splitlines()[-1])
    assert row["messages"][-1] == {"role": "assistant", "content": "Eins"}
