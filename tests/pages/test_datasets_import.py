"""Datasets: a file on its way in, what it seems to be, what is wrong with it, and what became of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.data.store import AT_ONCE_BYTES, Datasets
from backend.errors import PanelError
from backend.i18n import N_
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import by_hand
from tests.support.datasets import broken_alpaca, keep, sums
from tests.support.datasets_page import open_datasets, press, said
from tests.support.page_text import labels
from tests.support.panel import end_all_of
from ui.datasets import upload as datasets_upload
from ui.datasets.state import key_of


@pytest.fixture(autouse=True)
def _nothing_left(store: Store) -> object:
    yield
    end_all_of(store.workspace.root)


def look_at(path: Path) -> AppTest:
    """The Import view with ``path`` typed into it."""
    app = open_datasets(view="import")
    app.text_input(key="datasets_import_path").set_value(str(path))
    return press(app, "Look at it")


def test_a_broken_file_is_recognised_its_trouble_numbered_and_the_rest_imported(
    workspace: Workspace, tmp_path: Path
) -> None:
    app = look_at(broken_alpaca(tmp_path / "rain helper.json"))
    for part in ("JSON · GB18030", "Alpaca", "'instruction' is the question.", "Record 4", "Record 7", "我是小雨"):
        assert part in said(app)
    assert "2 of the first 7 records cannot be rows." in said(app)
    press(app, "Import as 'rain helper'")
    info = Datasets(workspace).get("rain helper")
    assert (info.current.rows, info.current.rejected) == (5, 2)
    assert "5 rows are in 'rain helper'." in said(app)
    assert app.query_params["part"] == "doctor"


def test_a_name_that_is_taken_makes_a_new_version_and_says_so(workspace: Workspace, tmp_path: Path) -> None:
    keep(workspace, "mine", sums(2))
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in sums(3)))
    app = look_at(tmp_path / "mine.jsonl")
    assert "it gets a new version" in said(app)
    press(app, "Import as 'mine'")
    assert [version.rows for version in Datasets(workspace).versions("mine")] == [3, 2]


def test_columns_that_say_nothing_are_mapped_by_the_person(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("nr,left,right,who\n1,How much is it?,Four euros.,ann\n2,And two?,Eight euros.,bob\n")
    app = look_at(path)
    assert "No column says by its name" in said(app)
    boxes = {box.label: box for box in app.selectbox}
    boxes["Question or instruction"].set_value("right").run()
    {box.label: box for box in app.selectbox}["Answer"].set_value("left").run()
    app.text_area[0].set_value("You sell apples.").run()
    press(app, "Import as 'sheet'")
    first = Datasets(workspace).open("sheet")[0]["messages"]
    assert [(m["role"], m["content"]) for m in first] == [
        ("system", "You sell apples."),
        ("user", "Four euros."),
        ("assistant", "How much is it?"),
    ]


def test_a_path_with_nothing_there_is_said_and_another_file_can_be_chosen(tmp_path: Path) -> None:
    app = look_at(tmp_path / "gone.jsonl")
    assert "gone.jsonl does not exist on this machine." in said(app)
    press(app, "Another file")
    assert "Look at it" in labels(app)


def test_an_address_with_a_path_that_no_file_can_have_is_said(workspace: Workspace) -> None:
    app = open_datasets(view="import", **{datasets_upload.PATH: "/data/a\0b.jsonl"})
    assert "/data/ab.jsonl does not exist on this machine." in said(app)
    press(app, "Another file")
    assert "Look at it" in labels(app)


def test_a_large_file_becomes_a_job_with_what_the_person_chose(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    line = json.dumps({"q": "x" * 1000, "a": "y" * 1000}) + "\n"
    path.write_text(line * (AT_ONCE_BYTES // len(line) + 1))
    app = look_at(path)
    assert "It runs as a job" in said(app)
    press(app, "Import as 'large'")
    (row,) = store.list(verb="import_data")
    spec = store.spec(row.id)
    assert (spec["path"], spec["name"], spec["remove"]) == (str(path), "large", False)
    assert spec["mapping"]["columns"]["output"] == "a"
    assert f"Job {row.id} reads the rows into 'large'." in said(app)
    assert "import large" in said(app), "its card"


def test_an_upload_is_a_file_of_the_workspace_and_gone_after_its_import(workspace: Workspace, tmp_path: Path) -> None:
    kept = datasets_upload.keep("../rows.jsonl", memoryview(b'{"question": "a", "answer": "b"}\n'))
    assert kept.parent.parent == workspace.uploads
    assert kept.name == "rows.jsonl"
    app = open_datasets(view="import", path=str(kept))
    press(app, "Import as 'rows'")
    assert Datasets(workspace).get("rows").current.made_from[0]["file"] == "rows.jsonl"
    assert not kept.parent.exists()


def test_uploads_that_nobody_imported_go_after_a_day_and_those_of_a_job_stay(
    workspace: Workspace, store: Store
) -> None:
    old, waiting, new = (datasets_upload.keep(f"{name}.jsonl", memoryview(b"{}")) for name in ("old", "job", "new"))
    store.submit("import_data", {"path": str(waiting), "name": "x", "remove": True})
    days = time.time() - 2 * datasets_upload.KEPT_S
    for path in (old, waiting):
        os.utime(path.parent, (days, days))
    open_datasets(view="import")
    assert [path.exists() for path in (old, waiting, new)] == [False, True, True]


def test_a_set_that_a_job_works_on_is_neither_renamed_nor_deleted(workspace: Workspace, store: Store) -> None:
    keep(workspace, "Busy", sums(3))
    job = store.submit("change_data", {"dataset": "Busy", "steps": [{"do": "drop", "rows": [1]}]})
    app = open_datasets(set="Busy")
    for what, label in (("renaming", "Rename it"), ("deleting", "Delete Busy")):
        app.session_state[f"dataset_{what}_{key_of('Busy')}"] = True
        app.run()
        assert next(button for button in app.button if button.label == label).disabled
    assert f"Job {job.id} works on it now." in said(app)


def test_another_file_removes_an_upload_and_never_a_file_of_the_server(workspace: Workspace, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"question": "a", "answer": "b"}\n')
    press(look_at(mine), "Another file")
    assert mine.exists()
    kept = datasets_upload.keep("rows.jsonl", memoryview(mine.read_bytes()))
    press(open_datasets(view="import", path=str(kept)), "Another file")
    assert not kept.exists()


def test_a_job_that_failed_stays_in_sight_until_a_later_one_did_it(store: Store, workspace: Workspace) -> None:
    keep(workspace, "Sums", sums(3))

    def ended(state: str) -> None:
        error = PanelError("rows_missing", N_("It failed.")) if state == "failed" else None
        by_hand.ended(store, "change_data", {"dataset": "Sums", "steps": [{"do": "drop", "rows": [9]}]}, state, error)

    ended("failed")
    assert "It failed." in said(open_datasets(set="Sums"))
    assert "It failed." in said(open_datasets())
    ended("succeeded")
    assert "It failed." not in said(open_datasets(set="Sums"))


def test_an_address_cannot_make_another_folder_look_like_an_upload(workspace: Workspace, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    path = mine / "rows.jsonl"
    path.write_text(json.dumps({"instruction": "a", "output": "b"}) + "\n")
    workspace.uploads.mkdir(parents=True)
    (workspace.uploads / "x").mkdir()
    (workspace.uploads / "linked").symlink_to(mine)
    up = "/".join([".."] * (len(workspace.uploads.parts)))
    for crafted in (f"{workspace.uploads}/x/{up}{path}", f"{workspace.uploads}/linked/rows.jsonl"):
        app = open_datasets(view="import", path=crafted)
        press(app, "Another file")
        assert path.is_file(), crafted
