"""Which processes belong to a job, and how they are ended.

Covered: children and grandchildren; processes that left the process group or session (``setsid``, double fork), because
they still carry the job's cookie in their environment or are still descendants of the supervisor, which is a subreaper;
processes that ignore SIGTERM; suspended ones. PIDs are compared with their start time, so a reused PID is never hit.
Not covered: a process that was started with a cleaned environment *and* whose supervisor was killed: nothing tells it
apart from a stranger's, and strangers are never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil

COOKIE = "TUNEDECK_JOB_COOKIE"


def start_ticks(pid: int) -> int | None:
    """When the living process ``pid`` started, in clock ticks since boot (``/proc/PID/stat`` field 22); None if gone.

    Not ``psutil.create_time``: that is wall time, and moves when the clock is set.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def process_at(pid: int, ticks: int) -> psutil.Process | None:
    """The process ``pid`` if it still is the one that started at ``ticks``."""
    if pid <= 0 or start_ticks(pid) != ticks:
        return None
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def age_s(ticks: int) -> float:
    """Seconds since ``ticks``, by the clock that counts from boot and never jumps."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def with_cookie(cookie: str) -> list[psutil.Process]:
    """Processes of this user whose environment carries ``cookie``, this process left out."""
    wanted = f"{COOKIE}={cookie}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry.name}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            process = psutil.Process(int(entry.name))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue  # gone meanwhile, or another user's
    return found


def members(cookie: str, root: int | None = None) -> list[psutil.Process]:
    """Every living process of the job: those with the cookie, and all descendants of ``root`` (the supervisor)."""
    found = {p.pid: p for p in with_cookie(cookie)}
    if root is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(root).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found[process.pid] = process
    return list(found.values())


def send(processes: list[psutil.Process], signum: int) -> None:
    """Send ``signum``; a suspended process is woken so that it can act on it."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(signum)
            if signum != signal.SIGKILL:
                process.send_signal(signal.SIGCONT)


def reap() -> None:
    """Collect children that ended (own and adopted), so that they do not stay as zombies."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_all(find: Callable[[], list[psutil.Process]], term_s: float, *, reap_children: bool = False) -> int:
    """SIGTERM to what ``find`` finds, after ``term_s`` seconds SIGKILL, until nothing is found. Returns how many there were."""
    seen: set[tuple[int, int | None]] = set()
    deadline = time.monotonic() + term_s
    told: set[int] = set()
    while True:
        if reap_children:
            reap()
        alive = find()
        if not alive:
            return len(seen)
        seen |= {(process.pid, start_ticks(process.pid)) for process in alive}
        if time.monotonic() >= deadline:
            send(alive, signal.SIGKILL)
        else:
            send([p for p in alive if p.pid not in told], signal.SIGTERM)
            told |= {p.pid for p in alive}
        time.sleep(0.05)
