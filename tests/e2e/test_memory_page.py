"""Memory in a browser, with a real recorder and real jobs: one that holds memory is seen with its size while it runs and in the
past after it has ended; one that ran out of memory leads to its minute. And what a refresh costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from backend.memory.series import MemoryStore, open_memory
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.panel import Panel, start_panel
from tests.support.wait import until

Visit = Callable[..., Visitor]
SLOW = 60_000
HELD_MIB = 420
A_REFRESH = 3_000
"""Bytes to the browser for one refresh of a machine without a GPU."""


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """Its watcher, and with it the recorder, stays."""
    running = start_panel(tmp_path_factory.mktemp("workspace"), watcher_idle_s="3600")
    yield running
    running.stop()


@pytest.fixture
def memory(panel: Panel) -> Iterator[MemoryStore]:
    opened = open_memory(open_workspace(panel.workspace))
    yield opened
    opened.close()


def expect_has(page: Page, name: str, size: str) -> None:
    """In the list of who has the memory stands ``name`` with ``size``, a pattern."""
    row = page.get_by_role("listitem").filter(has_text=name).first
    expect(row).to_have_text(re.compile(rf"{name}\s*{size} GiB$"), timeout=SLOW)


def refreshes(page: Page, count: int) -> list[int]:
    """Bytes to the browser of ``count`` redraws of the live panels, after a reload; without the list of the panel's pages."""
    found: list[int] = []
    run = {"bytes": 0, "live": 0}

    def hear(frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        message = ForwardMsg.FromString(frame)
        if message.WhichOneof("type") == "new_session":
            # It names all pages of the panel: that is no part of what this page draws.
            run.update(bytes=-len(frame), live=0)
        run["bytes"] += len(frame)
        run["live"] |= b"mem-bar" in frame
        if message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY and run["live"]:
            found.append(run["bytes"])

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    with page.expect_websocket() as opened:
        page.reload()
    while len(found) < count:
        opened.value.wait_for_event("framereceived")
    return found


def test_a_job_is_seen_while_it_runs_after_it_ended_and_one_that_ran_out_leads_to_its_minute(
    visit: Visit, store: Store, memory: MemoryStore
) -> None:
    page = visit().open("/")
    page.get_by_role("link", name="See who uses the memory").click()
    expect(page.get_by_role("heading", name="Memory")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Live: figures of this second")).to_be_visible(timeout=SLOW)

    # Nobody touches the page: the job appears by itself, with its size and when it is done.
    job = store.submit("drill", {"steps": 10_000, "step_s": 0.1, "hold_mib": HELD_MIB}, title="Hold it").id
    expect_has(page, f"#{job} Hold it", r"0\.[4-5]")
    expect(
        page.get_by_text(re.compile(rf"GiB free at about (\d\d-\d\d )?\d\d:\d\d, when #{job} Hold it is done"))
    ).to_be_visible()
    page.get_by_text("All programs: jobs 1").click()
    expect(page.get_by_role("cell", name="measured in the system")).to_be_visible(timeout=SLOW)

    costs = refreshes(page, 3)
    assert max(costs) < A_REFRESH, costs
    settle(page)

    page.get_by_role("link", name=f"#{job} Hold it").first.click()
    expect(page.get_by_text("Practice job").first).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Cancel").click()
    until(lambda: store.get(job).done, 60, "the job has ended")
    until(lambda: any(m.kind == "job_ended" for m in memory.moments(0, 1e11)), 30, "its end is recorded")
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("link", name="Its memory", exact=True)).to_have_count(1)  # the card of before is gone
    page.get_by_role("link", name="Its memory", exact=True).click()
    expect(page.get_by_text(re.compile(rf"#{job} Hold it · cancelled"))).to_be_visible(timeout=SLOW)
    chart = page.get_by_role(
        "img", name=re.compile(r"^Main memory: at most [\d.]+ GiB of [\d.]+ GiB in use, at \d\d:\d\d")
    )
    expect(chart.first).to_be_visible(timeout=SLOW)

    # One that asks for too much.
    large = store.submit(
        "drill",
        {"steps": 50, "step_s": 0.5, "hold_mib": 200, "fault": "out_of_memory", "fault_step": 6},
        title="Too large",
    ).id
    until(lambda: store.get(large).state == "failed", 60, "the job has run out of memory")
    until(lambda: any(m.kind == "out_of_memory" for m in memory.moments(0, 1e11)), 30, "the recorder has seen it")
    page.goto(page.url.split("/memory")[0] + f"/jobs?job={large}")
    expect(page.get_by_text("The main memory of the machine was not enough.")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="See the memory at that minute").click()
    expect(page.get_by_text(re.compile(r"^Who had it at \d\d:\d\d:\d\d$"))).to_be_visible(timeout=SLOW)
    expect_has(page, f"#{large} Too large", r"0\.[2-3]")
    expect(page.get_by_text("out of memory").first).to_be_visible()
    assert f"job={large}" in page.url

    # The way back, and a reload, show the same.
    page.reload()
    settle(page)
    expect(page.get_by_text(re.compile(r"^Who had it at"))).to_be_visible(timeout=SLOW)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_nothing_is_wider_than_a_phone(visit: Visit, locale: str) -> None:
    person = visit(viewport=PHONE, locale=locale, scheme="dark")
    for path in ("/memory", "/memory?view=past&range=15m"):
        page = person.open(path)
        expect(page.get_by_test_id("stMain").get_by_text(re.compile(r"\d GiB")).first).to_be_visible(timeout=SLOW)
        settle(page)
        assert overflow(page) == 0
        page.close()
