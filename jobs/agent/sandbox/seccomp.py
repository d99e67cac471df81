"""Which system calls the code may make, by seccomp: what computing needs; all else is "not permitted"."""

from __future__ import annotations

import ctypes
import struct

from jobs.agent.sandbox import syscalls
from jobs.agent.sandbox.kernel import MACHINE, PR_SET_SECCOMP, Refused, prctl

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables, and the kernel's number of the machine."""

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS, ENOTTY, ENOTSUP = 1, 38, 25, 95
ARGUMENTS = 16
"""Where the first argument stands in what a filter sees; each has eight bytes, the lower four first on both
machines."""

NEWER = 424
"""From here on an unknown call is answered as by an older kernel: libraries then take the older way."""

CLONE_THREAD, CLONE_NEW = 0x00010000, 0x7E020000
TRUNCATE, ACCESS_MODE = 0o1000, 3
FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Copies, flags and locks of a descriptor; not who is sent its signals."""

IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, how wide, how much is there to read, flags of the descriptor."""

PRCTL = (3, 15, 16, 0x53564D41)
"""Names of threads and of memory."""

_Step = tuple[int, int, int, int]


def _when(number: int, *steps: _Step) -> list[_Step]:
    return [(EQUAL, 0, len(steps), number), *steps]


def _error(number: int) -> _Step:
    return (RETURN, 0, 0, ERROR | number)


_ALLOW: _Step = (RETURN, 0, 0, ALLOW)


def _one_of(argument: int, values: tuple[int, ...], otherwise: int, mask: int | None = None) -> list[_Step]:
    """Allow where the argument is one of ``values``."""
    steps: list[_Step] = [(LOAD, 0, 0, ARGUMENTS + 8 * argument)]
    if mask is not None:
        steps.append((AND, 0, 0, mask))
    for value in values:
        steps += [(EQUAL, 0, 1, value), _ALLOW]
    return [*steps, _error(otherwise)]


def _opening(argument: int) -> list[_Step]:
    """Opening, but not emptying a file that is opened for reading: an early Landlock does not see that."""
    load = (LOAD, 0, 0, ARGUMENTS + 8 * argument)
    reads, neither = TRUNCATE, TRUNCATE | ACCESS_MODE
    steps: list[_Step] = [load, (AND, 0, 0, TRUNCATE | ACCESS_MODE)]
    return [*steps, (EQUAL, 1, 0, reads), (EQUAL, 0, 1, neither), _error(EPERM), _ALLOW]


def _looked_at(pid: int) -> dict[str, list[_Step]]:
    pair = [(LOAD, 0, 0, ARGUMENTS), (EQUAL, 1, 0, 1), _error(EPERM)]
    return {
        "clone": _one_of(0, (CLONE_THREAD,), EPERM, CLONE_THREAD | CLONE_NEW),
        "clone3": [_error(ENOSYS)],
        "openat": _opening(2),
        "open": _opening(1),
        "prctl": _one_of(0, PRCTL, EPERM),
        "kill": _one_of(0, (pid,), EPERM),
        "tgkill": _one_of(0, (pid,), EPERM),
        "tkill": _one_of(0, (pid,), EPERM),
        "socketpair": [*pair, *_one_of(1, (1,), EPERM, 0xF)],  # unix, streams: these cannot be sent elsewhere
        "ioctl": _one_of(1, IOCTL, ENOTTY),
        "fcntl": _one_of(1, FCNTL, EPERM),
        "prlimit64": _one_of(0, (0,), EPERM),
    }


def program(pid: int, machine: str = MACHINE) -> bytes:
    """The filter for process ``pid``, as the kernel reads it.

    Raises:
        Refused: the numbers of this machine's calls are not known.
    """
    if machine not in ARCHITECTURES:
        raise Refused("seccomp", ENOSYS)
    column, architecture = ARCHITECTURES[machine]
    steps: list[_Step] = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for number in syscalls.numbers(syscalls.ALLOWED, column):
        steps += _when(number, _ALLOW)
    for name, body in _looked_at(pid).items():
        looked_at = syscalls.LOOKED_AT[name][column]
        if looked_at is not None:
            steps += _when(looked_at, *body)
    for number in syscalls.numbers(syscalls.SILENT, column):
        steps += _when(number, _error(0))
    for number in syscalls.numbers(syscalls.UNSUPPORTED, column):
        steps += _when(number, _error(ENOTSUP))
    steps += [(AT_LEAST, 0, 1, NEWER), _error(ENOSYS), _error(EPERM)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def shut(pid: int) -> None:
    """Hold this thread and those it starts to the list, for good.

    Raises:
        Refused: the kernel has no seccomp filters.
    """
    steps = program(pid)
    kept = ctypes.create_string_buffer(steps, len(steps))
    head = struct.pack("@HP", len(steps) // 8, ctypes.addressof(kept))
    prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(head, len(head)))
