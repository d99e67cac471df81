"""Environments in a browser, on a checkout with one engine more: one file, its self-test and its lock make it appear. It is
installed by its button from an index on loopback, watched, interrupted by every kind of death, proven, and removed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend import settings
from backend.engines import registry
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, open_popover, overflow, settle
from tests.support.panel import Panel, start_panel
from tests.support.toy_engine import Checkout, checkout_with_engine
from tests.support.wheel_index import Fault, WheelIndex

Visit = Callable[..., Visitor]
SLOW = 60_000
"""Milliseconds for what makes an environment: a virtual environment, pip five times, a self-test."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return checkout_with_engine(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, the self-test of the toy fails."""
    return tmp_path_factory.mktemp("broken") / "broken"


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout, broken: Path) -> Iterator[Panel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY_FAILS", str(broken))
        # Nothing of this machine's pip: neither its index, nor its cache, nor its proxy.
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_CACHE_DIR", "1")
        for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("PIP_INDEX")]:
            patch.delenv(name)
        running = start_panel(tmp_path_factory.mktemp("workspace"), root=checkout.root)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _nothing_installed(panel: Panel) -> None:
    """Each test begins without the engine."""
    shutil.rmtree(panel.workspace / "environments", ignore_errors=True)


@pytest.fixture
def index(panel: Panel, checkout: Checkout) -> Iterator[WheelIndex]:
    """Where packages come from; a download of ``toy_part`` stands still in its middle until ``go_on``."""
    with WheelIndex() as running:
        running.add(*checkout.packages)
        running.fail("toy_part-1.0", Fault(cut=1000, hold=True))
        settings.save(open_workspace(panel.workspace), pip_index_url=running.url)
        yield running


def card(page: Page) -> Locator:
    return page.locator(".st-key-engine_toy")


def fold_out(page: Page, part: str) -> Locator:
    """The card with ``part`` of its folded half in sight."""
    found = card(page)
    if not found.get_by_role("tab", name=part).is_visible():
        found.get_by_text("More", exact=True).click()
    found.get_by_role("tab", name=part).click()
    return found


def remove(page: Page) -> None:
    found = fold_out(page, "Remove")
    really = page.get_by_role("button", name=re.compile(r"^Remove and free [\d.]+ [KM]iB$"))
    open_popover(found.get_by_role("button", name="Remove Toy Engine"), really)
    really.click()
    expect(page.get_by_text(re.compile(r"Toy Engine is removed; [\d.]+ [KM]iB are free again\."))).to_be_visible()
    expect(found.get_by_text("not installed").first).to_be_visible()


def test_a_newcomer_installs_an_engine_that_is_one_file_and_its_lock_and_every_death_loses_nothing(
    visit: Visit, panel: Panel, store: Store, index: WheelIndex
) -> None:
    assert "toy" not in registry.engines(), "the toy is in the copied checkout only"
    page = visit().open("/")
    page.get_by_role("link", name="Environments").click()
    toy = card(page)
    expect(toy.get_by_text("Toy Engine", exact=True)).to_be_visible(timeout=SLOW)
    expect(toy.get_by_text("not installed").first).to_be_visible()
    expect(toy.get_by_text(re.compile(r"for the CPU · download [\d.]+ KiB · needs .* of disk"))).to_be_visible()
    toy.get_by_role("button", name="Install Toy Engine").dblclick()

    # It works, step by step, and says so without anybody touching the page.
    expect(toy.get_by_text("downloading").first).to_be_visible(timeout=SLOW)
    assert index.held.wait(30)
    expect(toy.get_by_text("testing itself").first).to_be_visible()
    assert [row.verb for row in store.list()] == ["install_env"]

    # A reload, and the death of the panel, show the same job at work.
    page.reload()
    settle(page)
    expect(toy.get_by_text("downloading").first).to_be_visible()
    panel.kill9()
    assert store.list()[0].live
    panel.start_again()
    page.reload()
    settle(page)
    expect(toy.get_by_role("button", name="Cancel")).to_be_visible()
    index.go_on()

    expect(toy.get_by_text("installed and proven").first).to_be_visible(timeout=SLOW)
    expect(toy.get_by_text("Play a little · Played toy 1.0 plays")).to_be_visible()
    expect(toy.get_by_text(re.compile(r"^toy 1\.0 · toy-part 1\.0 · [\d.]+ KiB · for the CPU")).first).to_be_visible()
    expect(toy.get_by_text(re.compile("Installed and tested in"))).to_be_visible()
    assert [(row.verb, row.attempt) for row in store.list()] == [("install_env", 1)]

    found = fold_out(page, "What is in it")
    expect(found.get_by_text(re.compile(r"^2 packages for the CPU"))).to_be_visible()
    remove(page)
    expect(toy.get_by_role("button", name="Install Toy Engine")).to_be_enabled()


def test_a_cancelled_install_is_resumed_and_a_self_test_that_fails_later_is_red_until_it_is_mended(
    visit: Visit, store: Store, index: WheelIndex, broken: Path
) -> None:
    page = visit().open("/environments")
    toy = card(page)
    toy.get_by_role("button", name="Install Toy Engine").click()
    assert index.held.wait(SLOW / 1000)
    toy.get_by_role("button", name="Cancel").click()
    expect(toy.get_by_role("button", name="Resume")).to_be_visible(timeout=SLOW)
    expect(toy.get_by_text("cancelled").first).to_be_visible()
    index.go_on()
    toy.get_by_role("button", name="Resume").click()
    expect(toy.get_by_text("installed and proven").first).to_be_visible(timeout=SLOW)
    assert store.list(verb="install_env")[0].attempt == 2

    broken.touch()
    toy.get_by_role("button", name="Test again").click()
    expect(toy.get_by_text("self-test failed").first).to_be_visible(timeout=SLOW)
    expect(toy.get_by_text("The toy is broken: it was told to be.").first).to_be_visible()
    expect(toy.get_by_text("installed and proven")).to_have_count(0)
    broken.unlink()
    toy.get_by_role("button", name="Test again").click()
    expect(toy.get_by_text("installed and proven").first).to_be_visible(timeout=SLOW)


def test_a_folder_carried_over_by_hand_is_enough_without_any_network(
    visit: Visit, panel: Panel, checkout: Checkout, tmp_path: Path
) -> None:
    wheels = tmp_path / "轮子 bundle"
    checkout.fill(wheels)
    settings.save(open_workspace(panel.workspace), pip_index_url="http://127.0.0.1:9/simple")
    page = visit().open("/environments")
    found = fold_out(page, "Install in another way")
    folder = found.get_by_role("textbox", name="Folder of a bundle")
    folder.fill(str(tmp_path / "nowhere"))
    folder.press("Enter")
    expect(found.get_by_text(f"There is no folder {tmp_path / 'nowhere'}.")).to_be_visible(timeout=SLOW)
    expect(found.get_by_role("button", name="Install like this")).to_be_disabled()
    folder.fill(str(wheels))
    folder.press("Enter")
    found.get_by_role("button", name="Install like this").click(timeout=SLOW)
    expect(found.get_by_text("installed and proven").first).to_be_visible(timeout=SLOW)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_nothing_is_wider_than_a_phone(visit: Visit, locale: str) -> None:
    page = visit(viewport=PHONE, locale=locale).open("/environments")
    expect(card(page)).to_be_visible(timeout=SLOW)
    card(page).locator("summary").last.click()
    expect(card(page).get_by_role("tab").first).to_be_visible(timeout=SLOW)
    assert overflow(page) == 0
