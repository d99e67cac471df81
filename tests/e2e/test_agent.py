"""The Agent page in a real browser: steps seen as they come, a reason and a way on for every failure, nothing lost."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.agent import mcp_servers
from backend.agent.mcp_servers import Secrets, Server
from backend.agent.store import AgentStore
from backend.data.collected import Collected
from backend.queue.store import Store
from backend.workspace import ROOT, open_workspace
from tests.support.agents import final, react
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.panel import Panel, processes_of
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

expect.set_options(timeout=90_000)  # a browser, a panel, a worker and a model share what may be two busy cores
SUM = react("calculator", '{"expression": "6*7"}')


@contextmanager
def model(store: Store, *replies: dict[str, Any]) -> Iterator[Stub]:
    """A model called ``stub`` that says these things, one after the other."""
    with stub(script={"replies": list(replies)}) as running, published(store, running):
        yield running


def ask(page: Page, text: str) -> None:
    box = page.get_by_placeholder("Ask something")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


def answer(page: Page) -> Locator:
    """The last answer."""
    return page.get_by_test_id("stChatMessage").last


def in_react(page: Page) -> None:
    """Choose ReAct: the form of the replies above."""
    page.get_by_role("button", name="Agent settings").click()
    page.get_by_role("combobox", name=re.compile("Form of calling tools")).click()
    page.get_by_role("option", name="ReAct").click()
    page.keyboard.press("Escape")
    settle(page)


@pytest.mark.timeout(400)
def test_the_model_that_ships_uses_the_calculator_and_the_turn_becomes_a_row(
    panel: Panel, open_page: Callable[..., Page]
) -> None:
    page = open_page("/")
    page.get_by_role("link", name="Agent").click()
    ask(page, "Compute 17 * 23 with the calculator.")
    expect(answer(page)).to_contain_text("391", timeout=180_000)
    answer(page).get_by_text(re.compile(r"2 steps")).click()
    expect(answer(page).get_by_text("Calculator")).to_be_visible()
    expect(answer(page)).to_contain_text('"expression": "17 * 23"')

    page.reload()
    settle(page)
    expect(answer(page)).to_contain_text("391")
    answer(page).get_by_role("button", name="Make a training row").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Add to dataset").click()
    expect(dialog.get_by_role("link", name="Make a dataset of these rows")).to_be_visible()
    expect(page.get_by_text("This page could not be drawn")).to_have_count(0)
    kept = Collected(open_workspace(panel.workspace)).list()
    assert [each.rows for each in kept] == [1]


def test_a_call_that_is_nearly_right_is_mended_in_sight(store: Store, open_page: Callable[..., Page]) -> None:
    with model(store, react("calculator", "expression=6*7"), final("It is 42.")):
        page = open_page("/agent?model=stub")
        in_react(page)
        ask(page, "What is 6 * 7?")
        expect(answer(page)).to_contain_text("It is 42.")
        answer(page).get_by_text(re.compile(r"2 steps")).click()
        expect(answer(page).get_by_text("mended")).to_be_visible()
        expect(answer(page)).to_contain_text("name=value stood where JSON was asked for.")


def test_silence_has_a_reason_and_a_button_that_helps(store: Store, open_page: Callable[..., Page]) -> None:
    with model(store, {"say": "I will now use the calculator to find out."}, SUM, final("It is 42.")):
        page = open_page("/agent?model=stub")
        in_react(page)
        ask(page, "What is 6 * 7?")
        expect(page.get_by_text("The model says that it uses a tool, and calls none.")).to_be_visible()
        page.get_by_role("button", name="Try again and go on").click()
        expect(answer(page)).to_contain_text("It is 42.")
        expect(page.get_by_text("The model says that it uses a tool, and calls none.")).to_have_count(0)


def test_what_acts_outside_waits_for_a_yes(panel: Panel, store: Store, open_page: Callable[..., Page]) -> None:
    server = Server("outside", "stdio", command=sys.executable, args=("-m", "tests.support.mcp_server", "stdio"))
    workspace = open_workspace(panel.workspace)
    mcp_servers.add(workspace, server, Secrets(env={"PYTHONPATH": str(ROOT)}))
    try:
        with model(store, react("outside__echo", '{"text": "hello world"}'), final("Said.")):
            page = open_page("/agent?model=stub")
            in_react(page)
            page.get_by_role("button", name=re.compile("^Tools")).click()
            page.get_by_text("outside", exact=True).first.click()
            page.keyboard.press("Escape")
            settle(page)
            ask(page, "Say hello")
            expect(page.get_by_text("May it make this call?")).to_be_visible()
            expect(answer(page)).to_contain_text("hello world")
            page.get_by_role("button", name="Allow", exact=True).click()
            expect(answer(page)).to_contain_text("Said.")
    finally:
        mcp_servers.remove(workspace, "outside")


def test_stop_keeps_what_was_found_and_it_goes_on_from_there(store: Store, open_page: Callable[..., Page]) -> None:
    with model(store, SUM, {"tokens": 4000, "delay_s": 0.03}, final("It is 42.")) as server:
        page = open_page("/agent?model=stub")
        in_react(page)
        ask(page, "What is 6 * 7?")
        expect(answer(page)).to_contain_text("w20")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text("You stopped it here. What it had found is kept.")).to_be_visible()
        until(lambda: server.cancelled() == 1, 10, "the server is let go")
        page.get_by_role("button", name="Go on", exact=True).click()
        expect(answer(page)).to_contain_text("It is 42.")


@pytest.mark.timeout(400)
def test_neither_the_panel_nor_the_worker_killed_loses_a_step(
    panel: Panel, store: Store, open_page: Callable[..., Page]
) -> None:
    with model(store, SUM, {"tokens": 400, "delay_s": 0.03}, {"tokens": 4000, "delay_s": 0.03}, final("It is 42.")):
        page = open_page("/agent?model=stub")
        in_react(page)
        ask(page, "What is 6 * 7?")
        expect(answer(page)).to_contain_text("w20")
        address = page.url
        panel.kill9()
        agents = AgentStore(open_workspace(panel.workspace))
        (turn,) = agents.live()
        # The worker needs no panel: what the model says goes on growing.
        until(lambda: "w300" in agents.steps([turn.id])[-1].reply, 60, "it goes on without a panel")
        worker = [p for p in processes_of(panel.workspace) if p.cmdline()[-1] == turn.conversation]
        assert len(worker) == 1
        worker[0].kill()
        until(lambda: agents.turn(turn.id).state == "lost", 10, "it is lost")
        assert agents.steps([turn.id])[0].calls[0].text == "42"
        panel.start_again()
        page.goto(address)
        settle(page)
        expect(
            page.get_by_text("The program that worked at this is gone. Nothing that it had found is lost.")
        ).to_be_visible()
        page.get_by_role("button", name="Go on", exact=True).click()
        expect(answer(page)).to_contain_text("w20")


def test_in_chinese_on_a_phone_nothing_is_wider_than_the_screen(store: Store, visit: Callable[..., Visitor]) -> None:
    with model(store, react("calculator", "expression=6*7"), final("答案是 42。")):
        page = visit(locale="zh-CN", scheme="dark", viewport=PHONE).open("/agent?model=stub")
        box = page.get_by_placeholder("问点什么")
        box.fill("6 乘以 7 是多少？")
        box.press("Enter")
        expect(answer(page)).to_be_visible()
        settle(page)
        assert overflow(page) == 0
