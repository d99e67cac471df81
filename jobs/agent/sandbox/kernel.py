"""Calls of the kernel that Python has no name for. Loaded by the program that shuts itself in: nothing slow is
imported."""

from __future__ import annotations

import ctypes
import os

MACHINE = os.uname().machine
NUMBERS = {
    "x86_64": {"pivot_root": 155, "unshare": 272, "capset": 126, "umount2": 166, "mount": 165},
    "aarch64": {"pivot_root": 41, "unshare": 97, "capset": 91, "umount2": 39, "mount": 40},
}.get(MACHINE, {}) | {
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
"""From the kernel's unistd.h; those above 423 are the same on all machines."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Refused(OSError):
    """The kernel said no. ``step``: to what."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(number, os.strerror(number))
        self.step = step


def call(name: str, *values: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """The system call ``name``.

    Raises:
        Refused: it failed, or this machine's number for it is not known.
    """
    if name not in NUMBERS:
        raise Refused(name, 38)
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in values]
    result = int(_libc.syscall(ctypes.c_long(NUMBERS[name]), *given))
    if result < 0:
        raise Refused(name, ctypes.get_errno())
    return result


def prctl(option: int, *values: int | ctypes.Array[ctypes.c_char]) -> int:
    """``prctl(2)``.

    Raises:
        Refused: it failed.
    """
    given = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in values]
    given += [ctypes.c_ulong(0)] * (4 - len(given))
    result = int(_libc.prctl(option, *given))
    if result < 0:
        raise Refused(f"prctl {option}", ctypes.get_errno())
    return result


def without_privileges() -> None:
    """Give up every capability, for good."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except Refused:
            break  # past the last one, or we have none that could be dropped
    header = CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    call("capset", header, bytes(24))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
