"""Deploy in a browser: a newcomer puts the shipped model up, connects a program to it, sees it counted, and takes it down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from backend import catalog
from backend.deploy.connect import KEY_VARIABLE
from backend.memory import trust
from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support import lmdeploy_stub, models
from tests.support.browser import PHONE, Visitor, menu, overflow, settle, visitor
from tests.support.panel import Panel, start_panel
from tests.support.stub_openai import published, stub

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)  # a browser, a panel and a model server share what may be two busy cores


@pytest.fixture
def store(panel: Panel) -> Iterator[Store]:
    opened = open_store(open_workspace(panel.workspace))
    yield opened
    opened.close()


def figure(page: Page, name: str) -> Locator:
    """The value of a figure of the only server."""
    return page.get_by_test_id("stMetric").filter(has_text=name).get_by_test_id("stMetricValue")


def copied(page: Page, example: str) -> str:
    """The example ``example``, by its copy button."""
    page.get_by_role("tab", name=example, exact=True).click()
    code = page.get_by_role("tabpanel", name=example, exact=True).get_by_test_id("stCode")
    code.hover()
    code.get_by_role("button").click()
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_newcomer_serves_the_starter_connects_a_program_sees_it_counted_and_stops_it(
    visit: Visit, store: Store, tmp_path: Path
) -> None:
    page = visit().open("/deploy")
    expect(page.get_by_text("transformers loads starter on the processor.")).to_be_visible()
    page.get_by_role("button", name="Start starter").dblclick()
    expect(page.get_by_role("link", name="Job 1")).to_be_visible()
    expect(page.get_by_role("button", name="Connect a program")).to_be_visible(timeout=120_000)
    assert [row.title for row in store.list(verb="serve")] == ["starter"], "a double click makes one server"
    expect(page.get_by_test_id("stMain").get_by_text(re.compile("ready$")).first).to_be_visible()
    expect(figure(page, "Requests so far")).to_have_text("0")
    expect(figure(page, "Requests/s")).to_have_text("0.0")

    page.get_by_role("button", name="Connect a program").click()
    page.get_by_text("Make a key here").click()
    page.get_by_role("textbox", name="Name of the new key").fill("first program")
    page.get_by_role("button", name="Create key").click()
    line = page.get_by_text(re.compile(rf"export {KEY_VARIABLE}=td-")).first.inner_text()
    key = line.strip().removeprefix(f"export {KEY_VARIABLE}=")
    program = copied(page, "openai")
    env = {"PATH": os.environ["PATH"], KEY_VARIABLE: key}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.strip()

    menu(page).get_by_role("link", name="Servers").click()
    expect(figure(page, "Requests so far")).to_have_text("1")
    page.get_by_role("button", name="Stop server").click()
    expect(page.get_by_role("button", name="Start starter")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Ended in the last day")).to_be_visible()
    assert store.list(verb="serve")[0].state == "cancelled"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_on_a_gpu_lmdeploy_is_proposed_gets_the_memory_it_may_take_and_can_sleep(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = lmdeploy_stub.driver(tmp_path / "driver")
    if driver is None:
        pytest.skip("no C compiler here to build the stub of libnvidia-ml.so.1 (apt install gcc)")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(driver))
    home = open_workspace(tmp_path / "workspace")
    lmdeploy_stub.make(home.root / "environments" / "lmdeploy")
    catalog.add(home, models.folder(tmp_path / "llama"))
    panel = start_panel(home.root)
    try:
        with visitor(browser, panel) as person:
            person.open("/deploy").close()
            page = person.open("/deploy?model=llama")
            expect(page.get_by_text("LMDeploy loads llama on the GPU.")).to_be_visible()
            expect(page.get_by_text(re.compile(r"Takes 24\.\d–25\.\d of 30\.0 GiB"))).to_be_visible()
            page.get_by_role("spinbutton", name="Memory it may take (GiB)").fill("4")
            page.keyboard.press("Enter")
            expect(page.get_by_text(re.compile(r"Takes 3\.\d–4\.0 of 30\.0 GiB"))).to_be_visible()
            page.get_by_role("button", name="Start llama").click(timeout=60_000)
            page.get_by_role("button", name="Sleep").click(timeout=60_000)
            expect(page.get_by_text(re.compile("given its GPU memory back"))).to_be_visible()
            page.get_by_role("button", name="Wake").click(timeout=60_000)
            expect(page.get_by_role("button", name="Connect a program")).to_be_visible()
            expect(figure(page, "KV cache")).to_be_visible()
            with_store = open_store(home)
            forecast = trust.read(with_store.job_dir(1))
            assert forecast is not None
            assert (forecast.engine, forecast.kind) == ("lmdeploy", "cuda")
            assert forecast.low == forecast.p50 < forecast.p95 <= 4 << 30, "all of it is taken at the start"
            assert {part.name: part.p50 for part in forecast.parts}["kv_cache"] == pytest.approx(
                with_store.spec(1)["kv_cache_gib"] * 2**30, rel=0.01
            )
            with_store.close()
            assert person.errors == []
    finally:
        panel.stop()


@pytest.mark.parametrize("part", ["servers", "connect"])
def test_no_part_is_wider_than_a_phone(visit: Visit, store: Store, part: str) -> None:
    with stub("a model with quite a long name, as they are") as running, published(store, running):
        person = visit(viewport=PHONE)
        person.open("/deploy").close()
        page = person.open(f"/deploy?view={part}")
        expect(page.get_by_text(running.model).first).to_be_visible()
        settle(page)
        assert overflow(page) == 0
