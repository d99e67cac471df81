"""One process per running job: starts the program, passes a stop request on, cleans up, writes how it ended.

    python -m backend.queue.supervisor WORKSPACE JOB ATTEMPT LOCK_FD [--adopt]

It holds the job's lock as long as it lives, is a subreaper (daemonised grandchildren become its children), and depends
on nothing but the standard library, psutil and the database: about 25 MB. With ``--adopt`` the program runs already.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from backend.errors import WorkspaceError
from backend.queue import folder, lifecycle, proctree
from backend.queue.ending import how_it_ended
from backend.queue.events import merge_progress, read_events
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, Workspace

PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.1
PROGRESS_S = 0.5
HEARTBEAT_S = 5.0


class Supervisor:
    """The watch over one attempt."""

    def __init__(self, store: Store, job_id: int, attempt: int) -> None:
        self.store, self.job_id, self.attempt = store, job_id, attempt
        self.dir = store.job_dir(job_id)
        plan = folder.read(self.dir, folder.ATTEMPT, attempt)
        if plan is None:
            raise SystemExit(f"{self.dir / folder.ATTEMPT} is missing or speaks of another attempt")
        self.plan: dict[str, Any] = plan
        self.cookie: str = plan["cookie"]
        self.progress: dict[str, Any] = {}
        self.offset = 0
        self.began = time.monotonic()
        self.stop_asked_at: float | None = None
        self.next_progress = self.next_heartbeat = 0.0

    def run(self) -> None:
        """Start the program and watch it to its end."""
        if not lifecycle.mark_running(self.store, self.job_id, self.attempt):
            if folder.stop_requested(self.dir):
                self.finish({"state": "cancelled"})
            return
        self.offset = _size(self.dir / "events.jsonl")
        child = self.spawn()
        process = psutil.Process(child.pid)
        folder.write(
            self.dir,
            folder.CHILD,
            {
                "attempt": self.attempt,
                "pid": child.pid,
                "ticks": proctree.start_ticks(child.pid),
                "boot": folder.boot_id(),
                "events_from": self.offset,
            },
        )
        self.watch(process)
        returncode = child.wait()
        self.clean_up()
        self.read_progress()
        self.finish(how_it_ended(self.dir, self.attempt, returncode, self.stop_asked_at is not None))

    def adopt(self) -> None:
        """Watch a program that a supervisor before us started; its exit code is not ours to see, its result is."""
        child = folder.read(self.dir, folder.CHILD, self.attempt) or {}
        self.offset = int(child.get("events_from", 0))
        process = proctree.process_at(int(child.get("pid", -1)), int(child.get("ticks") or 0))
        if process is not None:
            self.began -= proctree.age_s(int(child["ticks"]))
            self.watch(process)
        self.clean_up()
        self.read_progress()
        end = how_it_ended(self.dir, self.attempt, None, self.stop_asked_at is not None)
        # Killed one after the other, supervisor and program are as lost as at one blow: see reconcile.
        if end["state"] == "lost" and lifecycle.requeue(
            self.store, self.job_id, self.attempt, ("running",), spend_resume=True
        ):
            return
        self.finish(end)

    def spawn(self) -> subprocess.Popen[bytes]:
        """The program as a child in a session of its own, its output in the attempt's log, never in a pipe."""
        row = self.store.get(self.job_id)
        leases = [lease["resource"] for lease in self.plan["leases"]]
        gpus = [r.removeprefix("gpu:") for r in leases if r.startswith("gpu:")]
        environment = {
            **os.environ,
            proctree.COOKIE: self.cookie,
            "TUNEDECK_WORKSPACE": str(self.store.workspace.root),
            "TUNEDECK_JOB_ID": str(self.job_id),
            "TUNEDECK_JOB_ATTEMPT": str(self.attempt),
            "TUNEDECK_JOB_DIR": str(self.dir),
            "TUNEDECK_JOB_PORTS": ",".join(r.removeprefix("port:") for r in leases if r.startswith("port:")),
            "TUNEDECK_JOB_GPUS": ",".join(gpus),
            # A job that leased no GPU sees none: it cannot crowd the ones that did.
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p),
        }
        with folder.log_file(self.dir, self.attempt).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"jobs.{row.verb}", str(self.dir / folder.SPEC)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.dir,
                env=environment,
                start_new_session=True,
            )

    def watch(self, process: psutil.Process) -> None:
        """Until ``process`` ends: progress into the row, a stop request down the ladder INT, TERM, KILL."""
        try:
            pidfd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return
        told: int | None = None
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        try:
            while not ended.poll(POLL_S * 1000):
                now = time.monotonic()
                if now >= self.next_progress:
                    self.next_progress = now + PROGRESS_S
                    self.read_progress()
                # A folder deleted from outside leaves nothing to run for, and nowhere to put a result.
                if self.stop_asked_at is None and (folder.stop_requested(self.dir) or not self.dir.is_dir()):
                    self.stop_asked_at = now
                    self.attempt_write(lambda: lifecycle.mark_stopping(self.store, self.job_id))
                if self.stop_asked_at is not None:
                    told = self.step_ladder(process, now - self.stop_asked_at, told)
        finally:
            os.close(pidfd)

    def step_ladder(self, process: psutil.Process, waited: float, told: int | None) -> int:
        """SIGINT to the program alone, so that it can save; then SIGTERM to all that belongs to it; then SIGKILL."""
        grace_int, grace_term = float(self.plan["grace_int_s"]), float(self.plan["grace_term_s"])
        if waited < grace_int:
            wanted = signal.SIGINT
        elif waited < grace_int + grace_term:
            wanted = signal.SIGTERM
        else:
            wanted = signal.SIGKILL
        if wanted == signal.SIGKILL:
            proctree.send(self.members(), wanted)  # again and again: they may still be forking
        elif wanted != told:
            proctree.send([process] if wanted == signal.SIGINT else self.members(), wanted)
        return wanted

    def members(self) -> list[psutil.Process]:
        return proctree.members(self.cookie, os.getpid())

    def clean_up(self) -> None:
        """Nothing of the job stays: what it left behind is told to go, then made to."""
        left = proctree.end_all(self.members, min(2.0, float(self.plan["grace_term_s"])), reap_children=True)
        if left:
            say(f"{left} process(es) left behind by the program were ended")

    def read_progress(self) -> None:
        """The newest events into the row."""
        events, self.offset = read_events(self.dir, self.offset)
        if events:
            self.progress = merge_progress(self.progress, events)
        now = time.monotonic()
        elapsed = now - self.began
        if events or now >= self.next_heartbeat:
            self.next_heartbeat = now + HEARTBEAT_S
            self.attempt_write(
                lambda: lifecycle.note_progress(self.store, self.job_id, self.attempt, self.progress, elapsed)
            )

    def attempt_write(self, write: Any) -> None:
        """A write that may fail without harm: the next one carries the same and more."""
        try:
            write()
        except WorkspaceError as error:
            say(f"not recorded for now: {error}")

    def finish(self, end: dict[str, Any]) -> None:
        """Record the end; while the disk is full, hold on and try again: the lock says that it is not over."""
        end = {
            "attempt": self.attempt,
            "ended": time.time(),
            "elapsed": time.monotonic() - self.began,
            **end,
        }
        pause = 0.2
        while True:
            try:
                lifecycle.finish(self.store, self.job_id, self.attempt, end)
                (self.dir / folder.RESERVE).unlink(missing_ok=True)
                return
            except WorkspaceError as error:
                if not self.dir.exists():
                    return
                say(f"cannot record the end yet: {error}")
                time.sleep(pause)
                pause = min(pause * 2, 10.0)


def say(text: str) -> None:
    """A line for ``supervisor.log``. It may lie on the very disk that is full: the watch matters more than its diary."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - our log


def _stay(signum: int, frame: FrameType | None) -> None:
    """Nothing; system calls go on by themselves (PEP 475)."""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def main(argv: list[str]) -> int:
    """See the module's docstring."""
    root, job_id, attempt, lock = argv[0], int(argv[1]), int(argv[2]), int(argv[3])
    os.set_inheritable(lock, False)  # the lock is ours alone: a daemonised grandchild must not keep it
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        say("not a subreaper: daemonised processes are found by their cookie only")
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What stops the panel or the session must not stop the watch; a shutdown ends it with SIGKILL. A handler, not
        # SIG_IGN: that would be inherited by the program, which could then not be told to stop either.
        signal.signal(signum, _stay)
    try:
        supervisor = Supervisor(open_store(Workspace(Path(root))), job_id, attempt)
        if "--adopt" in argv:
            supervisor.adopt()
        else:
            supervisor.run()
    except Exception:  # noqa: BLE001 - the border of the process: the watcher sees the free lock and reconciles
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
