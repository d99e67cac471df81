"""An answer while it is written, and how pages watch it without asking the database."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from backend.chat.records import Message
from backend.chat.sent import Sent
from backend.errors import PanelError


@dataclass(frozen=True)
class Live:
    """An answer as it stands. stage: ``server`` (``job`` is starting), ``prompt`` (the model reads), ``answer``,
    ``ended``. version grows with every change. unsaved: why its text could not be stored, or None."""

    stage: str
    text: str
    version: int
    since: float
    job: int | None = None
    unsaved: PanelError | None = None


class Reply:
    """One answer being written, and everybody who watches it."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.stopped = False
        self.task: asyncio.Task[None] | None = None
        self.sent = Sent()
        self.end: tuple[str, str, dict[str, Any]] | None = None
        self._changed = threading.Condition()
        self._live = Live("server", "", 0, time.time())

    def live(self, seen: int = -1, timeout: float = 0.0) -> Live:
        """How it stands; waits up to ``timeout`` seconds for something newer than version ``seen``."""
        with self._changed:
            self._changed.wait_for(lambda: self._live.version > seen, timeout)
            return self._live

    def update(self, stage: str, text: str, *, job: int | None = None, unsaved: PanelError | None = None) -> None:
        with self._changed:
            before = self._live
            since = before.since if before.stage == stage else time.time()
            self._live = Live(stage, text, before.version + 1, since, job or before.job, unsaved)
            self._changed.notify_all()
