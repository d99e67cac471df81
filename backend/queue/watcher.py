"""The one process per workspace that dispatches the queue, keeps the rows true and records the memory, in a thread of its
own. It needs no browser and no panel.

    python -m backend.queue.watcher [WORKSPACE]

Started by the panel and by the command line where none runs (:func:`ensure_running`). It leaves by itself when the
workspace is gone, when a newer TuneDeck asks for its place, or when no panel is open and no job is left for a while.
Killed, it loses nothing: supervisors do not depend on it, and the next one reads the same rows and folders.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

from backend import settings as settings_module
from backend.errors import PanelError
from backend.memory.recorder import PARTS as RECORDER_PARTS
from backend.memory.recorder import Recorder
from backend.queue import dispatch, locks, reconcile
from backend.queue.rebuild import ensure_sound
from backend.queue.resources import cards
from backend.queue.rows import LIVE
from backend.queue.runner import LocalRunner, Runner
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, Workspace, default_root, open_workspace, read_json, write_json

LOCK, ADDRESS, RETIRE = "watcher.lock", "watcher.json", "watcher.retire"
PANEL_LOCK = "panel.lock"
TICK_S = 0.1
RECONCILE_S = 1.0
LEAVE_S = 30.0
"""How long a new watcher waits for one of another version to leave."""

log = logging.getLogger("tunedeck.watcher")
_started: list[subprocess.Popen[bytes]] = []


def code_version() -> str:
    """Changes when the code of the queue or the recorder does: a watcher of an older checkout makes room for ours."""
    ours = [
        *Path(__file__).parent.glob("*.py"),
        *(ROOT / "backend" / "memory" / f"{name}.py" for name in RECORDER_PARTS),
    ]
    return f"{ROOT}:{max(path.stat().st_mtime_ns for path in ours)}"


def ensure_running(workspace: Workspace) -> None:
    """Start the watcher of ``workspace`` unless one runs; one of another version is asked to leave, and the new one waits for its place:
    whoever calls this may never call again. Returns at once."""
    _started[:] = [child for child in _started if child.poll() is None]
    if locks.held(workspace.run / LOCK):
        other = _of_another_version(workspace)
        if other is None:
            return
        write_json(workspace.run / RETIRE, other)  # whole or not at all: who reads nothing takes itself to be meant
    if _started:
        return  # on its way
    with (workspace.logs / "watcher.log").open("ab") as output:
        _started.append(
            subprocess.Popen(
                [sys.executable, "-m", "backend.queue.watcher", str(workspace.root)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                start_new_session=True,
            )
        )


def running(workspace: Workspace) -> int | None:
    """PID of the watcher of ``workspace``, or None."""
    if not locks.held(workspace.run / LOCK):
        return None
    about = read_json(workspace.run / ADDRESS) or {}
    pid = about.get("pid")
    return pid if isinstance(pid, int) else None


def _of_another_version(workspace: Workspace) -> int | None:
    """PID of the watcher that holds the place, where it says that it is of another version than we are."""
    about = read_json(workspace.run / ADDRESS) or {}
    return int(about.get("pid", 0)) if about.get("version") not in (None, code_version()) else None


def _place(workspace: Workspace) -> int | None:
    """The lock of the one watcher; None where another one of our version has it, or one of another version does not leave."""
    deadline = time.monotonic() + LEAVE_S
    while (lock := locks.acquire(workspace.run / LOCK)) is None:
        if _of_another_version(workspace) is None or time.monotonic() > deadline:
            return None
        time.sleep(TICK_S)
    return lock


class Watcher:
    """The loop: dispatch when something changed, reconcile once a second."""

    def __init__(self, workspace: Workspace, store: Store, runner: Runner) -> None:
        self.workspace, self.store, self.runner = workspace, store, runner
        self.version = code_version()
        self.seen = -1
        self.silence = reconcile.Silence()
        self.idle_since = time.monotonic()
        self.stopping = False
        self.leaving = "asked"
        self.last_problem = ""

    def run(self) -> None:
        """Until there is no reason to stay."""
        next_tick = next_reconcile = time.monotonic()
        while not self.stopping and not self._asked_to_leave():
            now = time.monotonic()
            try:
                self.runner.reap()
                reconcile_now = now >= next_reconcile
                if reconcile_now:
                    reconcile.tick(self.store, self.runner, self.silence)
                    next_reconcile = now + RECONCILE_S
                version = self.store.version()
                if version != self.seen or reconcile_now:
                    self.seen = version
                    self._dispatch()
                if reconcile_now and self._nothing_to_do():
                    log.info("no panel and no job for a while: leaving")
                    self.leaving = "idle"
                    return
                self.last_problem = ""
            except PanelError as error:
                self._complain(error)
                if error.code == "workspace_damaged":
                    ensure_sound(self.workspace)
                if not self.workspace.root.is_dir():
                    return
            # Absolute deadlines: work does not stretch the period, and a suspended laptop does not cause a burst.
            next_tick = max(next_tick + TICK_S, time.monotonic())
            time.sleep(min(TICK_S, max(0.0, next_tick - time.monotonic()) or TICK_S))

    def _dispatch(self) -> None:
        if not self.store.queue(limit=1):
            return
        settings = settings_module.load(self.workspace)
        started = dispatch.tick(
            self.store,
            self.runner,
            cards,
            cpu_slots=settings.cpu_slots,
            grace_int_s=settings.grace_int_s,
            grace_term_s=settings.grace_term_s,
        )
        for job_id in started:
            log.info("started job %s", job_id)

    def _nothing_to_do(self) -> bool:
        counts = self.store.counts()
        busy = counts.get("queued", 0) + sum(counts.get(state, 0) for state in LIVE)
        if busy or locks.held(self.workspace.run / PANEL_LOCK):
            self.idle_since = time.monotonic()
            return False
        return time.monotonic() - self.idle_since >= settings_module.load(self.workspace).watcher_idle_s

    def _asked_to_leave(self) -> bool:
        retire = self.workspace.run / RETIRE
        try:
            asked = retire.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return not self.workspace.run.is_dir()
        retire.unlink(missing_ok=True)
        if asked and asked != str(os.getpid()):
            return False  # for the one before us, by somebody who was slow
        log.info("another version of TuneDeck takes over")
        return True

    def _complain(self, error: PanelError) -> None:
        """Once per problem, not ten times a second."""
        if str(error) != self.last_problem:
            log.error("%s %s", error, error.hint)
            self.last_problem = str(error)

    def stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def main(argv: list[str] | None = None) -> int:
    """See the module's docstring."""
    args = sys.argv[1:] if argv is None else argv
    workspace = open_workspace(Path(args[0]) if args else default_root())
    lock = _place(workspace)
    if lock is None:
        return 0  # another one was faster
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[RotatingFileHandler(workspace.logs / "watcher.log", maxBytes=1 << 20, backupCount=2)],
    )
    try:
        (workspace.run / RETIRE).unlink(missing_ok=True)
        write_json(workspace.run / ADDRESS, {"pid": os.getpid(), "version": code_version(), "t": time.time()})
        watcher = Watcher(workspace, open_store(workspace, check=True), LocalRunner())
        signal.signal(signal.SIGTERM, watcher.stop)
        signal.signal(signal.SIGINT, watcher.stop)
        log.info("watcher %s begins", os.getpid())
        recorder = Recorder(workspace)
        recorder.start()
        try:
            watcher.run()
        finally:
            recorder.stop(watcher.leaving)
    except PanelError as error:
        log.error("%s %s", error, error.hint)
        return 1
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
