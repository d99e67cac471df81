"""What happens to jobs when processes die: each fault is made with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from backend.errors import PanelError
from backend.queue import dispatch, folder, locks, rebuild, reconcile
from backend.queue.events import EventWriter, read_events
from backend.queue.rebuild import ensure_sound
from backend.queue.store import open_store
from backend.workspace import ROOT
from tests.support.jobs import Queue
from tests.support.wait import until

LONG = {"steps": 600, "step_s": 0.05}


def test_a_job_runs_to_its_end_and_gives_everything_back(queue: Queue) -> None:
    job = queue.drill(steps=3, note="龙 🐉 \u202eabc")
    done = queue.reach(job.id, "succeeded")
    assert done.progress["step"] == 3
    assert done.ended is not None
    result = queue.store.result(job.id)
    assert result is not None
    assert result["note"] == "龙 🐉 \u202eabc"
    assert [a["label"] for a in queue.store.artifacts(job.id)] == ["counted.txt"]
    assert queue.leases() == []
    until(lambda: not queue.held(job.id), what="the lock is free")
    assert "step 3 of 3" in folder.log_file(queue.store.job_dir(job.id), 1).read_text()


def test_killing_the_watcher_leaves_the_job_running_to_its_end(queue: Queue) -> None:
    job = queue.drill(steps=40)
    queue.step(job.id, 2)
    queue.kill_watcher()
    assert queue.reach(job.id, "succeeded").attempt == 1
    waiting = queue.drill(steps=1)
    queue.start_watcher()
    queue.reach(waiting.id, "succeeded")


def test_killing_the_supervisor_leaves_the_program_running_and_a_new_one_adopts_it(queue: Queue) -> None:
    job = queue.drill(steps=80)
    queue.step(job.id, 2)
    child = queue.child(job.id)
    queue.kill_supervisor(job.id)
    assert child.is_running()
    done = queue.reach(job.id, "succeeded")
    assert done.attempt == 1
    assert queue.successes(job.id) == 1


def test_an_adopted_job_can_still_be_cancelled(queue: Queue) -> None:
    job = queue.drill(**LONG)
    queue.step(job.id, 2)
    queue.kill_supervisor(job.id)
    queue.store.cancel(job.id)
    queue.reach(job.id, "cancelled")
    assert queue.processes(job.id) == []


def test_killing_the_program_fails_the_job_and_says_that_it_was_killed(queue: Queue) -> None:
    job = queue.drill(**LONG)
    queue.step(job.id, 2)
    queue.child(job.id).kill()
    failed = queue.reach(job.id, "failed")
    assert str(PanelError.from_dict(failed.error)) == "The program was killed from outside (SIGKILL)."
    assert failed.error["evidence"]["text"].startswith("step ")
    assert queue.leases() == []


def test_everything_killed_at_once_resumes_from_the_last_step_by_itself(queue: Queue) -> None:
    job = queue.drill(steps=60)
    queue.step(job.id, 5)
    victims = [queue.supervisor(job.id), *queue.processes(job.id)]
    queue.kill_watcher()
    for process in victims:
        process.kill()
    psutil.wait_procs(victims, timeout=10)
    assert queue.store.get(job.id).state == "running"  # nobody is left to say otherwise
    queue.start_watcher()
    done = queue.reach(job.id, "succeeded", timeout=60)
    assert done.attempt == 2
    assert done.auto_resumes == 2
    assert queue.successes(job.id) == 1
    second = folder.log_file(queue.store.job_dir(job.id), 2).read_text()
    assert "step 1 of 60\n" not in second, "it went on from its checkpoint"


def test_killed_one_after_the_other_it_resumes_by_itself_too(queue: Queue) -> None:
    job = queue.drill(steps=60)
    queue.step(job.id, 5)
    queue.kill_supervisor(job.id)  # another one has taken the program over when that is killed as well
    queue.child(job.id).kill()
    done = queue.reach(job.id, "succeeded", timeout=60)
    assert (done.attempt, done.auto_resumes) == (2, 2)
    second = folder.log_file(queue.store.job_dir(job.id), 2).read_text()
    assert "step 1 of 60\n" not in second, "it went on from its checkpoint"


def test_a_job_that_may_not_resume_by_itself_is_shown_as_lost_and_resumes_on_request(queue: Queue) -> None:
    job = queue.drill(steps=60)
    queue.step(job.id, 3)
    with queue.store.write() as db:
        db.execute("UPDATE jobs SET auto_resumes = 0 WHERE id = ?", (job.id,))
    queue.kill_watcher()
    for process in [queue.supervisor(job.id), *queue.processes(job.id)]:
        process.kill()
    queue.start_watcher()
    lost = queue.reach(job.id, "lost")
    assert "disappeared without a result" in str(PanelError.from_dict(lost.error))
    assert queue.leases() == []
    queue.store.resume(job.id)
    assert queue.reach(job.id, "succeeded").attempt == 2


def test_a_daemonised_child_that_ignores_sigterm_and_closed_its_descriptors_does_not_survive(queue: Queue) -> None:
    job = queue.drill(**{**LONG, "fault": "daemonise", "fault_step": 1})
    queue.step(job.id, 2)
    assert len(queue.processes(job.id)) == 2, "the daemon runs beside the program"
    queue.store.cancel(job.id)
    queue.reach(job.id, "cancelled")
    assert queue.processes(job.id) == []


def test_a_daemonised_child_left_behind_by_a_finished_program_is_ended_too(queue: Queue) -> None:
    job = queue.drill(steps=3, fault="daemonise")
    queue.reach(job.id, "succeeded")
    assert queue.processes(job.id) == []


def test_a_program_that_ignores_every_polite_signal_is_killed(queue: Queue) -> None:
    job = queue.drill(**{**LONG, "fault": "ignore_stop", "fault_step": 0})
    queue.step(job.id, 2)
    queue.store.cancel(job.id)
    assert queue.reach(job.id, "stopping", "cancelled").state == "stopping"
    queue.reach(job.id, "cancelled")
    assert queue.processes(job.id) == []


def test_a_cancelled_program_may_save_first_and_is_then_cancelled_not_failed(queue: Queue) -> None:
    job = queue.drill(steps=600, step_s=0.05, fault="slow_save", fault_step=0)
    queue.step(job.id, 2)
    queue.store.cancel(job.id)
    queue.reach(job.id, "cancelled")
    assert "[save]" in folder.log_file(queue.store.job_dir(job.id), 1).read_text()


def test_a_cancel_at_any_moment_of_the_start_ends_cancelled_or_done_and_leaves_nothing(queue: Queue) -> None:
    pause = threading.Event()
    jobs = []
    for moment in range(16):
        jobs.append(queue.drill(steps=200, cpu=0))
        pause.wait(moment * 0.025)
        queue.store.cancel(jobs[-1].id)
    for job in jobs:
        queue.reach(job.id, "cancelled")
    assert queue.leases() == []
    assert [p for job in jobs for p in queue.processes(job.id)] == []


def test_a_suspended_program_is_shown_as_stopped_and_can_still_be_cancelled(queue: Queue) -> None:
    job = queue.drill(**LONG)
    queue.step(job.id, 2)
    child = queue.child(job.id)
    child.suspend()
    until(lambda: queue.store.get(job.id).health == "stopped", what="the row says that it is suspended")
    child.resume()
    until(lambda: queue.store.get(job.id).health == "", what="the row says that it goes on")
    child.suspend()
    queue.store.cancel(job.id)
    queue.reach(job.id, "cancelled")
    assert queue.processes(job.id) == []


def test_a_traceback_becomes_a_sentence_with_the_last_log_line_as_evidence(queue: Queue) -> None:
    job = queue.drill(fault="raise", fault_step=0)
    failed = queue.reach(job.id, "failed")
    text = str(PanelError.from_dict(failed.error))
    assert text == "The job stopped with an error: RuntimeError: this drill was asked to fail"
    assert failed.error["evidence"]["text"] == "RuntimeError: this drill was asked to fail"


def test_a_program_that_leaves_without_a_result_is_failed_with_its_exit_code(queue: Queue) -> None:
    job = queue.drill(fault="exit", fault_step=0)
    failed = queue.reach(job.id, "failed")
    assert str(PanelError.from_dict(failed.error)) == "The program ended with code 3 and left no result."
    assert failed.error["evidence"]["text"] == "leaving without a result"


def test_a_full_disk_in_the_program_is_said_and_the_job_resumes_when_there_is_room(queue: Queue) -> None:
    job = queue.drill(fault="disk_full", fault_step=2)
    failed = queue.reach(job.id, "failed")
    assert failed.error["code"] == "workspace_full"
    queue.store.resume(job.id)
    queue.reach(job.id, "succeeded")


def test_a_torn_last_line_in_the_events_costs_that_line_only(queue: Queue) -> None:
    job = queue.drill(steps=60)
    queue.step(job.id, 3)
    queue.kill_watcher()
    for process in [queue.supervisor(job.id), *queue.processes(job.id)]:
        process.kill()
    job_dir = queue.store.job_dir(job.id)
    with (job_dir / "events.jsonl").open("ab") as file:
        file.write(b'{"t": 1, "phase": "count", "st')
    queue.start_watcher()
    queue.reach(job.id, "succeeded", timeout=60)
    events, _ = read_events(job_dir)
    assert events[-1].get("artifact"), "what came after the torn line is read"
    assert max(e.get("step", 0) for e in events) == 60


def test_after_a_reboot_stale_rows_locks_and_pids_are_settled(queue: Queue) -> None:
    """A reboot leaves: a running row, a free lock, a PID that now is somebody else's, and another boot id."""
    job = queue.drill(steps=40)
    queue.step(job.id, 3)
    with queue.store.write() as db:
        db.execute("UPDATE jobs SET auto_resumes = 0 WHERE id = ?", (job.id,))
    queue.kill_watcher()
    for process in [queue.supervisor(job.id), *queue.processes(job.id)]:
        process.kill()
    job_dir = queue.store.job_dir(job.id)
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        for name in (folder.ATTEMPT, folder.CHILD):
            data = json.loads((job_dir / name).read_text())
            data["boot"] = "00000000-0000-0000-0000-000000000000"
            if name == folder.CHILD:
                data["pid"] = stranger.pid
            (job_dir / name).write_text(json.dumps(data))
        queue.start_watcher()
        lost = queue.reach(job.id, "lost")
        assert str(PanelError.from_dict(lost.error)) == "The machine was restarted while this job ran."
        assert stranger.poll() is None, "a stranger with a reused PID is not touched"
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_begins_with_signals_that_can_stop_it(queue: Queue) -> None:
    """An ignored signal is inherited: the supervisor's own deafness must not become the program's."""
    job = queue.drill(**LONG)
    queue.step(job.id, 2)
    status = (Path("/proc") / str(queue.child(job.id).pid) / "status").read_text()
    ignored = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:")), 16)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert not ignored & (1 << (signum - 1)), signum.name
    supervisor = queue.supervisor(job.id)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        supervisor.send_signal(signum)
    queue.step(job.id, 10)
    assert supervisor.is_running()
    queue.child(job.id).terminate()
    failed = queue.reach(job.id, "failed")
    assert "SIGTERM" in str(PanelError.from_dict(failed.error))


