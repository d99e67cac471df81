"""Several files at once, with progress; whatever happens, a stop is noticed within a quarter of a second."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from backend.hubs import size_text
from jobs.downloads.folder import Folder, total
from jobs.downloads.listing import Listing, RemoteFile
from jobs.downloads.problems import Asked, disk_problem
from jobs.downloads.retry import Judge, persist
from jobs.harness import Job, Stopped

T = TypeVar("T")
AT_ONCE = 4
"""Files at once: enough to fill a line with several connections, few enough for a hub's limits."""

LOOK_S = 0.25
REPORT_S = 1.0
LOG_S = 30.0
WINDOW_S = 15.0
MB = 1e6


class Hub(Judge, Protocol):
    """One repository on a hub."""

    asked: Asked

    def listing(self) -> Listing: ...

    def check(self, file: RemoteFile) -> None: ...

    def fetch(self, file: RemoteFile, folder: Path) -> None: ...


def alone(job: Job, stopping: threading.Event, call: Callable[[], T]) -> T:
    """``call`` in a thread of its own, so that a silent line does not keep a stop waiting.

    The thread is left behind on a stop: it holds nothing but a connection, and the program ends at once.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        _check(job, stopping)
        thread.join(LOOK_S)
    if failure:
        raise failure[0]
    return outcome[0]


def fetch_all(job: Job, hub: Hub, folder: Folder, files: list[RemoteFile], stopping: threading.Event) -> None:
    """Fetch what of ``files`` is not here yet.

    Raises:
        PanelError: a file cannot be had; the others keep what they have.
        Stopped: the person asked to stop.
    """
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for file in files:
        if not folder.complete(file):
            waiting.put(file)
    failures: list[BaseException] = []

    def work() -> None:
        while not stopping.is_set() and not failures:
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                persist(
                    lambda file=file: hub.fetch(file, folder.path),  # type: ignore[misc]
                    hub,
                    job,
                    stopping,
                    file.path,
                    lambda file=file: folder.have(file),  # type: ignore[misc]
                )
            except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
                failures.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE)]
    progress = Progress(job, "download", total(files), len(files))
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers) and not failures:
        _check(job, stopping)
        progress.at(sum(folder.have(file) for file in files), sum(folder.complete(file) for file in files))
        next((w for w in workers if w.is_alive()), workers[0]).join(LOOK_S)
    if failures:
        stopping.set()
        raise disk_problem(failures[0], folder.path) or failures[0]
    progress.at(sum(folder.have(file) for file in files), len(files), last=True)


def verify_all(
    job: Job, folder: Folder, files: list[RemoteFile], stopping: threading.Event
) -> tuple[list[RemoteFile], int]:
    """(Files of another content than the hub says, now deleted; how many were looked at)."""
    todo = [file for file in files if not folder.verified(file)]
    progress = Progress(job, "verify", total(todo), len(todo))
    bad: list[RemoteFile] = []
    done = 0

    def tick(size: int) -> None:
        nonlocal done
        _check(job, stopping)
        done += size
        progress.at(done, looked)

    for looked, file in enumerate(todo):  # noqa: B007 - read by tick
        if not folder.verify(file, tick):
            job.log(f"{file.path}: the content is not what the hub says; deleted")
            bad.append(file)
    progress.at(done, len(todo), last=True)
    return bad, len(todo)


class Progress:
    """Tells where a phase stands, once a second: MB done, files, MB/s of the last seconds, seconds left."""

    def __init__(self, job: Job, phase: str, size: int, files: int) -> None:
        self._job, self._phase, self._size, self._files = job, phase, size, files
        self._seen: deque[tuple[float, int]] = deque()
        self._told, self._logged = 0.0, time.monotonic()

    def at(self, done: int, files: int, last: bool = False) -> None:
        """``done`` bytes and ``files`` files are there."""
        now = time.monotonic()
        if not last and now - self._told < REPORT_S:
            return
        self._told = now
        self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        rate = max(0.0, (done - before) / (now - then)) if now > then else 0.0
        left = (self._size - done) / rate if rate else (0.0 if done >= self._size else None)
        self._job.progress(
            self._phase,
            round(done / MB, 3),
            round(self._size / MB, 3),
            left,
            {"mb_per_s": round(rate / MB, 3), "files": files, "files_total": self._files},
        )
        if last or now - self._logged >= LOG_S:
            self._logged = now
            self._job.log(
                f"{self._phase}: {size_text(done)} of {size_text(self._size)}, {files} of {self._files} files, "
                f"{size_text(rate)}/s"
            )


def _check(job: Job, stopping: threading.Event) -> None:
    if job.stop_requested:
        stopping.set()
        raise Stopped
