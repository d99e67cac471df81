"""Comparing runs in a browser: two are chosen, their table is read, the comparison is saved and taken along as a file that
opens without the panel."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.memory.series import open_memory
from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, overflow, settle
from tests.support.panel import Panel, start_panel
from tests.support.recorded_runs import LMDEPLOY, Runs, served

TITLES = ("llama", "<b>llama</b>")
expect.set_options(timeout=60_000)  # a browser and a panel share what may be two busy cores


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A panel that finds two recorded servers; the second has a quantized KV cache, and a gap in what was recorded."""
    workspace = open_workspace(tmp_path_factory.mktemp("workspace"))
    store, memory = open_store(workspace), open_memory(workspace)
    runs = Runs(store, memory, time.time() - 3600)
    spec = {"model": "starter", "engine": "lmdeploy"}
    runs.add(TITLES[0], [1.0] * 40, [2.0] * 5 + [32.4] * 35, spec=spec, log=LMDEPLOY, events=served())
    runs.add(
        TITLES[1],
        [1.0] * 40,
        [2.0] * 5 + [24.0] * 10 + [None] * 10 + [24.0] * 15,
        spec={**spec, "quant_policy": 8},
        log=LMDEPLOY,
        events=served(rate=60.0),
    )
    memory.close()
    store.close()
    running = start_panel(workspace.root)
    yield running
    running.stop()


def choose(page: Page, title: str) -> None:
    box = page.get_by_role("combobox", name="Runs")
    box.fill(title)
    page.get_by_role("option").filter(has_text=re.compile(rf"#\d+ {title} ")).click()
    page.keyboard.press("Escape")
    settle(page)


def test_two_runs_are_compared_saved_and_taken_along(
    panel: Panel, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    person = visit()
    page = person.open("/memory")
    page.goto(f"{panel.url}/memory?view=compare")
    settle(page)
    for title in TITLES:
        choose(page, title)
    table = page.get_by_role("table").filter(has_text="KV cache")
    second = table.get_by_role("row").filter(has_text="<b>llama</b>")
    for words in ("24.0 GiB", "−8.4 GiB · −26%", "8 bit · 0.8 of free memory", "4.0 s", "60", "reported by the engine"):
        expect(second).to_contain_text(words)
    expect(page.locator("canvas").first).to_be_visible()
    assert overflow(page) == 0
    page.get_by_role("textbox", name="Name of the comparison").fill("KV cache in 16 and 8 bit")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save comparison").click()
    expect(page.get_by_text("Saved as 'KV cache in 16 and 8 bit'.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Share as HTML").click()
    file = tmp_path / "shared.html"
    download.value.save_as(file)

    asked: list[str] = []
    alone = person.context.new_page()
    alone.on("request", lambda request: asked.append(request.url))
    alone.on("console", lambda message: asked.append(message.text))
    alone.goto(file.as_uri())
    expect(alone.get_by_role("row").filter(has_text="<b>llama</b>")).to_contain_text("−8.4 GiB · −26%")
    expect(alone.get_by_role("img", name="GPU memory of 2 runs over time")).to_be_visible()
    # Hover tells the value: the browser shows the title of what lies under the pointer.
    spot = alone.locator("svg").first.locator("circle").filter(has_text="32.4 GiB").last
    spot.hover()
    assert "KV 16 bit" in (spot.text_content() or "")
    assert asked == [file.as_uri()]
    alone.set_viewport_size(PHONE)
    assert overflow(alone) == 0
    alone.close()

    phone = visit(viewport=PHONE)
    shown = phone.open("/memory")
    shown.goto(f"{panel.url}/memory?view=compare")
    settle(shown)
    shown.get_by_role("button", name="Open comparison").click()
    expect(shown.get_by_role("heading", name="KV cache in 16 and 8 bit")).to_be_visible()
    expect(shown.get_by_text("32.4 GiB").first).to_be_visible()
    assert overflow(shown) == 0