def test_of_two_racing_dispatchers_exactly_one_starts_each_job(queue: Queue) -> None:
    queue.kill_watcher()
    jobs = [queue.drill(steps=2, step_s=0, cpu=0) for _ in range(12)]
    program = (
        "import sys\n"
        "from backend.queue import dispatch\n"
        "from backend.queue.runner import LocalRunner\n"
        "from backend.queue.store import open_store\n"
        "from backend.workspace import open_workspace\n"
        "store, runner = open_store(open_workspace()), LocalRunner()\n"
        "sys.stdin.readline()\n"
        "started = []\n"
        "for _ in range(20):\n"
        "    started += dispatch.tick(store, runner, list, cpu_slots=2, grace_int_s=1, grace_term_s=1)\n"
        "print(*started)\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [racer.communicate("go\n", timeout=60)[0].split() for racer in racers]
    started = [int(x) for output in outputs for x in output]
    assert sorted(started) == [job.id for job in jobs]
    queue.start_watcher()
    for job in jobs:
        assert queue.reach(job.id, "succeeded").attempt == 1
        assert queue.successes(job.id) == 1


def test_a_dispatcher_killed_between_lease_and_start_leaves_a_job_that_starts_again(queue: Queue) -> None:
    queue.kill_watcher()
    job = queue.drill(steps=1)

    class Dies:
        """A runner whose process ends before it can start anything."""

        def start(self, *_args: object) -> None:
            raise KeyboardInterrupt

        adopt = start

        def reap(self) -> None:
            return

    with pytest.raises(KeyboardInterrupt):
        dispatch.tick(queue.store, Dies(), list, cpu_slots=2, grace_int_s=1, grace_term_s=1)  # type: ignore[arg-type]
    assert queue.store.get(job.id).state == "starting"
    assert queue.leases() == [("cpu", job.id)]
    reconcile.tick(queue.store, Dies(), reconcile.Silence())  # type: ignore[arg-type]
    assert queue.store.get(job.id).state == "queued"
    assert queue.leases() == []
    queue.start_watcher()
    queue.reach(job.id, "succeeded")
    assert queue.successes(job.id) == 1


def test_the_row_cannot_be_written_but_the_end_is_known_from_the_folder(queue: Queue) -> None:
    """The supervisor wrote ``end.json`` and died before the row: the watcher brings the row to it."""
    job = queue.drill(steps=1)
    queue.reach(job.id, "succeeded")
    with queue.store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', ended = NULL WHERE id = ?", (job.id,))
    assert queue.reach(job.id, "succeeded").attempt == 1
    assert queue.successes(job.id) == 1


def test_a_damaged_database_is_kept_and_rebuilt_while_a_job_runs_on(queue: Queue) -> None:
    finished = queue.drill(steps=1)
    queue.reach(finished.id, "succeeded")
    failed = queue.drill(fault="raise", fault_step=0)
    queue.reach(failed.id, "failed")
    running = queue.drill(steps=120)
    queue.step(running.id, 3)
    queue.kill_watcher()
    waiting = queue.drill(steps=1)
    queue.store.close()
    for suffix in ("-wal", "-shm"):
        queue.workspace.state_db.with_name(f"state.db{suffix}").unlink(missing_ok=True)
    queue.workspace.state_db.write_bytes(b"not a database at all" * 500)
    kept = ensure_sound(queue.workspace)
    assert kept is not None
    assert kept.read_bytes().startswith(b"not a database")
    queue.store = open_store(queue.workspace, check=True)
    states = {row.id: row.state for row in queue.store.list()}
    assert states == {finished.id: "succeeded", failed.id: "failed", running.id: "running", waiting.id: "queued"}
    assert "asked to fail" in str(PanelError.from_dict(queue.store.get(failed.id).error))
    queue.start_watcher()
    assert queue.reach(running.id, "succeeded", timeout=60).attempt == 1
    assert queue.reach(waiting.id, "succeeded").id == waiting.id
    assert queue.drill(steps=1).id > waiting.id, "numbers are not used twice"


def test_whoever_opens_a_workspace_without_its_database_first_finds_the_jobs_of_the_folders(queue: Queue) -> None:
    done = queue.drill(steps=1)
    queue.reach(done.id, "succeeded")
    queue.kill_watcher()
    queue.store.close()
    for suffix in ("", "-wal", "-shm"):
        queue.workspace.state_db.with_name(f"state.db{suffix}").unlink(missing_ok=True)
    line = [sys.executable, "-m", "backend", "jobs", "list", "--json"]
    env = {**os.environ, "TUNEDECK_WORKSPACE": str(queue.workspace.root)}
    listed = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, timeout=60, check=True)
    assert [(row["id"], row["state"]) for row in json.loads(listed.stdout)] == [(done.id, "succeeded")]
    queue.store = open_store(queue.workspace)


