"""Two hundred jobs while somebody kills at random: watcher, supervisors, programs, everything at once."""

from __future__ import annotations

import os
import random
import threading
import time

import psutil
import pytest

from backend.queue import folder
from backend.queue.store import Store, open_store
from backend.workspace import Workspace
from tests.support.jobs import Queue
from tests.support.panel import processes_of
from tests.support.wait import until

JOBS = int(os.environ.get("SOAK_JOBS", "200"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_jobs_under_random_kills_none_lost_none_done_twice_nothing_left(
    workspace: Workspace, store: Store
) -> None:
    queue = Queue(workspace, store, cpu_slots="4")
    queue.start_watcher()
    dice = random.Random(20261121)
    kills = {"watcher": 0, "supervisor": 0, "program": 0, "everything": 0, "resumed": 0}
    over = threading.Event()

    def people() -> None:
        """Somebody presses Resume on whatever failed or was lost."""
        mine = open_store(workspace)
        while not over.wait(0.2):
            for row in mine.list(states=("failed", "lost"), limit=500):
                mine.resume(row.id)
                kills["resumed"] += 1
        mine.close()

    ids = [
        store.submit(
            "drill", {"steps": dice.randint(0, 5), "step_s": dice.choice([0.02, 0.02, 0.4])}, submit_key=f"s{n}"
        ).id
        for n in range(JOBS)
    ]
    resumer = threading.Thread(target=people)
    resumer.start()
    try:
        deadline = time.monotonic() + 800
        pause = threading.Event()
        while store.counts().get("succeeded", 0) < JOBS:
            assert time.monotonic() < deadline, store.counts()
            pause.wait(dice.uniform(0.1, 0.8))
            live = store.live()
            if not live:
                continue
            victim, kind = (
                dice.choice(live),
                dice.choice(["watcher", "supervisor", "supervisor", "program", "everything"]),
            )
            if kind in ("watcher", "everything"):
                queue.kill_watcher()
            if kind in ("supervisor", "everything"):
                for process in supervisors(workspace, None if kind == "everything" else victim.id):
                    process.kill()
            if kind in ("program", "everything"):
                for process in [
                    p for row in (live if kind == "everything" else [victim]) for p in queue.processes(row.id)
                ]:
                    try:
                        process.kill()
                    except psutil.NoSuchProcess:
                        continue
            if kind in ("watcher", "everything"):
                queue.start_watcher()
            kills[kind] += 1
        rows = {row.id: row for row in store.list(limit=JOBS * 2)}
        assert sorted(rows) == ids, "every job that was submitted is there, and no other"
        for job_id, row in rows.items():
            result = store.result(job_id)
            assert row.state == "succeeded"
            assert result is not None
            assert result["attempt"] == row.attempt
            assert not (store.job_dir(job_id) / "overlap").exists(), "two attempts ran at once"
            assert not folder.log_file(store.job_dir(job_id), row.attempt + 1).exists(), "nothing ran after the success"
        assert queue.leases() == []
        until(lambda: not any(queue.held(job_id) for job_id in ids), 30, "no lock is held")
        until(lambda: supervisors(workspace, None) == [], 30, "no supervisor is left")
        left = [p for p in processes_of(workspace.root) if "jobs.drill" in p.cmdline()]
        assert left == [], "no program is left"
        assert min(kills[k] for k in ("watcher", "supervisor", "program", "everything")) > 0, kills
        print(f"soak: {JOBS} jobs, {sum(r.attempt for r in rows.values())} attempts, kills {kills}")
    finally:
        over.set()
        resumer.join()
        queue.end()


def supervisors(workspace: Workspace, job_id: int | None) -> list[psutil.Process]:
    """Supervisors of this workspace, of one job or all."""
    wanted = ["backend.queue.supervisor", str(workspace.root)]
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if line[2:4] == wanted and (job_id is None or line[4] == str(job_id)):
            found.append(process)
    return found
