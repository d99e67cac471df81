"""A world without the rest of the machine, by namespaces.

Its own processes, its own network with nothing in it, and a root folder in which only a few paths of the real one
exist. An unprivileged process gets them together with a user namespace, where the system allows that.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from jobs.agent.sandbox.kernel import call

NEW_EVERYTHING = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
"""Mounts, host name, IPC, users, processes, network."""

MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV = 4096, 16384, 1 << 18, 2, 4
READ_ONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
"""Attributes of a mount."""

AT_FDCWD, AT_RECURSIVE, MNT_DETACH = -100, 0x8000, 2
STAGE = "/sys"
"""Where the new root is put together: a folder that every Linux has, and in which nothing lies that we show."""


def leave() -> None:
    """Move into new namespaces; processes follow with the next fork.

    Raises:
        Refused: the kernel or its settings do not allow it to us.
        OSError: as above, at the next step.
    """
    user, group = os.geteuid(), os.getegid()
    call("unshare", NEW_EVERYTHING)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def shut(reads: Iterable[str], writes: Iterable[str], folder: str) -> None:
    """Make a root in which only ``reads`` exist, to be read, ``writes`` (devices), and ``folder``; and live there.

    Raises:
        Refused: a mount was not allowed.
    """
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"none", STAGE.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"size=256k,mode=755")
    shown: list[str] = []
    for path in sorted(reads):
        if not any(path == other or path.startswith(f"{other}/") for other in shown) and _show(path):
            _set(path, READ_ONLY | NOSUID | NODEV)
            shown.append(path)
    for path in writes:
        if _show(path):
            _set(path, NOSUID | NOEXEC)
    _show(folder)
    _set(folder, NOSUID | NODEV | NOEXEC)
    _set("", READ_ONLY | NOSUID | NODEV, 0)
    os.chdir(STAGE)
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def _show(path: str) -> bool:
    """Have ``path`` in the new root; a link as a link. False for what is not there or is a link."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    place = STAGE + path
    os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes 10 ms to load
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(path), place)  # noqa: PTH115, PTH211 - as above
        return False
    if stat.S_ISDIR(found.st_mode):
        os.makedirs(place, exist_ok=True)  # noqa: PTH103
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))
    call("mount", os.fsencode(path), os.fsencode(place), None, MS_BIND | MS_REC, None)
    return True


def _set(path: str, attributes: int, how: int = AT_RECURSIVE) -> None:
    values = struct.pack("=QQQQ", attributes, 0, 0, 0)
    call("mount_setattr", AT_FDCWD, os.fsencode(STAGE + path), how, values, len(values))
