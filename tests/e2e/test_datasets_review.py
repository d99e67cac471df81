"""Reviewing in a browser with the keyboard alone, two people at once, and writing in the table."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.data import review
from backend.data.review import STATES, hashes_of
from backend.data.store import Datasets
from backend.workspace import open_workspace
from tests.support.browser import Visitor, settle
from tests.support.datasets import keep, sums
from tests.support.panel import Panel
from tests.support.wait import until

expect.set_options(timeout=60_000)  # a browser and a panel share what may be two busy cores


def sets(panel: Panel) -> Datasets:
    return Datasets(open_workspace(panel.workspace))


def states(panel: Panel, name: str) -> list[str]:
    version = sets(panel).open(name)
    return [STATES[int(place)] for place in review.of(sets(panel), name).states(hashes_of(version))]


def opened(visit: Callable[..., Visitor], panel: Panel, name: str) -> Page:
    page = visit().open("/datasets")
    page.goto(f"{panel.url}/datasets?set={name}&part=review")
    settle(page)
    expect(page.get_by_text(re.compile("^reviewed"))).to_be_visible()
    return page


def on(page: Page, number: int) -> None:
    """The row with this number is on the page, and nothing is under way."""
    expect(page.locator(".st-key-review_card").get_by_text(f"Row {number}", exact=True)).to_be_visible()
    settle(page)


def test_a_dataset_is_reviewed_with_the_keyboard_alone(visit: Callable[..., Visitor], panel: Panel) -> None:
    keep(open_workspace(panel.workspace), "Keys", sums(5))
    page = opened(visit, panel, "Keys")
    on(page, 1)
    page.keyboard.press("a")
    on(page, 2)
    page.keyboard.press("r")  # Streamlit's own R would run the page again and reject nothing
    on(page, 3)
    assert states(panel, "Keys") == ["accepted", "rejected", "todo", "todo", "todo"]
    page.keyboard.press("u")
    on(page, 2)
    assert states(panel, "Keys")[1] == "todo"
    page.keyboard.press("j")
    on(page, 3)
    page.keyboard.press("k")
    on(page, 2)

    # E leads into the answer; there letters are letters; Escape leaves it, which keeps it.
    page.keyboard.press("e")
    answer = page.get_by_role("textbox", name="Assistant")
    expect(answer).to_be_focused()
    page.keyboard.type(" Surely, as a rule.")
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-review_card").get_by_text("edited")).to_be_visible()
    settle(page)
    assert states(panel, "Keys")[:3] == ["accepted", "edited", "todo"]
    page.reload()
    settle(page)
    on(page, 2)
    expect(page.get_by_role("textbox", name="Assistant")).to_have_value("1 plus 1 makes 2. Surely, as a rule.")
    expect(page.get_by_text("reviewed 2 of 5")).to_be_visible()

    # A colleague decides meanwhile, and nothing of either is lost.
    other = opened(visit, panel, "Keys")
    on(other, 3)
    other.keyboard.press("r")
    on(other, 4)
    page.keyboard.press("a")
    expect(page.get_by_text("reviewed 3 of 5")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("It is the current one now.")).to_be_visible()
    answers = [row["messages"][1]["content"] for row in sets(panel).open("Keys")]
    assert answers == [
        "0 plus 0 makes 0.",
        "1 plus 1 makes 2. Surely, as a rule.",
        "3 plus 3 makes 6.",
        "4 plus 4 makes 8.",
    ]


def test_what_is_written_in_the_table_is_kept_at_once(visit: Callable[..., Visitor], panel: Panel) -> None:
    name = "Table"
    keep(open_workspace(panel.workspace), name, sums(3))
    page = opened(visit, panel, name)
    page.get_by_test_id("stButtonGroup").get_by_text("Table", exact=True).click()
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    settle(page)
    box = table.bounding_box()
    assert box is not None
    # The grid is a canvas: second row, column Question (behind the boxes, row, review, part and system prompt).
    page.mouse.dblclick(box["x"] + 480, box["y"] + 35 + 35 * 1.5)
    editor = page.locator("#portal textarea")
    expect(editor).to_be_visible()
    editor.fill("What is one and one?")
    page.keyboard.press("Enter")
    until(lambda: states(panel, name)[1] == "edited", 30, "the cell is kept")
    # The editor stands as it was, so one goes on writing in it.
    page.mouse.dblclick(box["x"] + 480, box["y"] + 35 + 35 * 0.5)
    expect(editor).to_have_value("What is 0 plus 0?")
    editor.fill("Nothing and nothing?")
    page.keyboard.press("Enter")
    until(lambda: states(panel, name)[0] == "edited", 30, "the second cell is kept, too")
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 35 * 2.5)
    page.keyboard.press("Delete")
    until(lambda: states(panel, name)[2] == "rejected", 30, "the row that was removed is rejected")
    expect(opened(visit, panel, name).get_by_text("reviewed 3 of 3")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("It is the current one now.")).to_be_visible()
    questions = [row["messages"][0]["content"] for row in sets(panel).open(name)]
    assert questions == ["Nothing and nothing?", "What is one and one?"]
