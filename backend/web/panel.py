"""A panel that runs: where it is (``run/panel.json``), and what it keeps alive (the watcher of its workspace).

While a panel runs it holds ``run/panel.lock``; the file beside it says where it listens. Of several panels on one
workspace the first holds the lock, and the next takes it over when that one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

from backend.errors import PanelError
from backend.queue import locks
from backend.web.address import link
from backend.workspace import Workspace, read_json, write_json

LOCK, ADDRESS = "panel.lock", "panel.json"
CHECK_S = 3.0
"""So often the panel looks whether the watcher lives, and whether the lock is free."""

log = logging.getLogger("tunedeck.panel")


@dataclass(frozen=True)
class Panel:
    """pid: of the panel's process. host, port: where it listens. since: epoch seconds."""

    pid: int
    host: str
    port: int
    since: float

    def link(self, token: str = "") -> str:
        return link(self.host, self.port, token)


def running(workspace: Workspace) -> Panel | None:
    """The panel that runs on ``workspace``, or None. What a killed one has left behind does not count."""
    if not locks.held(workspace.run / LOCK):
        return None
    data = read_json(workspace.run / ADDRESS)
    try:
        panel = Panel(**data) if isinstance(data, dict) else None
    except TypeError:
        return None
    # Between taking the lock and writing the file, the file is still that of the panel before.
    return panel if panel and Path(f"/proc/{panel.pid}").exists() else None


@asynccontextmanager
async def opened(workspace: Workspace, host: str, port: int, on_end: Callable[[], None]) -> AsyncIterator[None]:
    """While this block runs, the panel is known at ``host:port`` and the watcher is kept alive.

    ``on_end`` is called as soon as the panel is asked to end. The web server first waits for all answers to be whole,
    and would wait as long as a model talks.
    """
    handler = RotatingFileHandler(workspace.logs / "panel.log", maxBytes=1 << 20, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("tunedeck")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    log.info("panel %s begins on %s:%s", os.getpid(), host, port)
    upkeep = _Upkeep(workspace, Panel(os.getpid(), host, port, time.time()))
    await asyncio.to_thread(upkeep.take_place)
    task = asyncio.create_task(upkeep.run())
    try:
        with _told(on_end):
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        upkeep.leave_place()
        log.info("panel %s ends", os.getpid())
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _told(call: Callable[[], None]) -> Iterator[None]:
    """While this block runs, Ctrl-C and SIGTERM also call ``call`` in this loop, before what they do anyway."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        previous = before[signal.Signals(number)]
        if callable(previous):
            previous(number, frame)

    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, previous in before.items():
            if signal.getsignal(number) is told:
                signal.signal(number, previous)


class _Upkeep:
    def __init__(self, workspace: Workspace, panel: Panel) -> None:
        self._workspace, self._panel = workspace, panel
        self._lock: int | None = None
        self._problem = ""

    async def run(self) -> None:
        """Until cancelled: the watcher lives, and somebody holds the lock."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(CHECK_S)

    def take_place(self) -> None:
        """Become the panel of the workspace, if that place is free.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        if self._lock is None:
            self._lock = locks.acquire(self._workspace.run / LOCK)
            if self._lock is not None:
                write_json(self._workspace.run / ADDRESS, asdict(self._panel))

    def leave_place(self) -> None:
        if self._lock is not None:
            (self._workspace.run / ADDRESS).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _look(self) -> None:
        # Not at start: the watcher's modules would delay the first page.
        from backend.queue.watcher import ensure_running

        try:
            self.take_place()
            ensure_running(self._workspace)
            self._problem = ""
        except (PanelError, OSError) as error:
            # The panel still shows what there is; the next look may find the disk writable again. Said once.
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("the watcher of %s cannot be started: %s", self._workspace.root, error)
