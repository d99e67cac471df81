"""Rows are read into a dataset by a real job: whole or not at all, and anew after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.data.store import Datasets
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.jobs import Queue

ROWS = 500_000


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for n in range(ROWS):
            turns = [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": "an answer " * 9}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


@pytest.mark.slow
def test_a_killed_import_leaves_nothing_and_is_done_again(
    queue: Queue, store: Store, workspace: Workspace, many: Path
) -> None:
    sets = Datasets(workspace)
    job = store.submit("import_data", {"path": str(many), "name": "many"}).id
    queue.counted(job, 1)
    queue.child(job).kill()
    ended = queue.reach(job, "failed", "lost", "succeeded", timeout=60)
    assert ended.state != "succeeded", "it was over before it could be killed"
    assert sets.list() == []
    store.resume(job)
    done = queue.reach(job, "succeeded", "failed", timeout=90)
    assert done.state == "succeeded", done
    version = sets.open("many")
    assert len(version) == ROWS
    assert version[ROWS - 1]["messages"][0]["content"] == f"question {ROWS - 1}"
    folder = workspace.datasets / "many" / "versions"
    assert [path.name for path in folder.iterdir()] == [version.info.id]


def test_a_cancelled_import_leaves_nothing(queue: Queue, store: Store, workspace: Workspace, many: Path) -> None:
    job = store.submit("import_data", {"path": str(many), "name": "many"}).id
    queue.counted(job, 1)
    store.cancel(job)
    assert queue.reach(job, "cancelled", "succeeded", timeout=60).state == "cancelled"
    assert Datasets(workspace).list() == []


def test_an_upload_is_removed_once_it_was_read_and_a_reason_is_given_where_it_cannot_be(
    queue: Queue, store: Store, workspace: Workspace
) -> None:
    workspace.uploads.mkdir(parents=True)
    good, bad = workspace.uploads / "a.json", workspace.uploads / "b.json"
    good.write_text(json.dumps([{"instruction": "a", "input": "", "output": "b"}]))
    bad.write_text("[1, 2, 3]")
    jobs = [
        store.submit("import_data", {"path": str(path), "name": path.stem, "remove": True, "origin": "mine.json"}).id
        for path in (good, bad)
    ]
    assert queue.reach(jobs[0], "succeeded", "failed").state == "succeeded"
    failed = queue.reach(jobs[1], "succeeded", "failed")
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "data_none_usable"
    assert not good.exists()
    assert Datasets(workspace).open("a").info.made_from[0]["file"] == "mine.json"