def test_a_database_damaged_under_a_running_watcher_is_rebuilt_and_the_person_is_told(queue: Queue) -> None:
    done = queue.drill(steps=1)
    queue.reach(done.id, "succeeded")
    running = queue.drill(steps=100)
    queue.step(running.id, 2)
    assert rebuild.notice(queue.workspace) is None
    damaged = queue.workspace.root / "state.db.new"
    damaged.write_bytes(b"scribble" * 4096)
    for suffix in ("-wal", "-shm"):
        queue.workspace.state_db.with_name(f"state.db{suffix}").unlink(missing_ok=True)
    damaged.replace(queue.workspace.state_db)
    notice = until(lambda: rebuild.notice(queue.workspace), what="the person is told")
    assert "made anew from the job folders (2 jobs)" in str(notice)
    assert {row.id: row.state for row in queue.store.list()}[done.id] == "succeeded"
    queue.reach(running.id, "succeeded")
    rebuild.dismiss_notice(queue.workspace)
    assert rebuild.notice(queue.workspace) is None


def test_the_watcher_leaves_when_there_is_nothing_to_do(queue: Queue) -> None:
    queue.kill_watcher()
    queue.settings["watcher_idle_s"] = "1"
    queue.start_watcher()
    assert queue.watcher is not None
    assert queue.watcher.wait(20) == 0
    assert not locks.held(queue.workspace.run / "watcher.lock")


