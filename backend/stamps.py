"""Whether files are still those that something was read from: what is kept by a stamp is read anew when it no longer holds.

now = stamp(path)                 before reading
if known and known[0] == now: ...
if settled(now): keep (now, what was read)
"""

from __future__ import annotations

import os
import time
from pathlib import Path

SETTLED_NS = 50_000_000
"""A file that changed this shortly ago may change again without another time: clocks of file systems tick slowly."""
Stamp = tuple[tuple[int, int, int, int] | None, ...]


def stamp(*paths: str | Path) -> Stamp:
    """Inode, size, and both times of each; None for one that cannot be looked at."""
    return tuple(map(_one, paths))


def settled(found: Stamp) -> bool:
    """Whether what is read now may be kept by ``found``: nothing of it has changed a moment ago."""
    newest = max((max(each[2:]) for each in found if each), default=0)
    return time.time_ns() - newest > SETTLED_NS


def _one(path: str | Path) -> tuple[int, int, int, int] | None:
    try:
        now = os.stat(path)  # noqa: PTH116 - asked by the hundred: making a Path costs more than the call
    except (OSError, ValueError):
        return None
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
