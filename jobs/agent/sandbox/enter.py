"""The program that shuts itself in and runs code. ``watch`` starts it, with nothing of ours in its environment.

Three processes. The first stays outside and ends the others when it is told to, or when nobody is left to tell it. The
second is the first of its own world of processes, so that all of it ends with it; without namespaces there is none.
The last puts up the walls and then runs the code.

What is trusted and what is not are told over different pipes: ``news`` is closed before the code runs.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import sys
from typing import Any

from jobs.agent.sandbox import cell, kernel, landlock, namespaces, seccomp

BAD = 97
"""Exit code of a process that could not put up its walls; why was written to ``news``."""


def main() -> None:
    """Read the job from stdin and do it."""
    job: dict[str, Any] = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - written by our own parent
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if job["namespaces"]:
            namespaces.leave()
        child = os.fork()
    except OSError as error:
        _refused(job, error)
    if child:
        _guard(job, child)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if job["namespaces"] and (code := os.fork()):
        _first(job, code)
    try:
        _wall_in(job)
    except (OSError, ValueError) as error:
        _refused(job, error)
    for name in [each for each in sys.modules if each.partition(".")[0] == "jobs"]:
        del sys.modules[name]
    cell.run(job["code"], job["report"], job["figures"])


def _refused(job: dict[str, Any], error: Exception) -> None:
    step = getattr(error, "step", "") or getattr(error, "filename", None) or "limits"
    os.write(job["news"], f"X{step}: {getattr(error, 'strerror', None) or error}\n".encode())
    os._exit(BAD)


def _guard(job: dict[str, Any], child: int) -> None:
    """Outside: wait for the child's end, or bring it about when the pipe ``hold`` is closed at its other end."""
    for handle in (1, 2, job["report"]):
        os.close(handle)
    watched = select.poll()
    watched.register(job["hold"], select.POLLIN)
    try:
        watched.register(os.pidfd_open(child), select.POLLIN)
    except OSError as error:
        os.kill(child, signal.SIGKILL)
        _refused(job, error)
    if any(handle == job["hold"] for handle, _event in watched.poll()):
        os.kill(child, signal.SIGKILL)
    _pid, status, used = os.wait4(child, 0)
    os.write(job["news"], f"S{os.waitstatus_to_exitcode(status)}\nU{used.ru_utime + used.ru_stime:.3f}\n".encode())
    os._exit(0)


def _first(job: dict[str, Any], code: int) -> None:
    """The first process of a world: it outlives the code, tells how that ended, and takes along whatever is left."""
    for handle in (1, 2, job["report"], job["hold"]):
        os.close(handle)
    _pid, status = os.waitpid(code, 0)
    os.write(job["news"], f"S{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _wall_in(job: dict[str, Any]) -> None:
    outside = os.readlink("/proc/self")  # noqa: PTH115 - pathlib takes 10 ms to load
    os.close(job["hold"])
    os.umask(0o077)
    if job["namespaces"]:
        namespaces.shut(job["reads"], job["devices"], job["folder"])
    os.chdir(job["folder"])
    for name, value in job["limits"].items():
        _limit(getattr(resource, name), value)
    kernel.without_privileges()
    kernel.prctl(
        kernel.PR_SET_DUMPABLE, 1
    )  # changed privileges hid us from the watch, which reads what we wrote to disk
    if job["landlock"]:
        landlock.shut(job["reads"], [job["folder"], *job["devices"]])
    _make_python_plain(job)
    seccomp.shut(os.getpid())
    os.write(job["news"], f"R{outside}\n".encode())
    os.close(job["news"])


def _limit(kind: int, value: int) -> None:
    highest = value + 1 if kind == resource.RLIMIT_CPU else value  # first a signal that names the reason, then the end
    allowed = resource.getrlimit(kind)[1]
    if allowed != resource.RLIM_INFINITY:
        value, highest = min(value, allowed), min(highest, allowed)
    resource.setrlimit(kind, (value, highest))


def _make_python_plain(job: dict[str, Any]) -> None:
    # Own modules last: a random.py left there must not stand in for Python's.
    sys.path[:] = [*job["path"], job["folder"]]
    sys.argv[:] = [""]
    sys.dont_write_bytecode = True
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
