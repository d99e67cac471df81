"""Code run inside and watched from outside: how, within what, and what came of it."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from jobs.agent.sandbox import folder as folders

Ended = Literal["done", "exit", "signal", "stopped", "time", "cpu", "output", "disk", "threads"]
"""done: to its end, or to an exception. exit: by itself, in the middle. signal: something killed it. The others: we
did, and why."""

SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/usr/share/fonts"),
    *("/etc/fonts", "/etc/localtime", "/etc/ld.so.cache"),
)
"""What compiled libraries need. Neither programs nor /etc/passwd."""


@dataclass(frozen=True)
class Walls:
    """Which of the two that can be missing are put up; seccomp always is."""

    namespaces: bool = True
    landlock: bool = True


@dataclass(frozen=True)
class Limits:
    """Of one call. seconds: by the clock; cpu_seconds: of all its threads together. memory: bytes that may be mapped.
    file_bytes: of one file; folder_bytes, files: of all that lies in the folder; written: of all that goes to the disk,
    also to files that are deleted again. output: bytes printed."""

    seconds: float = 30.0
    cpu_seconds: int = 60
    memory: int = 1 << 30
    file_bytes: int = 100 << 20
    folder_bytes: int = 200 << 20
    files: int = 2000
    written: int = 1 << 30
    output: int = 4 << 20
    open_files: int = 256
    threads: int = 128

    def of_the_kernel(self) -> dict[str, int]:
        """Those that the kernel keeps, by their names in ``resource``."""
        return {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
        }


@dataclass(frozen=True)
class Ran:
    """What came of it. output: stdout and stderr as they were printed. value: of the last expression, as text.
    traceback: where it raised. code: exit code, or a signal's number below zero. made: files that are new or changed,
    by their path in the folder. All text is the code's own and may say anything."""

    ended: Ended
    output: bytes = b""
    value: str | None = None
    traceback: str | None = None
    code: int = 0
    made: tuple[str, ...] = ()
    seconds: float = 0.0


class WallsMissing(Exception):
    """Nothing was run: a wall could not be put up."""


@lru_cache(maxsize=1)
def libraries() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Python and what is installed beside it: (paths that may be read, paths to import from)."""
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix, "installed_base": sys.base_prefix}
    stdlib = sysconfig.get_path("stdlib", vars=base)
    beside = (sysconfig.get_path("platlib"), sysconfig.get_path("purelib"))
    wanted = (stdlib, f"{stdlib}/lib-dynload", *beside)
    imports = tuple(dict.fromkeys(os.path.realpath(path) for path in wanted if Path(path).is_dir()))
    own = os.path.realpath(Path(sys.base_prefix) / "lib")
    targets = [os.path.realpath(path) for path in SYSTEM if Path(path).exists()]
    return tuple(dict.fromkeys([*imports, own, *SYSTEM, *targets])), imports


def run(
    code: str,
    folder: Path,
    *,
    walls: Walls,
    limits: Limits | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Ran:
    """Run ``code`` with ``folder`` as the only place where it can write. When this returns, nothing of it runs any
    more, and the folder is within its limits: where the code went past them, what it had written is gone.

    Raises:
        WallsMissing: nothing was run.
        OSError: the folder cannot be used.
    """
    from jobs.agent.sandbox.watch import Watch

    limits = limits or Limits()
    began = time.monotonic()
    handle = folders.opened(folder)
    try:
        before = _before(handle)
        watch = Watch(code, os.path.realpath(folder), handle, walls, limits)
        watch.until_its_end(began + limits.seconds, stopped)
        ended, made = _after(handle, before, watch.ended, limits)
        return watch.ran(ended, made, time.monotonic() - began)
    finally:
        os.close(handle)


def _before(handle: int) -> folders.State:
    try:
        return folders.state(handle)
    except folders.Unfit:  # left by a run whose watcher was killed
        folders.put_back(handle, {})
        return {}


def _after(
    handle: int, before: folders.State, ended: Ended | None, limits: Limits
) -> tuple[Ended | None, tuple[str, ...]]:
    """(how it ended after all, what it made): a quick run can be over before the watch saw what it wrote."""
    try:
        used = folders.usage(handle, limits.files)
        if ended != "disk" and used.size <= limits.folder_bytes and used.entries <= limits.files:
            return ended, tuple(folders.changed(handle, before))
    except folders.Unfit:
        pass
    folders.put_back(handle, before)
    return "disk", ()
