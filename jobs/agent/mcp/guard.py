"""Stands between us and an MCP server that is a program: nothing that it started outlives us, whatever kills us.

    python -I -S guard.py LIFELINE COMMAND [ARGUMENT ...]

LIFELINE is the reading end of a pipe whose other end we hold. When that closes, because we closed it or died, the
server and all that it started are told to end, and killed a second later. The server inherits stdin, stdout and
stderr. Standard library only.

Covered: children in other groups or sessions, children whose parent is gone, our own death by SIGKILL, this program's
death (the server itself goes with it). Not covered: what another program, such as a container's, runs at the server's
request.
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
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE = 1.0
NOT_FOUND, NOT_RUN = 127, 126


def main() -> int:
    """Run the server and wait for its end or ours; its exit code, 128 and the signal's number where one ended it."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        # This program has one thread, so what runs between fork and exec is safe.
        server = subprocess.Popen(command, preexec_fn=_before(libc, os.getpid()), process_group=0)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
    _let_go()
    ended = os.pidfd_open(server.pid)
    _ready(lifeline, ended)
    if not _ready(ended, seconds=0):
        _ask_all(signal.SIGTERM)
        _ready(ended, seconds=GRACE)
    _end_all(server)
    code = server.returncode
    return 128 - code if code < 0 else code


def _ready(*handles: int, seconds: float | None = None) -> bool:
    """Wait until one of ``handles`` has something. Not ``select``: whoever starts us may hold more than its 1024 files."""
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _before(libc: ctypes.CDLL, guard: int) -> Callable[[], None]:
    def follow() -> None:
        for restored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(restored, signal.SIG_DFL)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    return follow


def _let_go() -> None:
    """Leave the three streams to the server alone: their ends shall be seen when it closes them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _below() -> set[int]:
    """Everything that descends from us. Orphans are handed to us, so nothing slips out."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found - {os.getpid()}


def _ask_all(sign: signal.Signals) -> None:
    for pid in _below():
        with contextlib.suppress(OSError):
            os.kill(pid, sign)


def _end_all(server: subprocess.Popen[bytes]) -> None:
    while _below():
        _ask_all(signal.SIGKILL)
        server.poll()
        if server.returncode is not None:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
        time.sleep(0.005)
    server.wait()


if __name__ == "__main__":
    sys.exit(main())