def test_a_second_watcher_on_one_workspace_leaves_at_once(queue: Queue) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "backend.queue.watcher", str(queue.workspace.root)], cwd=ROOT, timeout=30, check=False
    )
    assert second.returncode == 0
    assert queue.watcher is not None
    assert queue.watcher.poll() is None


def test_a_deleted_job_folder_is_said_not_guessed(queue: Queue) -> None:
    job = queue.drill(**LONG)
    queue.step(job.id, 2)
    processes = [queue.supervisor(job.id), queue.child(job.id)]
    queue.store.job_dir(job.id).rename(queue.workspace.root / "gone")
    lost = queue.reach(job.id, "lost")
    assert str(PanelError.from_dict(lost.error)) == f"The folder of job {job.id} was deleted while it ran."
    _gone, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == [], "nothing goes on without a folder"


def test_jobs_started_by_the_watcher_survive_a_hangup_of_its_session(queue: Queue) -> None:
    """A closed terminal reaches the watcher's process group; jobs are in sessions of their own."""
    job = queue.drill(steps=40)
    queue.step(job.id, 2)
    assert queue.watcher is not None
    os.killpg(queue.watcher.pid, signal.SIGHUP)
    queue.watcher.wait(10)
    assert queue.reach(job.id, "succeeded").attempt == 1


