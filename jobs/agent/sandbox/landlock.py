"""Which files the code may touch, by Landlock (Linux 5.13): libraries to read, one folder to write."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from jobs.agent.sandbox.kernel import Refused, call

READ_FILE, READ_DIR, WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, REFER, TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 13, 1 << 14
RIGHTS = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
"""All rights over files that a version knows of, by the version; the later ones know no more that concerns us."""

TCP_BOTH, SCOPES_BOTH = 3, 3
"""Bind and connect (version 4); abstract unix sockets and signals (version 6)."""

READING = READ_FILE | READ_DIR
WRITING = READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
"""No links, pipes, sockets or devices: what is left in the folder is files and folders."""


def version() -> int:
    """Of the kernel's Landlock; 0 without it."""
    try:
        return call("landlock_create_ruleset", None, 0, 1)
    except Refused:
        return 0


def shut(reads: Iterable[str], writes: Iterable[str]) -> None:
    """Leave this thread with reading what lies below ``reads`` and writing what lies below ``writes``. A path that is
    not there is passed over.

    Raises:
        Refused: the kernel has no Landlock or did not take a rule.
    """
    known = version()
    if not known:
        raise Refused("landlock", 95)
    rights = RIGHTS[min(known, len(RIGHTS) - 1)]
    rules = _ruleset(known, rights)
    for allowed, paths in ((READING, reads), (WRITING, writes)):
        for path in paths:
            _allow(rules, path, allowed & rights)
    call("landlock_restrict_self", rules, 0)
    os.close(rules)


def _ruleset(known: int, rights: int) -> int:
    network, scopes = TCP_BOTH if known >= 4 else 0, SCOPES_BOTH if known >= 6 else 0
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    try:
        return call("landlock_create_ruleset", struct.pack("=QQQ", rights, network, scopes), size, 0)
    except Refused:
        # Some kernels of Red Hat say version 6 and lack a scope; signals and sockets are also refused by seccomp.
        if not scopes:
            raise
        return call("landlock_create_ruleset", struct.pack("=QQQ", rights, network, 0), size, 0)


def _allow(rules: int, path: str, allowed: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            allowed &= READ_FILE | WRITE_FILE | TRUNCATE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, handle), 12)
        call("landlock_add_rule", rules, 1, rule, 0)
    finally:
        os.close(handle)
