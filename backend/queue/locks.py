"""A job is alive while its ``lock`` file is locked (``flock``): the kernel lets go when the holder dies, however it dies.

The dispatcher takes the lock and hands the open descriptor to the supervisor, so there is no moment without a holder.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

FILE = "lock"


def acquire(path: Path) -> int | None:
    """The locked descriptor of ``path``, or None where somebody else holds it. Close it to let go."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def held(path: Path) -> bool:
    """Whether somebody holds the lock of ``path`` now. A shared probe: two probes do not disturb each other."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