CLOCK = """
import os, time
_real = time.time
def _shifted():
    with open(os.environ["TEST_CLOCK"]) as file:
        return _real() + float(file.read() or 0)
time.time = _shifted
"""


@pytest.mark.parametrize("jump", [3 * 86400, -3 * 86400])
def test_a_clock_that_jumps_harms_no_job(queue: Queue, tmp_path: Path, jump: int) -> None:
    """Watcher, supervisor and program all see the wall clock jump in mid-run."""
    queue.kill_watcher()
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    clock = tmp_path / "clock"
    clock.write_text("0")
    queue.start_watcher(PYTHONPATH=str(tmp_path), TEST_CLOCK=str(clock))
    job = queue.drill(steps=60)
    queue.step(job.id, 5)
    clock.write_text(str(jump))
    queue.step(job.id, 15)
    assert queue.store.get(job.id).health == ""
    done = queue.reach(job.id, "succeeded")
    assert done.attempt == 1
    assert done.ended is not None
    assert done.started is not None
    assert abs(done.ended - done.started) > 86400, "the wall clock did jump for them"
    assert 0 < done.elapsed < 600, "the duration did not"
    later = queue.drill(steps=60)
    queue.step(later.id, 2)
    queue.store.cancel(later.id)
    queue.reach(later.id, "cancelled")


def test_event_writer_starts_on_a_fresh_line_after_a_torn_one(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"phase": "tra')
    writer = EventWriter(tmp_path)
    writer.progress("train", 1, 2, metrics={"loss": float("nan")})
    writer.close()
    events, offset = read_events(tmp_path)
    assert [(e["phase"], e["metrics"]) for e in events] == [("train", {"loss": "nan"})]
    assert offset == (tmp_path / "events.jsonl").stat().st_size
