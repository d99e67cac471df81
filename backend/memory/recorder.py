"""The recorder: once a second a look at the machine, kept in ``memory.db``. A thread of the watcher's process.

It needs no browser. It runs while the watcher does: as long as a panel is open or a job is there, and some minutes more.

Covered: a driver that hangs (the thread hangs; neither the queue nor its leaving waits for it), a full disk (nothing is
written until there is room again; the last minutes are kept in memory and written then), a damaged record (put beside),
a clock that is set, a deleted workspace, a kill at any moment (the second in hand is lost; what is missing is a gap).
Not covered: a watcher that is suspended, and one that is not running: there is a gap.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backend.errors import FULL_BYTES, PanelError, workspace_full
from backend.memory.sample import Moment, Sample
from backend.workspace import Workspace, read_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.memory.moments import JobsWatch, MachineWatch
    from backend.memory.series import MemoryStore
    from backend.queue.store import Store

PERIOD_S = 1.0
START_AFTER_S = 1.0
"""The queue comes first: what we import takes a moment of the processor."""
LEAVE_S = 1.0
JUMP_S = 2.0
LEAST_FREE_BYTES = 8 * FULL_BYTES
"""With less room on the disk nothing is recorded: what is left is for the jobs' results."""
WAITING = 600
"""Samples that are kept in memory while they cannot be written."""
STATUS, STATUS_BYTES = "recorder.json", 1024
"""Under ``run/``, of a fixed size: written in place, so that a full disk has room for it."""

PARTS = (
    *("recorder", "reader", "cards", "nvml", "host", "machine", "attribution", "leased", "moments", "sample"),
    *("series", "database", "schema", "compaction", "tiers", "windows", "wire"),
)
"""The files here that a running recorder has loaded."""

log = logging.getLogger("tunedeck.memory")


class Reads(Protocol):
    """What looks at the machine: :class:`backend.memory.reader.Reader`."""

    def read(self, now: float) -> Sample: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Status:
    """What the recorder says of itself. problem: code of why nothing is written, "" where all is well; since: epoch s."""

    pid: int
    since: float
    problem: str = ""


