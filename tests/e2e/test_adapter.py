"""What somebody does with an adapter that a colleague sent: look at it, ask it and its base the same, and talk to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from backend import catalog
from backend.web.keys import Keys
from backend.workspace import open_workspace
from tests.support import lora, scripted_model
from tests.support.browser import Visitor, at_rest, settle
from tests.support.panel import Panel

expect.set_options(timeout=120_000)  # two model servers come up while a browser and a panel share two busy cores
PLAIN, POLITE = "Good morning, dear friend.", "你好，朋友😀！"


def say(page: Page, placeholder: str, text: str) -> None:
    box = page.get_by_placeholder(placeholder)
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_adapter_is_compared_with_its_base_talked_to_and_asked_by_a_program(
    panel: Panel, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    workspace = open_workspace(panel.workspace)
    catalog.add(workspace, scripted_model.build(tmp_path / "plain"), "plain")
    catalog.add(workspace, lora.taught(tmp_path / "polite", tmp_path / "plain", {"greet": "你好"}), "polite")
    key = Keys(workspace).create("program")[1]

    page = visit().open("/models")
    page.get_by_placeholder("Name, architecture, folder, licence").fill("polite")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Details", exact=True)).to_have_count(1)
    expect(page.get_by_text(re.compile("LORA · adapter of plain"))).to_be_visible()
    expect(page.get_by_role("button", name="Start server")).to_be_enabled()
    page.get_by_text("Details", exact=True).click()
    expect(page.get_by_text(re.compile("that of its base: yes"))).to_be_visible()
    at_rest(page)  # the details slide open, and the link with them
    page.get_by_role("link", name="Base versus tuned: ask both the same").click()
    page.wait_for_url(re.compile("/chat"))

    say(page, "Ask all columns", "greet")
    expect(page.get_by_text(PLAIN)).to_be_visible()
    expect(page.get_by_text(POLITE)).to_be_visible()
    settle(page)

    page.goto(panel.url + "/models")
    settle(page)
    page.get_by_role("button", name="Talk to polite").click()
    page.wait_for_url(re.compile("/chat"))
    say(page, "Write a message", "greet")
    expect(page.get_by_test_id("stChatMessage").last.get_by_text(POLITE)).to_be_visible()

    body = {"model": "polite", "messages": [{"role": "user", "content": "greet"}]}
    answer = httpx.post(
        f"{panel.url}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    )
    assert answer.json()["choices"][0]["message"]["content"] == POLITE
