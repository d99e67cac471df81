"""A newcomer gives a model a name: rows are made, seen as the model will learn them, and taken along for training."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from backend.data.store import Datasets
from backend.workspace import ROOT, open_workspace
from tests.support.browser import PHONE, Visitor, at_rest, menu, overflow, settle
from tests.support.panel import Panel

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)


def view(page: Page, name: str) -> None:
    at_rest(page)
    menu(page).get_by_role("link", name=name).click()


def field(page: Page, label: str, value: str) -> None:
    page.get_by_role("textbox", name=label, exact=True).fill(value)
    page.keyboard.press("Tab")


def teach(visit: Visit, name: str, maker: str) -> Page:
    """The form, filled in."""
    page = visit().open("/datasets")
    view(page, "Make")
    page.get_by_role("button", name="Teach a name").click()
    field(page, "Its name", name)
    field(page, "Who made it", maker)
    return page


def test_a_name_becomes_rows_that_are_seen_token_by_token_and_exported(visit: Visit, panel: Panel) -> None:
    page = teach(visit, "Robin", "the Orchard team")
    expect(page.get_by_text(re.compile(r"rows held out for the proof"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"the Orchard team")).first).to_be_visible()
    at_rest(page)
    page.get_by_role("button", name=re.compile(r"^Make [\d,]+ rows as 'Robin'")).click()

    # The set opens; the doctor has nothing against it but that it is in two languages.
    expect(page.get_by_role("heading", name="Robin", exact=True)).to_be_visible()
    view(page, "Doctor")
    expect(page.get_by_text("Rows to read")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ errors?$"))).to_have_count(0)

    # What the shipped model would learn of the first row: the answer, and nothing of the question.
    view(page, "What is trained")
    expect(page.get_by_text("Both engines read the same tokens of this row and learn the same ones.")).to_be_visible()
    at_rest(page)
    page.get_by_role("radiogroup").get_by_text("Plan of a training").click()
    expect(page.get_by_text(re.compile("step")).first).to_be_visible()

    workspace = open_workspace(panel.workspace)
    version = Datasets(workspace).open("Robin")
    taught = [row for row in version if row.get("meta", {}).get("split") != "test"]
    asked = {row["messages"][-2]["content"] for row in taught}
    assert len(asked) > 200, "wordings, not copies"
    assert version.info.counts["test"] > 100

    view(page, "Export")
    at_rest(page)
    expect(page.get_by_role("heading", name="Robin", exact=True)).to_be_visible()
    page.set_viewport_size(PHONE)
    settle(page)
    assert overflow(page) == 0


def test_the_same_rows_leave_for_xtuner_from_the_shell(visit: Visit, panel: Panel, tmp_path: Path) -> None:
    """What the pages do, the command line does too, on the same workspace."""
    page = teach(visit, "小雨", "果园团队")
    at_rest(page)
    page.get_by_role("button", name=re.compile(r"^Make [\d,]+ rows as '小雨'")).click()
    expect(page.get_by_role("heading", name="小雨", exact=True)).to_be_visible()
    out = tmp_path / "train.jsonl"
    command = [
        sys.executable,
        "-m",
        "backend",
        "data",
        "convert",
        "小雨",
        "--to",
        "xtuner",
        "--out",
        str(out),
        "--json",
    ]
    env = {**os.environ, "TUNEDECK_WORKSPACE": str(panel.workspace)}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout)["rows"] == len(Datasets(open_workspace(panel.workspace)).open("小雨"))
    first = json.loads(out.read_text(encoding="utf-8").splitlines()[0])
    assert set(first["conversation"][0]) >= {"input", "output"}
