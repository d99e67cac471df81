"""Whether a model folder is still the one that a card was read from: names, sizes and times of its files."""

from __future__ import annotations

import os
import time
from typing import Any

# Everything that a card is made from: see folder_stamp.
STAMPED = (".json", ".safetensors", ".jinja", ".model", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".py", ".txt", ".md")
STAMPED_FOLDERS = ("additional_chat_templates",)
Stamp = list[list[Any]]
SETTLED_NS = 50_000_000
"""A folder that changed this shortly ago may change again without another time: clocks of file systems tick slowly."""

_looked: dict[str, tuple[float, tuple[int, int]]] = {}
"""Folder -> when it was looked into (monotonic seconds), and what it was then (inode, time of its last new file)."""


def look(folder: str) -> Stamp:
    """:func:`folder_stamp`, remembered for :func:`unchanged`."""
    before = _mark(folder)
    found = folder_stamp(folder)
    if before is not None and time.time_ns() - before[1] > SETTLED_NS:
        _looked[folder] = (time.monotonic(), before)
    else:
        _looked.pop(folder, None)
    return found


def unchanged(folder: str, trust_s: float) -> bool:
    """Whether ``folder`` was looked into in the last ``trust_s`` seconds, and no file came or went since. What was written
    into one of its files in place is not seen."""
    known = _looked.get(folder)
    return known is not None and time.monotonic() - known[0] < trust_s and _mark(folder) == known[1]


def _mark(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)  # noqa: PTH116 - a thousand of them: making the Path costs more than the call
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns


def folder_stamp(folder: str) -> Stamp:
    """Name, size and times of each file that a card is made from; empty where there is no such folder.

    The time of the last change of the inode is among them: a program can set the other one to what it was.
    """
    found: Stamp = []
    try:
        with os.scandir(folder) as files:
            for f in files:
                if f.name.endswith(STAMPED) or f.name in STAMPED_FOLDERS or f.name.startswith(("LICEN", "COPYING")):
                    try:
                        s = f.stat()
                        found.append([f.name, s.st_size, s.st_mtime_ns, s.st_ctime_ns])
                    except OSError:
                        found.append([f.name, -1, 0, 0])  # a link to nothing
    except (OSError, ValueError):
        return []
    return sorted(found)
