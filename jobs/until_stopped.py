"""Something that waits for a server, given up as soon as a person says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_S = 0.1


def until_stopped(work: Coroutine[Any, Any, T], stopped: Callable[[], bool], ending: type[Exception]) -> T:
    """The result of ``work``; cancelled as soon as ``stopped()`` says so.

    Raises:
        ending: it said so.
    """

    async def guarded() -> T:
        task: asyncio.Task[T] = asyncio.create_task(work)
        try:
            while not task.done():
                if stopped():
                    raise ending
                await asyncio.wait({task}, timeout=LOOK_S)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    return asyncio.run(guarded())
