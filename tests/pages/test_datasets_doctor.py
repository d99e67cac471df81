"""Datasets: what the doctor says of a set, the fixes, and the export with its warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.data import doctor
from backend.data.rows import Row
from backend.data.store import AT_ONCE_BYTES, Datasets
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.datasets import ROBIN, keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from tests.support.page_text import labels
from tests.support.panel import end_all_of


@pytest.fixture(autouse=True)
def _nothing_left(store: Store) -> object:
    yield
    end_all_of(store.workspace.root)


@pytest.fixture
def sick(workspace: Workspace) -> str:
    """A set with an empty answer in row 3, blanks in row 5 and row 1 again in row 6. Returns its version."""
    rows = [row("Who are you?", ROBIN), *sums(4)[1:3], row("And now?", "  I listen."), row("Who are you?", ROBIN)]
    rows.insert(2, row("Nothing?", ""))
    return keep(workspace, "Sick", rows).id


def ticks(app: AppTest) -> dict[str, bool]:
    return {box.label.split("**")[1]: box.value for box in app.checkbox}


def test_findings_are_grouped_counted_and_numbered_and_lead_to_their_rows(sick: str) -> None:
    app = open_datasets(set="Sick", part="doctor")
    assert "1 error" in said(app)
    assert "2 warnings" in said(app)
    assert "Rows to read" in said(app)
    assert ticks(app) == {"Empty answers": True, "Blanks at the beginning": False, "The same row again": False}
    press(app, "Row 3: the answer in turn 2 is empty.")
    assert "Rows 3–6 of 6" in said(app)
    # The list of sets knows it from then on.
    assert "1 error" in said(open_datasets())


def test_one_press_fixes_what_is_ticked_in_a_new_version_and_shows_what_changed(
    workspace: Workspace, sick: str
) -> None:
    app = open_datasets(set="Sick", part="doctor")
    press(app, "Tick none")
    assert next(button for button in app.button if button.label == "Fix 0 kinds").disabled
    press(app, "Tick all")
    press(app, "Fix 3 kinds")
    current = Datasets(workspace).get("Sick").current
    assert current.rows == 4
    assert [step["do"] for step in current.steps] == ["fix"]
    assert "nothing found" in said(app)
    assert len(Datasets(workspace).open("Sick", sick)) == 6, "the version before stays as it was"
    press(app, "Show what changed")
    assert "1 changed · 2 removed · 3 the same" in said(app)


def test_records_that_were_not_taken_are_named_with_the_way_to_them(workspace: Workspace) -> None:
    problem = {"code": "row_x", "message": "No answer in {column}.", "hint": "", "params": {"column": "reply"}}
    with Datasets(workspace).write("Half", steps=[{"do": "import"}]) as out:
        out.add(sums(1)[0])
        out.reject(17, problem, '{"question": "Hello"}')
    app = open_datasets(set="Half", part="doctor")
    assert "Record 17 of the source cannot be used: No answer in reply." in said(app)
    press(app, "Show these records")
    assert '{"question": "Hello"}' in said(app)


def test_a_large_set_is_examined_and_fixed_by_jobs(workspace: Workspace, store: Store) -> None:
    large = [
        row(f"Question {n}?", "", source="x" * 900) if n == 7 else row(f"Question {n}?", "A" * 900) for n in range(5000)
    ]
    version = keep(workspace, "Large", large)
    assert version.bytes > AT_ONCE_BYTES
    app = open_datasets(set="Large", part="doctor")
    press(app, "Examine 5,000 rows")
    (row_,) = store.list(verb="examine_data")
    assert store.spec(row_.id)["version"] == version.id
    assert "Examine 5,000 rows" not in labels(app), "once is enough"
    doctor.examine_version(Datasets(workspace).open("Large"))
    app = press(open_datasets(set="Large", part="doctor"), "Fix 1 kind")
    (row_,) = store.list(verb="change_data")
    assert store.spec(row_.id)["steps"] == [{"do": "fix", "codes": ["answer_empty"]}]


def test_an_export_says_first_what_the_format_cannot_hold_and_writes_the_file(workspace: Workspace) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    calls: Row = {
        "messages": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    }
    version = keep(workspace, "Calls", [*sums(2), calls], schema="openai")
    app = open_datasets(set="Calls", part="export")
    assert "This format holds all that is in these rows." in said(app)
    app.selectbox(key="datasets_export_to").set_value("xtuner").run()
    assert "Function calls became text" in said(app)
    press(app, "Write it on this server")
    written = workspace.exports / f"Calls-{version.id[:6]}-xtuner.json"
    assert str(written) in said(app)
    assert json.loads(written.read_text())[0]["conversation"][0]["output"] == "0 plus 0 makes 0."


def test_a_split_is_exported_alone(workspace: Workspace) -> None:
    version = keep(workspace, "Two", [*sums(3), row("Held?", "Yes.", split="test")], schema="openai")
    app = open_datasets(set="Two", part="export")
    app.session_state[f"datasets_export_split_{version.id}"] = "test"
    app.run()
    press(app, "Write it on this server")
    written = workspace.exports / f"Two-{version.id[:6]}-openai-test.jsonl"
    assert len(written.read_text().splitlines()) == 1


def test_a_large_export_is_a_job(workspace: Workspace, store: Store) -> None:
    version = keep(workspace, "Large", [row(f"Question {n}?", "A" * 900) for n in range(5000)], schema="openai")
    app = open_datasets(set="Large", part="export")
    assert "Download file" not in [item.proto.label for item in app.get("download_button")]
    press(app, "Write it on this server")
    (row_,) = store.list(verb="export_data")
    spec = store.spec(row_.id)
    assert (spec["dataset"], spec["version"], spec["to"], spec["container"]) == ("Large", version.id, "openai", "jsonl")
    assert Path(spec["path"]).parent == workspace.exports


def test_rows_that_stand_in_another_dataset_are_found_and_taken_out(workspace: Workspace) -> None:
    keep(workspace, "Mine", [row("Who are you?", ROBIN), *sums(3)])
    keep(workspace, "Proof", sums(1))
    app = open_datasets(set="Mine", part="doctor")
    assert "Nothing is wrong" in said(app)
    press(app, "Compare the rows")
    assert "These rows were compared with Proof@" in said(app)
    assert "Nothing is wrong" not in said(app)
    press(app, "Tick all")
    press(app, "Fix 1 kind")
    left = [r["messages"][0]["content"] for r in Datasets(workspace).open("Mine")]
    asked = sums(1)[0]["messages"][0]["content"]
    assert len(left) == 3
    assert asked not in left
