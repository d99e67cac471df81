"""A disk that is full and one that is read-only: real mounts, in a mount namespace of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_disk import can_mount, on_disk

pytestmark = pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")


def test_a_job_that_fills_the_disk_fails_with_the_reason_and_resumes_when_there_is_room(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=12m",
        """
workspace = open_workspace()
queue = Queue(workspace, open_store(workspace))
queue.start_watcher()
try:
    filler = workspace.root / "filler"
    job = queue.drill(steps=400, step_s=0.02)
    queue.step(job.id, 3)
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    failed = until(lambda: (row := queue.store.get(job.id)).state == "failed" and row, 40, "the job failed")
    answer = {"text": str(PanelError.from_dict(failed.error)), "leases": queue.leases()}
    try:
        queue.store.submit("drill", {"note": "y" * 100_000})
        answer["submit"] = "accepted"
    except PanelError as error:
        answer["submit"] = error.code
    folders = sorted(p.name for p in workspace.jobs.iterdir())
    filler.unlink()
    queue.store.resume(job.id)
    again = queue.reach(job.id, "succeeded", "failed", timeout=60)
    answer |= {"folders": folders, "again": again.state, "attempt": again.attempt, "successes": queue.successes(job.id)}
finally:
    queue.end()
print(json.dumps(answer))
""",
    )
    assert "is full" in found["text"]
    assert found["leases"] == []
    assert found["submit"] == "workspace_full"
    assert found["folders"] == ["000001"], "the refused job left nothing behind"
    assert (found["again"], found["attempt"], found["successes"]) == ("succeeded", 2, 1)


def test_a_result_that_finds_no_room_is_recorded_as_soon_as_there_is_some(tmp_path: Path) -> None:
    """Even the reserve is gone: the supervisor holds on, the job stays visible as running, then its end is recorded."""
    found = on_disk(
        tmp_path / "small",
        "size=12m",
        """
workspace = open_workspace()
queue = Queue(workspace, open_store(workspace))
queue.start_watcher()
try:
    job = queue.drill(steps=400, step_s=0.02)
    queue.step(job.id, 3)
    (queue.store.job_dir(job.id) / "reserve").unlink()
    filler = workspace.root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    child = queue.child(job.id)
    child.wait(30)
    answer = {"while_full": queue.store.get(job.id).state, "held": queue.held(job.id)}
    filler.unlink()
    ended = queue.reach(job.id, "failed", "lost", timeout=40)
    answer |= {"state": ended.state, "code": ended.error["code"], "leases": queue.leases()}
finally:
    queue.end()
print(json.dumps(answer))
""",
    )
    assert found["while_full"] == "running"
    assert found["held"]
    assert found["state"] == "failed"
    assert found["leases"] == []


def test_on_a_full_disk_jobs_can_still_be_listed_and_deleted_to_make_room(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=12m",
        """
workspace = open_workspace()
store = open_store(workspace)
job = store.submit("drill", {})
store.cancel(job.id)
with (store.job_dir(job.id) / "checkpoint.bin").open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
store.close()
def cli(*args):
    done = subprocess.run([sys.executable, "-m", "backend", "jobs", *args, "--json"], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)
listed = cli("list")
deleted = cli("delete", str(job.id))
print(json.dumps({"listed": len(listed), "deleted": deleted, "left": len(cli("list"))}))
""",
    )
    assert found["listed"] == 1
    assert found["deleted"]["freed_bytes"] > 3_000_000
    assert found["left"] == 0


def test_a_read_only_workspace_is_explained(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "frozen",
        "size=1m",
        """
workspace = open_workspace()
subprocess.run(["mount", "-o", "remount,ro", str(workspace.root)], check=True)
done = subprocess.run([sys.executable, "-m", "backend", "jobs", "list", "--json"], capture_output=True, text=True)
print(json.dumps({"code": done.returncode, **json.loads(done.stdout)}))
""",
    )
    assert found["code"] == 1
    assert found["error"]["code"] == "workspace_read_only"
    assert "cannot write to its folder" in found["error"]["message"]
    assert "TUNEDECK_WORKSPACE" in found["error"]["hint"]
