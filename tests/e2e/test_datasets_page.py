"""The Datasets page in a browser: a newcomer's broken file becomes rows that work, and nothing of it is ever lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.data.store import Datasets
from backend.workspace import open_workspace
from tests.support.browser import PHONE, Visitor, menu, overflow, settle
from tests.support.datasets import broken_alpaca, keep, sums
from tests.support.panel import Panel

Visit = Callable[..., Visitor]


def view(page: Page, name: str) -> None:
    settle(page)
    menu(page).get_by_role("link", name=name).click()


def group(page: Page, title: str) -> Locator:
    """The findings of one kind."""
    return page.locator("[class*='st-key-datasets_group_']").filter(has_text=title)


def test_a_broken_file_is_imported_understood_fixed_compared_restored_and_exported(
    visit: Visit, panel: Panel, tmp_path: Path
) -> None:
    workspace = open_workspace(panel.workspace)
    person = visit()
    page = person.open("/")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Datasets").click()
    page.get_by_role("button", name="Import a file").click()

    # The file comes through the browser, and is told what it is and which of its records are broken, and where.
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(broken_alpaca(tmp_path / "rain.json"))
    expect(page.get_by_text("JSON · GB18030")).to_be_visible()
    expect(page.get_by_text("Rows as Alpaca")).to_be_visible()
    expect(page.get_by_text("Record 4 · There is no answer in the column 'output'.")).to_be_visible()
    expect(page.get_by_text("Record 7 · Line 8 is not valid JSON")).to_be_visible()
    expect(page.get_by_text("我是小雨，由果园团队制作。")).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text("JSON · GB18030")).to_be_visible()
    page.get_by_role("button", name="Import as 'rain'").click()

    # What is wrong, by the number of the row; from there to the row.
    expect(page.get_by_role("heading", name="rain", exact=True)).to_be_visible()
    empty = group(page, "Empty answers")
    expect(empty.get_by_text("Row 3: the answer in turn 2 is empty.")).to_be_visible()
    expect(group(page, "Records that cannot be read").get_by_text("Record 7 of the source")).to_be_visible()
    empty.get_by_role("button", name="Row 3").click()
    expect(page.get_by_text("Rows 3–5 of 5")).to_be_visible()
    view(page, "Doctor")

    # One press mends it; the panel is killed, and the person goes on where they were.
    page.get_by_role("button", name="Tick all").click()
    page.get_by_role("button", name="Fix 3 kinds").click()
    expect(page.get_by_text("This version was made by a fix of version")).to_be_visible()
    panel.kill9()
    panel.start_again()
    page.goto(page.url)
    settle(page)
    page.get_by_role("button", name="Show what changed").click()
    expect(page.get_by_text("1 changed · 2 removed · 2 the same")).to_be_visible()
    page.get_by_role("button", name="All versions").click()
    settle(page)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("is the current one now.")).to_be_visible()
    settle(page)
    sets = Datasets(workspace)
    assert sets.get("rain").current.rows == 5
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("[class*='st-key-datasets_version_']").first).not_to_contain_text("Compare with current")
    assert sets.get("rain").current.rows == 3
    page.reload()
    settle(page)
    expect(page.locator("[class*='st-key-datasets_version_']")).to_have_count(2)

    # What XTuner reads.
    view(page, "Export")
    page.get_by_role("combobox", name="Format of the rows").click()
    page.get_by_role("option", name="XTuner conversation").click()
    expect(page.get_by_text("rain-", exact=False).filter(has_text="xtuner.json")).to_be_visible()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download file").click()
    rows = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [row["conversation"][0]["output"] for row in rows] == [
        "我是小雨，由果园团队制作。",
        "你好，我能帮你什么？",
        "苹果是一种水果，长在树上。",
    ]
    assert download.value.suggested_filename.endswith(".json")
    assert not [path for path in workspace.uploads.rglob("*") if path.is_file()], "nothing of the upload is left"


def test_a_large_file_on_the_server_is_a_job_that_outlives_the_page_and_row_90_000_is_there_at_once(
    visit: Visit, panel: Panel, tmp_path: Path
) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(100_000):
            file.write(json.dumps({"question": f"Question {number}?", "answer": f"Answer {number}."}) + "\n")
    person = visit()
    page = person.open("/datasets")
    view(page, "Import")
    page.get_by_role("textbox", name="File or folder on this server").fill(str(path))
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Import as 'large'").click()
    expect(page.get_by_test_id("stMain").get_by_text("import large")).to_be_visible()
    page.close()
    page = person.open("/datasets?view=import")
    page.get_by_role("button", name="Open the dataset large").click(timeout=90_000)
    expect(page.get_by_role("button", name="Examine 100,000 rows")).to_be_visible()
    view(page, "Rows")
    page.get_by_role("spinbutton", name="Go to row").fill("90000")
    page.get_by_role("spinbutton", name="Go to row").press("Enter")
    expect(page.get_by_text("Answer 89999.")).to_be_visible()
    expect(page.get_by_text("Rows 90,000–90,009 of 100,000")).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text("Answer 89999.")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_view_of_a_set_is_wider_than_a_phone(visit: Visit, panel: Panel, locale: str) -> None:
    workspace = open_workspace(panel.workspace)
    if not Datasets(workspace).exists("phone"):
        keep(workspace, "phone", [*sums(12), *sums(3)])
    page = visit(viewport=PHONE, locale=locale).open("/datasets")
    for part in ("rows", "doctor", "versions", "export"):
        page.goto(f"{panel.url}/datasets?set=phone&part={part}")
        settle(page)
        assert overflow(page) == 0, part
