"""A real queue for tests: the watcher as a process, short graces, and a look at every process that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import psutil

from backend.queue import folder, locks, proctree, watcher
from backend.queue.events import read_events
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.wait import until


class Queue:
    """The queue of one workspace, with handles on its processes."""

    def __init__(self, workspace: Workspace, store: Store, **settings: str) -> None:
        self.workspace, self.store = workspace, store
        self.settings = {
            "cpu_slots": "2",
            "grace_int_s": "1",
            "grace_term_s": "0.5",
            "watcher_idle_s": "60",
            **settings,
        }
        self.watcher: subprocess.Popen[bytes] | None = None
        self.checkout = ROOT

    def start_watcher(self, prefix: tuple[str, ...] = (), **env: str) -> int:
        """Start the watcher process (behind ``prefix``, such as another program that runs it); returns its PID."""
        environment = {
            **os.environ,
            "TUNEDECK_WORKSPACE": str(self.workspace.root),
            **{f"TUNEDECK_{name.upper()}": value for name, value in self.settings.items()},
            **env,
        }
        with (self.workspace.logs / "watcher-console.log").open("ab") as out:
            self.watcher = subprocess.Popen(
                [*prefix, sys.executable, "-m", "backend.queue.watcher", str(self.workspace.root)],
                cwd=self.checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until(lambda: watcher.running(self.workspace) is not None, 20, "the watcher holds its lock")
        return self.watcher.pid

    def kill_watcher(self) -> None:
        """kill -9 of the watcher."""
        assert self.watcher is not None
        self.watcher.kill()
        self.watcher.wait(10)

    def drill(self, **spec: Any) -> JobRow:
        """Submit a drill."""
        return self.store.submit("drill", {"steps": 5, "step_s": 0.05, **spec})

    def reach(self, job_id: int, *states: str, timeout: float = 30) -> JobRow:
        """The job once it is in one of ``states``."""

        def there() -> JobRow | None:
            row = self.store.get(job_id)
            return row if row.state in states else None

        until(there, timeout, f"job {job_id} is {' or '.join(states)} (it is {self.store.get(job_id)})")
        return self.store.get(job_id)

    def step(self, job_id: int, step: int, timeout: float = 30) -> JobRow:
        """The job once its program has counted to ``step``."""
        until(
            lambda: self.store.get(job_id).progress.get("step", 0) >= step, timeout, f"job {job_id} is at step {step}"
        )
        return self.store.get(job_id)

    def counted(self, job_id: int, step: int, timeout: float = 30) -> None:
        """Wait until the program says so itself, half a second before :meth:`step` sees it: for what is over soon."""
        path = self.store.job_dir(job_id)

        def there() -> bool:
            return any(int(event.get("step") or 0) >= step for event in read_events(path)[0])

        until(there, timeout, f"the program of job {job_id} is at step {step}")

    def child(self, job_id: int) -> psutil.Process:
        """The program of a running job."""
        row = self.store.get(job_id)
        data = until(
            lambda: folder.read(self.store.job_dir(job_id), folder.CHILD, row.attempt), 20, "the program has started"
        )
        found = proctree.process_at(int(data["pid"]), int(data["ticks"]))
        assert found is not None, f"the program of job {job_id} is gone"
        return found

    def supervisor(self, job_id: int) -> psutil.Process:
        """The supervisor of a running job."""
        wanted = ["backend.queue.supervisor", str(self.workspace.root), str(job_id)]
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if line[2:5] == wanted:
                return process
        raise AssertionError(f"job {job_id} has no supervisor")

    def kill_supervisor(self, job_id: int) -> None:
        """kill -9 of the supervisor, then wait until another one has the job."""
        first = self.supervisor(job_id)
        first.kill()
        psutil.wait_procs([first], timeout=10)
        until(lambda: self.held(job_id), what="another supervisor has the job")

    def processes(self, job_id: int, attempt: int | None = None) -> list[psutil.Process]:
        """Every process that carries the cookie of the job's newest attempt, or of any attempt."""
        prefix = f"{proctree.COOKIE}={job_id}.{'' if attempt is None else f'{attempt}.'}"
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            cookie = f"{proctree.COOKIE}={environment.get(proctree.COOKIE, '')}"
            if cookie.startswith(prefix) and environment.get("TUNEDECK_WORKSPACE") == str(self.workspace.root):
                found.append(process)
        return found

    def held(self, job_id: int) -> bool:
        """Whether the job's lock is held."""
        return locks.held(self.store.job_dir(job_id) / locks.FILE)

    def leases(self) -> list[tuple[str, int]]:
        """All leases that are out: (resource, job)."""
        with self.store.read() as db:
            return [(row["resource"], row["job_id"]) for row in db.execute("SELECT resource, job_id FROM leases")]

    def successes(self, job_id: int) -> int:
        """How many attempts of a drill came to their end."""
        path = self.store.job_dir(job_id) / "counted.txt"
        return len(path.read_text().split()) if path.exists() else 0

    def end(self) -> None:
        """End everything that was started for this workspace."""
        from tests.support.panel import processes_of

        if self.watcher is not None and self.watcher.poll() is None:
            self.watcher.send_signal(signal.SIGTERM)
            self.watcher.wait(10)

        def nothing_left() -> bool:
            left = processes_of(self.workspace.root)
            proctree.send(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=1)
            return not left

        until(nothing_left, what="every process of this test is gone")
