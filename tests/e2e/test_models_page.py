"""The Models page in a browser: models are found below a folder, put on the list, inspected and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend import catalog, settings
from backend.workspace import open_workspace
from tests.support import models
from tests.support.browser import PHONE, Burst, Visitor, menu, open_popover, overflow, settle
from tests.support.panel import Panel
from tests.support.stub_hub import Repo, StubHub, tiny

Visit = Callable[..., Visitor]


def part(person: Visitor, view: str) -> Page:
    """The part ``view`` by its address, for somebody who has been let in."""
    person.open("/models").close()
    return person.open(f"/models?view={view}")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    models.folder(tmp_path / "shelf" / "alpha")
    models.folder(tmp_path / "shelf" / "deep" / "beta")
    models.pointer(models.folder(tmp_path / "shelf" / "half") / "model.safetensors")
    return tmp_path / "shelf"


def test_models_below_a_folder_are_found_listed_and_removed_again(visit: Visit, shelf: Path) -> None:
    page = visit().open("/models")
    menu(page).get_by_role("link", name="Add a folder").click()
    page.get_by_role("textbox", name="Folder of models").fill(str(shelf))
    page.get_by_role("button", name="Look for models below it").click()
    expect(page.get_by_text("2 models can be added · 1 not usable")).to_be_visible()
    page.get_by_role("button", name="Add 2 models").click()
    expect(page.get_by_text("2 models are on the list now.")).to_be_visible()
    assert "view=add" in page.url

    menu(page).get_by_role("link", name="On this server").click()
    card = page.locator("[class*='st-key-model_']").filter(has_text="beta")
    expect(card.get_by_role("button", name="Start server")).to_be_visible()
    card.get_by_text("Details", exact=True).click()
    expect(card.get_by_text("estimate")).to_be_visible()
    really = page.get_by_role("button", name="Remove beta")
    open_popover(card.get_by_role("button", name="Remove from the list"), really)
    really.click()
    expect(page.get_by_text("beta is off the list.")).to_be_visible()
    expect(card).to_have_count(0)
    expect(page.locator("[class*='st-key-model_']").filter(has_text="alpha")).to_be_visible()
    assert (shelf / "deep" / "beta" / "config.json").is_file()


def test_the_menu_follows_the_address_the_way_back_and_the_keyboard(visit: Visit) -> None:
    person = visit()
    page = part(person, "download")
    expect(page.get_by_role("button", name="Download model")).to_be_visible()
    menu(page).get_by_role("link", name="Add a folder").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add to the list")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Download model")).to_be_visible()
    current = menu(page).locator("a[aria-current]")
    expect(current).to_have_count(1)
    expect(current).to_contain_text("Download")
    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Download model")).to_be_visible()
    expect(menu(page).get_by_role("link", name="Download", exact=True)).to_have_attribute("aria-current", "page")


def test_a_part_is_a_link_that_keeps_the_rest_of_the_address(visit: Visit) -> None:
    page = visit().open("/models?view=add&q=starter")
    link = menu(page).get_by_role("link", name="On this server", exact=True)
    expect(link).to_have_attribute("href", "?q=starter&view=list")
    with page.context.expect_page() as opened:
        link.click(modifiers=["ControlOrMeta"])
    other = opened.value
    settle(other)
    expect(menu(other).get_by_role("link", name="On this server")).to_have_attribute("aria-current", "page")
    assert "q=starter" in other.url
    expect(menu(page).get_by_role("link", name="Add a folder")).to_have_attribute("aria-current", "page")


def test_through_a_line_that_stands_still_a_person_sees_what_was_pressed(visit: Visit) -> None:
    person = visit()
    person.open("/").close()  # lets the person in
    page = person.context.new_page()
    line = Burst(page)
    page.goto(person.panel.url + "/models")
    parts = menu(page)
    line.hold()
    parts.get_by_role("link", name="Download", exact=True).click()
    line.until_finished(1)
    expect(parts.locator("a[aria-current]")).to_contain_text("Download")
    expect(page.get_by_role("button", name="Download model")).to_have_count(0)
    line.release()
    expect(page.get_by_role("button", name="Download model")).to_be_visible()
    expect(parts.locator("a[aria-current]")).to_contain_text("Download")


def test_what_was_pressed_while_the_panel_was_gone_is_pressed_again_when_it_is_back(visit: Visit, panel: Panel) -> None:
    page = visit().open("/models")
    parts = menu(page)
    add = parts.get_by_role("link", name="Add a folder")
    panel.kill9()
    expect(page.locator("[data-test-connection-state='CONNECTED']")).to_have_count(0)
    add.click()
    panel.start_again()
    settle(page)
    add.click()
    expect(page.get_by_role("button", name="Add to the list")).to_be_visible()
    expect(parts.locator("a[aria-current]")).to_contain_text("Add a folder")


def test_the_parts_are_written_in_the_panel_s_own_font_and_on_a_phone_the_current_one_is_in_sight(visit: Visit) -> None:
    person = visit(locale="zh-CN", viewport=PHONE)
    page = person.open("/quantize?step=report")
    current = menu(page).locator("a[aria-current]")
    expect(current).to_be_in_viewport(ratio=1)
    assert "Noto Sans SC Common" in current.evaluate("link => getComputedStyle(link).fontFamily")


@pytest.mark.parametrize("view", ["list", "add", "download"])
def test_no_part_is_wider_than_a_phone(visit: Visit, view: str) -> None:
    page = part(visit(viewport=PHONE), view)
    assert overflow(page) == 0


def test_a_private_model_fails_takes_a_token_and_is_resumed_by_what_its_card_offers(
    visit: Visit, panel: Panel, shelf: Path
) -> None:
    workspace = open_workspace(panel.workspace)
    catalog.add(workspace, shelf / "alpha", "another")  # the list of two models has no search
    with StubHub() as hub:
        hub.token = "hf_" + "s3cret" * 5
        hub.repos["org/private"] = Repo(tiny(), private=True)
        settings.save(workspace, hf_endpoint=hub.url)
        page = part(visit(), "download")
        page.get_by_role("textbox", name="Model", exact=True).fill("org/private")
        page.get_by_role("button", name="Download model").click()
        card = page.locator("[class*='st-key-job_card_']").filter(has_text="org/private")
        expect(card.get_by_text("it does not exist, or it is private")).to_be_visible(timeout=60_000)
        card.get_by_role("button", name="Enter an access token").click()
        page.get_by_role("textbox", name="Access token for Hugging Face").fill(hub.token)
        page.get_by_role("button", name="Keep token").first.click()
        expect(page.get_by_text("An access token is kept here since")).to_be_visible()
        assert hub.token not in page.content()
        page.get_by_role("link", name="Back to the downloads").click()
        card.get_by_role("button", name="Resume").click()
        expect(card.get_by_text("Made the model private.")).to_be_visible(timeout=60_000)
        card.get_by_role("link", name="Show private on the list of models").click()
        expect(page.locator("[class*='st-key-model_']").get_by_text("private", exact=True)).to_be_visible()
        expect(page.get_by_role("textbox", name="Search models")).to_have_value("private")
    assert catalog.find(workspace, "private").made_by
    written = [file for file in (*workspace.jobs.rglob("*"), panel.log) if file.is_file()]
    assert written
    assert not [file for file in written if hub.token.encode() in file.read_bytes()]
