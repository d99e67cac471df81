"""An event loop in a thread of its own, asked from code that knows nothing of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any, Generic, TypeVar

import anyio

T = TypeVar("T")
LOOK_SECONDS = 0.05


class Ended(Exception):
    """The work was ended before its end. by_person: by Stop, and not by its time limit."""

    def __init__(self, *, by_person: bool) -> None:
        super().__init__()
        self.by_person = by_person


class _Work(Generic[T]):
    def __init__(self, work: Coroutine[Any, Any, T], seconds: float | None) -> None:
        self._work, self._seconds = work, seconds
        self._scope: anyio.CancelScope | None = None
        self.by_person = False

    async def run(self) -> T:
        with anyio.move_on_after(self._seconds) as self._scope:
            if self.by_person:
                self._scope.cancel()
            return await self._work
        raise Ended(by_person=self.by_person)

    def stop(self) -> None:
        self.by_person = True
        if self._scope:
            self._scope.cancel()


class Background:
    """A loop that runs until :meth:`close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._thread.start()

    def run(
        self,
        work: Coroutine[Any, Any, T],
        *,
        seconds: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> T:
        """What ``work`` gives.

        Raises:
            Ended: after ``seconds``, or soon after ``stopped()`` says so; the work has cleaned up then.
        """
        doing = _Work(work, seconds)
        future = asyncio.run_coroutine_threadsafe(doing.run(), self._loop)
        told = False
        while True:
            done, _waiting = futures.wait([future], timeout=LOOK_SECONDS)
            if done:
                return future.result()
            if not told and stopped():
                told = True
                self._loop.call_soon_threadsafe(doing.stop)

    def close(self) -> None:
        """End the loop and its thread."""
        if self._loop.is_closed():
            return
        self.run(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _settle(self) -> None:
        await self._loop.shutdown_asyncgens()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=5)