class Recorder:
    """Start it, and stop it; everything between is its thread's. open_reader: for tests, what looks at the machine."""

    def __init__(self, workspace: Workspace, open_reader: Callable[[Workspace, Store], Reads] | None = None) -> None:
        self.workspace = workspace
        self._open_reader = open_reader or _reader
        self._stop = threading.Event()
        self._why = "asked"
        self._thread = threading.Thread(target=self._run, name="memory-recorder", daemon=True)
        self._waiting: deque[Sample] = deque(maxlen=WAITING)
        self._untold: deque[Moment] = deque(maxlen=WAITING)
        self._unsettled: deque[int] = deque(maxlen=WAITING)
        self._second = 0
        self._offset: float | None = None
        self._full_since: float | None = None
        self._problem = ""
        self._said: str | None = None

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def stop(self, why: str = "asked") -> None:
        """End it. A look that does not return is left behind: it ends with the process."""
        self._why = why
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)

    # --- the thread

    def _run(self) -> None:
        if self._stop.wait(START_AFTER_S):
            return
        try:
            while not self._stop.is_set():
                try:
                    self._record()
                except Exception as error:  # noqa: BLE001 - the border of the thread: the queue goes on whatever it is
                    self._complain(str(error) if isinstance(error, PanelError) else repr(error))
                    self._say(error.code if isinstance(error, PanelError) else "unknown")
                if not self.workspace.root.is_dir():
                    return
                self._stop.wait(PERIOD_S)
        finally:
            _write_status(self.workspace, None)

    def _record(self) -> None:
        """Open everything, then a look a second until it is to stop, or something went wrong that only opening anew mends."""
        from backend.memory.moments import JobsWatch, MachineWatch
        from backend.memory.series import open_memory
        from backend.queue.store import open_store
        from backend.settings import load

        self._check_room()
        memory, store = open_memory(self.workspace), open_store(self.workspace)
        with contextlib.suppress(PanelError):  # a setting that is wrong is told elsewhere
            memory.limit_bytes = load(self.workspace).memory_history_mib << 20
        reader = self._open_reader(self.workspace, store)
        machine, jobs = MachineWatch(), JobsWatch(store)
        self._say("")
        self._untold.append(Moment(time.time(), "recorder_began"))
        try:
            while not self._stop.wait(self._until_next()):
                self.tick(reader, memory, machine, jobs)
            self._untold.append(Moment(time.time(), "recorder_ended", "", "", {"why": self._why}))
            with contextlib.suppress(PanelError):
                self._write(memory)
        finally:
            with contextlib.suppress(Exception):
                reader.close()
            memory.close()
            store.close()

    def tick(self, reader: Reads, memory: MemoryStore, machine: MachineWatch, jobs: JobsWatch) -> None:
        """One look, kept or put aside until it can be written."""
        now = time.time()
        self._second = int(now)
        self._untold.extend(self._clock(now))
        sample = reader.read(now)
        self._waiting.append(sample)
        self._untold.extend(machine.look(sample))
        try:
            moments, ended = jobs.look(sample)
            self._untold.extend(moments)
            self._unsettled.extend(ended)
        except PanelError as error:
            self._complain(str(error))  # the rows cannot be read now; the watcher sees to that
        try:
            self._check_room()
            self._write(memory)
        except PanelError as error:
            if not self.workspace.root.is_dir():
                raise
            self._complain(str(error))
            self._say(error.code)
        else:
            self._problem = ""

    def _write(self, memory: MemoryStore) -> None:
        """What waits, oldest first; what was written does not wait any more."""
        while self._waiting:
            memory.append(self._waiting[0])
            self._waiting.popleft()
        if self._full_since is not None:
            self._untold.append(Moment(self._full_since, "disk_full", "", "", {"until": time.time()}))
            self._full_since = None
        while self._untold:
            memory.add_moment(self._untold[0])
            self._untold.popleft()
        while self._unsettled:
            memory.settle(self._unsettled[0])
            self._unsettled.popleft()
        self._say("")

    def _until_next(self) -> float:
        """Seconds to the middle of the next second of the clock: each second gets one look, however late the last one was.
        What was missed is missed; a clock that was set is followed."""
        now = time.time()
        left = self._second + PERIOD_S * 1.5 - now
        if 0 <= left <= 1.5 * PERIOD_S:
            return left
        return 0.0 if int(now) != self._second else PERIOD_S

    def _check_room(self) -> None:
        if shutil.disk_usage(self.workspace.root).free < LEAST_FREE_BYTES:
            raise workspace_full(self.workspace.root)

    def _clock(self, now: float) -> list[Moment]:
        """By how much the clock was set since the last look; a machine that slept only has a gap."""
        offset = now - time.clock_gettime(time.CLOCK_BOOTTIME)
        before, self._offset = self._offset, offset
        if before is None or abs(offset - before) < JUMP_S:
            return []
        return [Moment(now, "clock_jumped", "", "", {"seconds": round(offset - before, 1)})]

    def _say(self, problem: str) -> None:
        """Tell whoever looks, where it changed."""
        if problem == "workspace_full" and self._full_since is None:
            self._full_since = time.time()
        if problem != self._said:
            _write_status(self.workspace, Status(os.getpid(), time.time(), problem))
            self._said = problem

    def _complain(self, text: str) -> None:
        """Once per problem, not every second."""
        if text != self._problem:
            log.error("memory is not recorded: %s", text)
            self._problem = text


def status(workspace: Workspace) -> Status | None:
    """What the recorder of ``workspace`` says of itself, or None where none says anything."""
    data = read_json(workspace.run / STATUS)
    if not isinstance(data, dict):
        return None
    return Status(int(data["pid"]), float(data["since"]), str(data["problem"]))


def _write_status(workspace: Workspace, told: Status | None) -> None:
    """In place and of one size: on a full disk a file cannot be replaced."""
    path = workspace.run / STATUS
    data: Any = None if told is None else {"pid": told.pid, "since": told.since, "problem": told.problem}
    # The folder may be gone, or the disk full before the file was there: then the age of the record tells.
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, json.dumps(data).encode().ljust(STATUS_BYTES), 0)
        finally:
            os.close(fd)


def _reader(workspace: Workspace, store: Store) -> Reads:
    from backend.memory.reader import Reader

    return Reader(workspace, store)
