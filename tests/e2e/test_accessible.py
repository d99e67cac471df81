"""All pages for people who see little, press keys, or hold a phone: rules of WCAG 2 (A, AA) by axe-core, the width of 390 px, and the keyboard.

Every page and part is visited twice with content and once without, so that light and dark, English and Chinese, desk and phone
each come with both. The pages change as by the browser's way back, without loading anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support import axe
from tests.support.browser import DESKTOP, PHONE, Visitor, at_rest, overflow, settle
from tests.support.every_page import PAGES, PARTS, fill, go
from tests.support.panel import Panel, start_panel
from tests.support.stub_openai import published, stub
from tests.support.wait import until

Visit = Callable[..., Visitor]
KNOWN = (
    axe.Known(
        "list", "[data-testid='stSidebarNavItems']", "Streamlit puts the groups of its navigation into a list as divs"
    ),
    axe.Known("listitem", "[data-testid='stSidebarNavItems']", "and the entries into these divs"),
    axe.Known("color-contrast", "[data-testid='stCode'] .token", "the colours of code's words are fixed in Streamlit"),
)
FOCUS = """button => {
  const said = getComputedStyle(button)
  return said.outlineStyle !== 'none' && parseFloat(said.outlineWidth) > 0 || said.boxShadow !== 'none'
}"""
INSIDE = "() => document.activeElement.closest('[role=dialog]') !== null"
MOST_TABS = 120
_met: dict[str, set[axe.Known]] = {}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A panel whose workspace lies deep: its path is wider than a phone."""
    running = start_panel(
        tmp_path_factory.mktemp("home") / "of somebody with a long name" / "models and data of the group"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def filled(panel: Panel) -> Iterator[tuple[str, ...]]:
    """Content in the panel's workspace, and a model that runs; the addresses of what can be looked at in full."""
    store: Store = open_store(open_workspace(panel.workspace))
    try:
        more = fill(open_workspace(panel.workspace), store)
        with stub() as running, published(store, running):
            yield more
    finally:
        store.close()


def broken(person: Visitor, addresses: tuple[str, ...], name: str) -> list[str]:
    """Visit ``addresses``: all that is wrong there."""
    page, wrong = person.open("/"), []
    for address in addresses:
        go(page, address)
        found, met = axe.violations(page, f"{address} ({name})", KNOWN)
        _met.setdefault(name, set()).update(met)
        wrong += [str(each) for each in found]
        if wide := overflow(page):
            wrong.append(f"{address} ({name}): {wide} px wider than the window")
    return wrong


# Without content first: it is the same panel.
def test_pages_without_content_break_no_rule_and_do_not_scroll_sideways_on_a_dark_phone(visit: Visit) -> None:
    assert broken(visit(scheme="dark", viewport=PHONE), PAGES + PARTS, "empty, English, dark, phone") == []


def test_every_main_button_is_reached_by_the_tab_key_and_shows_that_it_has_the_focus(visit: Visit) -> None:
    page, lost = visit(viewport=DESKTOP).open("/"), []
    for address in PAGES:
        go(page, address)
        main = page.locator("[data-testid='stMain'] [data-testid^='stBaseButton-primary']:not([disabled]):visible")
        if main.count() == 0:
            continue
        button = main.first.element_handle()
        page.evaluate("() => document.activeElement?.blur()")
        for _ in range(MOST_TABS):
            page.keyboard.press("Tab")
            if button.evaluate("button => document.activeElement === button"):
                break
        else:
            lost.append(f"{address}: {MOST_TABS} times Tab do not reach {button.inner_text()!r}")
            continue
        if not button.evaluate(FOCUS):
            lost.append(f"{address}: nobody sees that {button.inner_text()!r} has the focus")
    assert not lost, "\n".join(lost)


def test_a_menu_and_the_dialog_that_it_opens_are_used_with_the_keyboard_alone(
    visit: Visit, filled: tuple[str, ...]
) -> None:
    page = visit().open("/chat?model=stub")
    box = page.get_by_placeholder("Write a message")
    expect(box).to_be_enabled()
    box.fill("One")
    box.press("Enter")
    more = page.get_by_role("button", name="More")
    expect(more).to_be_visible()
    settle(page)
    more.focus()
    page.keyboard.press("Enter")
    entry = page.get_by_role("menuitem", name="What was really sent")
    expect(entry).to_be_visible()
    until(
        lambda: page.evaluate("() => document.activeElement.closest('[role=menu]') !== null"),
        what="the menu has the focus",
    )
    page.keyboard.press("End")
    expect(entry).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="What was really sent")
    expect(dialog).to_be_visible()
    at_rest(page)
    reached = set()
    for _ in range(12):
        assert page.evaluate(INSIDE), "the focus leaves the dialog"
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText")
        )
    assert {"Close", "Prompt"} <= reached
    assert axe.violations(page, "the dialog", KNOWN)[0] == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry).to_be_visible()
    entry.press("Enter")
    dialog.get_by_role("button", name="Close").press("Enter")
    expect(dialog).to_have_count(0)
    expect(more).to_be_focused()


def test_a_button_without_a_frame_can_be_read_in_the_dark_under_the_pointer_and_while_it_is_open(visit: Visit) -> None:
    page = visit(scheme="dark").open("/course")
    button = page.get_by_role("button", name="Begin again")
    button.hover()
    at_rest(page)
    assert axe.violations(page, "with a button under the pointer", KNOWN)[0] == []
    button.click()
    expect(page.get_by_role("button", name="Forget the progress")).to_be_visible()
    at_rest(page)
    assert axe.violations(page, "with an open popover", KNOWN)[0] == []


def test_pages_with_content_break_no_rule_at_a_light_desk_in_english(visit: Visit, filled: tuple[str, ...]) -> None:
    assert broken(visit(viewport=DESKTOP), (*PAGES, *filled), "filled, English, light, desk") == []


def test_pages_with_content_break_no_rule_on_a_phone_in_chinese(visit: Visit, filled: tuple[str, ...]) -> None:
    assert broken(visit(locale="zh-CN", viewport=PHONE), (*PARTS, *filled), "filled, Chinese, light, phone") == []


def test_pages_with_content_break_no_rule_at_a_dark_desk_in_chinese(visit: Visit, filled: tuple[str, ...]) -> None:
    assert broken(visit(locale="zh-CN", scheme="dark"), (*PAGES, *filled), "filled, Chinese, dark, desk") == []


def test_a_rule_that_is_broken_is_told_with_its_page_and_its_place(visit: Visit) -> None:
    page = visit().open("/settings")
    page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').insertAdjacentHTML('beforeend', '<img src=\"x.png\">')"
    )
    found, _met_here = axe.violations(page, "/settings", KNOWN)
    told = [(each.rule, each.page, each.html) for each in found if each.rule == "image-alt"]
    assert told == [("image-alt", "/settings", '<img src="x.png">')]


def test_every_known_exception_is_still_needed() -> None:
    if len(_met) < 4:
        pytest.skip("only some of the walks were run")
    assert set(KNOWN) == set.union(*_met.values())
