"""One install of an engine at a time, whichever panel or person started it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.envs.places import INSTALL_LOCK
from backend.queue import locks
from backend.workspace import explain_os_error
from jobs.harness import Job

LOOK_S = 0.2


@contextmanager
def turn(job: Job, base: Path) -> Iterator[None]:
    """Hold the install lock of the engine's folder ``base``; made where it is missing. Waits for whoever has it.

    Raises:
        Stopped: the person asked to stop while it waited.
        WorkspaceError: the folder cannot be made.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        held = locks.acquire(base / INSTALL_LOCK)
        if held is None:
            job.events.phase("turn")
            job.log("Another install of this engine is running; waiting for its end.")
        while held is None:
            job.check_stop()
            time.sleep(LOOK_S)
            held = locks.acquire(base / INSTALL_LOCK)
    except OSError as error:
        raise explain_os_error(error, base) from error
    try:
        yield
    finally:
        os.close(held)
