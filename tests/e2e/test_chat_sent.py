"""In a real browser: a picture is attached and seen by the server, and what was really sent is one menu away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, overflow, settle
from tests.support.stub_openai import Stub
from tests.support.wait import until

expect.set_options(timeout=90_000)


def send(page: Page, text: str) -> None:
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


def test_a_picture_is_sent_and_shown_and_the_request_can_be_looked_at_on_a_phone(
    server: Stub, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    photo = tmp_path / "field.jpg"
    Image.new("RGB", (2000, 1000), "green").save(photo)
    page = open_page("/chat", viewport=PHONE)
    page.locator("[data-testid='stChatInput'] input[type='file']").set_input_files(photo)
    expect(page.get_by_text("field.jpg")).to_be_visible()
    expect(page.get_by_role("button", name="Send message")).to_be_enabled()  # it is there, not on its way
    send(page, " What is this?")
    expect(page.get_by_role("img", name="field.jpg")).to_be_visible()
    expect(page.get_by_text("begins with ␣, and was sent so")).to_be_visible()
    content = until(server.requests, 20, "the server is asked")[-1]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"]
    assert content[1]["text"] == " What is this?"
    settle(page)
    page.get_by_role("button", name="More").last.click()
    page.get_by_text("What was really sent").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The model ended its answer by itself.")).to_be_visible()
    dialog.get_by_role("tab", name="Request").click()
    expect(dialog.get_by_text("data:image/jpeg;base64,…")).to_be_visible()
    assert overflow(page) == 0
