"""Rows of jobs in a real SQLite file: submitting, looking, ordering, deleting; and a workspace that misbehaves."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from backend.errors import ConflictError, NotFoundError, PanelError, SpecError, WorkspaceError
from backend.queue import dispatch, folder, locks
from backend.queue.rebuild import ensure_sound
from backend.queue.schema import MIGRATIONS
from backend.queue.store import Store, open_store
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace, open_workspace, write_json


def test_a_double_click_makes_one_job(store: Store) -> None:
    found: list[int] = []
    start = threading.Barrier(8)

    def click() -> None:
        start.wait()
        found.append(store.submit("drill", {"steps": 1}, submit_key="click-1").id)
        store.close()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {1}
    assert len(store.list()) == 1


def test_all_wrong_fields_are_named_at_once_and_no_job_is_made(store: Store) -> None:
    with pytest.raises(SpecError) as caught:
        store.submit("drill", {"steps": -1, "step_s": "soon", "colour": "red"})
    assert {p["field"] for p in caught.value.problems} == {"steps", "step_s", "colour"}
    for name in ("steps", "step_s", "colour"):
        assert name in str(caught.value)
    assert store.list() == []
    assert list(store.workspace.jobs.iterdir()) == []


def test_an_unknown_verb_names_the_known_ones(store: Store) -> None:
    with pytest.raises(SpecError) as caught:
        store.submit("dance", {})
    assert str(caught.value) == "There is no kind of job called 'dance'."
    assert "drill" in caught.value.localized()[1]


def test_an_unknown_job_is_said_plainly(store: Store) -> None:
    with pytest.raises(NotFoundError, match="There is no job 7"):
        store.get(7)


@pytest.mark.parametrize(
    "text", ["emoji 🐉", "\u202eright to left", "x" * 100_000, "nul\x00inside", "lone \ud800 half"]
)
def test_any_text_survives_as_title_and_in_the_spec(store: Store, text: str) -> None:
    row = store.submit("drill", {"note": text.replace("\ud800", "")}, title=text)
    again = store.get(row.id)
    assert again.title == text.replace("\ud800", "?").strip()
    assert store.spec(row.id)["note"] == text.replace("\ud800", "")


def test_listing_pages_by_id_and_filters(store: Store) -> None:
    ids = [store.submit("drill", {}, title=f"name {n} 100%").id for n in range(7)]
    store.cancel(ids[2])
    first = store.list(limit=3)
    assert [r.id for r in first] == [7, 6, 5]
    assert [r.id for r in store.list(limit=3, before=5)] == [4, 3, 2]
    assert [r.id for r in store.list(states=["cancelled"])] == [ids[2]]
    assert [r.id for r in store.list(search="name 4")] == [5]
    assert [r.id for r in store.list(search="#4")] == [4]
    assert len(store.list(search="100%")) == 7
    assert store.list(search="100_") == []
    assert store.counts() == {"queued": 6, "cancelled": 1}


def test_reordering_the_queue(store: Store) -> None:
    a, b, c = (store.submit("drill", {}).id for _ in range(3))
    store.move(c, a)
    assert [r.id for r in store.queue()] == [c, a, b]
    store.move(c, None)
    assert [r.id for r in store.queue()] == [a, b, c]
    store.cancel(a)
    with pytest.raises(ConflictError, match="is not waiting any more"):
        store.move(a, c)


def test_a_kind_that_asks_for_time_to_save_gets_it_and_others_get_the_setting(store: Store) -> None:
    class Nobody:
        """A runner that starts nothing: the plan is in the folder before."""

        def start(self, *_args: object) -> None:
            return

        adopt = start

        def reap(self) -> None:
            return

    drill, serve = store.submit("drill", {}), store.submit("serve", {"model": "starter"})
    started = dispatch.tick(store, Nobody(), list, cpu_slots=2, grace_int_s=3, grace_term_s=1)
    assert started == [drill.id, serve.id]
    graces = [(folder.read(store.job_dir(n), folder.ATTEMPT) or {})["grace_int_s"] for n in started]
    assert graces == [3, ServeSpec.grace_int_s]


def test_only_jobs_that_ended_badly_can_be_resumed(store: Store) -> None:
    job = store.submit("drill", {})
    with pytest.raises(ConflictError, match="cannot be resumed: it is queued"):
        store.resume(job.id)
    store.cancel(job.id)
    assert store.resume(job.id).state == "queued"


def test_deleting_frees_what_it_says_and_refuses_what_lives(store: Store) -> None:
    job = store.submit("drill", {})
    with pytest.raises(ConflictError, match="cannot be deleted"):
        store.delete(job.id)
    store.cancel(job.id)
    (store.job_dir(job.id) / "big.bin").write_bytes(b"x" * 1_000_000)
    said = store.folder_bytes(job.id)
    assert said >= 1_000_000
    assert store.delete(job.id) == said
    assert not store.job_dir(job.id).exists()
    with pytest.raises(NotFoundError):
        store.get(job.id)
    assert store.submit("drill", {}).id == job.id + 1, "numbers are not used twice"


def test_a_done_job_whose_supervisor_still_cleans_up_is_not_deleted(store: Store) -> None:
    job = store.submit("drill", {})
    store.cancel(job.id)
    lock = locks.acquire(store.job_dir(job.id) / locks.FILE)
    assert lock is not None
    try:
        with pytest.raises(ConflictError):
            store.delete(job.id)
    finally:
        os.close(lock)
    assert store.delete(job.id) > 0


def test_the_version_grows_with_every_change_and_only_then(store: Store) -> None:
    before = store.version()
    job = store.submit("drill", {})
    after = store.version()
    assert after > before
    store.get(job.id)
    store.list()
    assert store.version() == after
    store.cancel(job.id)
    assert store.version() > after


def test_a_submit_that_was_killed_before_its_commit_leaves_no_obstacle(store: Store) -> None:
    store.workspace.job_dir(1).mkdir()
    assert store.submit("drill", {}).id == 2


def test_a_workspace_made_by_a_newer_version_is_refused_and_not_touched(workspace: Workspace) -> None:
    open_store(workspace).close()
    db = sqlite3.connect(workspace.state_db)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 5}")
    db.close()
    before = workspace.state_db.read_bytes()
    with pytest.raises(WorkspaceError) as caught:
        open_store(workspace, check=True)
    assert caught.value.code == "workspace_newer"
    assert "written by a newer TuneDeck" in str(caught.value)
    assert "Update TuneDeck" in caught.value.localized()[1]
    assert workspace.state_db.read_bytes() == before


def test_an_older_database_is_brought_up_without_losing_rows(workspace: Workspace) -> None:
    db = sqlite3.connect(workspace.state_db, isolation_level=None)
    MIGRATIONS[0](db)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO jobs (verb, title, state, created, position) VALUES ('drill', 'old', 'succeeded', 1, 1)")
    db.close()
    store = open_store(workspace, check=True)
    assert [row.title for row in store.list()] == ["old"]
    store.close()


def test_a_missing_database_beside_job_folders_is_rebuilt(store: Store) -> None:
    kept = store.submit("drill", {}, title="kept")
    gone = store.submit("drill", {})
    store.cancel(gone.id)
    store.close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (store.workspace.root / name).unlink(missing_ok=True)
    again = open_store(store.workspace, check=True)
    assert [(r.id, r.state, r.title) for r in again.list()] == [(2, "cancelled", "drill"), (1, "queued", "kept")]
    assert again.get(kept.id).resources["cpu"] == 1
    again.close()


def test_a_sound_database_is_left_alone(store: Store) -> None:
    store.submit("drill", {})
    inode = store.workspace.state_db.stat().st_ino
    assert ensure_sound(store.workspace) is None
    assert store.workspace.state_db.stat().st_ino == inode


def test_an_open_store_goes_on_with_the_rebuilt_file(store: Store) -> None:
    """Another process found the damage first: the file under our name is a new one."""
    store.submit("drill", {}, title="before")
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (store.workspace.root / name).rename(store.workspace.root / f"{name}.aside")
    ensure_sound(store.workspace)
    assert [row.title for row in store.list()] == ["before"]
    store.submit("drill", {}, title="after")
    assert [row.title for row in open_store(store.workspace).list()] == ["after", "before"]


def test_jobs_from_the_future_do_not_confuse_order_or_paging(store: Store) -> None:
    """The clock was set back: later jobs have earlier times. Order goes by number."""
    first, second = store.submit("drill", {}), store.submit("drill", {})
    with store.write() as db:
        db.execute("UPDATE jobs SET created = created + 86400 WHERE id = ?", (first.id,))
    assert [row.id for row in store.list()] == [second.id, first.id]
    assert [row.id for row in store.queue()] == [first.id, second.id]


def test_a_file_where_the_workspace_should_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(tmp_path / "file")
    assert caught.value.code == "workspace_bad"
    assert str(tmp_path / "file") in str(caught.value)


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"old": True})

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError, match="is full"):
        write_json(target, {"new": True})
    assert json.loads(target.read_text()) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_errors_survive_storage_and_read_in_both_languages() -> None:
    error = PanelError("x", "Job {job} is {state} and cannot be deleted.", "Cancel it first.", job=3, state="running")
    again = PanelError.from_dict(json.loads(json.dumps(error.to_dict())))
    assert str(again) == "Job 3 is running and cannot be deleted."
    assert again.localized()[1] == "Cancel it first."


def test_the_reserve_gives_room_for_the_last_words(tmp_path: Path) -> None:
    folder.lay_reserve(tmp_path)
    assert folder.disk_bytes(tmp_path) >= folder.RESERVE_BYTES
