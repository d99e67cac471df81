"""From the Models page to a program: start a server, make a key, ask through the address and the key that are shown."""

from __future__ import annotations

from collections.abc import Callable

import openai
import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor, settle

Visit = Callable[..., Visitor]


@pytest.mark.slow
def test_a_server_started_here_answers_a_program_with_the_address_and_key_from_the_pages(visit: Visit) -> None:
    page = visit().open("/models")
    page.get_by_role("button", name="Start server").click()
    # Nobody reloads: the list itself must show how the server comes up.
    expect(page.get_by_role("button", name="Stop server")).to_be_visible()
    expect(page.get_by_role("button", name="Talk to starter")).to_be_visible(timeout=90_000)
    page.get_by_text("Connect a program").click()
    base_url = page.get_by_test_id("stCode").nth(0).inner_text().strip()
    model = page.get_by_test_id("stCode").nth(1).inner_text().strip()

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Settings").click()
    page.get_by_role("textbox", name="Name of the new key").fill("test")
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_test_id("stCode").filter(has_text="td-").inner_text().strip()

    with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Who are you?"}], max_tokens=20
        )
    assert (answer.choices[0].message.content or "").strip()

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Models").click()
    settle(page)
    page.get_by_role("button", name="Stop server").click()
    expect(page.get_by_role("button", name="Start server")).to_be_visible(timeout=30_000)
