"""Pieces of an answer on their way from the thread that computes to the event loop, gathered in frames.

The two share one interpreter, and waking the loop for every token took a tenth of the computing's time: so the loop looks
once a frame by itself, and is woken only where it has nothing more to look for, and at the end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from itertools import takewhile
from typing import Any, TypeAlias

from transformers.cli.serving.utils import ReasoningText, ToolCall, _StreamError

from jobs.serving.api_errors import broken

Piece: TypeAlias = "str | ReasoningText | ToolCall"

# About as often as a person sees text grow; each frame costs an answer one to two milliseconds.
FRAME_S = 0.05


class Frames:
    """A queue that any thread may put to and one task of the running event loop reads.

    A piece goes out at once where none went out within the last ``FRAME_S`` seconds, and else when these are over or the
    answer ends: with None, or with an error.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._items: list[Any] = []
        self._idle = False  # nothing came within a frame: the reader waits for the next item, however long
        self._wake = asyncio.Event()

    def put_nowait(self, item: Piece | _StreamError | None) -> None:
        """Never waits; named as in :class:`asyncio.Queue`, for which the streamers of transformers take it."""
        with self._lock:
            self._items.append(item)
            wake = self._idle or _ends(item)
            self._idle = False
        if wake:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def read(self) -> AsyncIterator[list[Piece]]:
        """What came since the last time, until the end.

        Raises:
            ApiError: 500, the computation failed.
        """
        while True:
            with self._lock:
                items, self._items = self._items, []
                self._idle = not items
            pieces = list(takewhile(lambda item: not _ends(item), items))
            if pieces:
                yield pieces
            if len(pieces) < len(items):
                end = items[len(pieces)]
                if isinstance(end, _StreamError):
                    raise broken(f"The model failed while writing the answer: {end.msg}")
                return
            frame = self._loop.call_later(FRAME_S, self._wake.set) if items else None
            await self._wake.wait()
            self._wake.clear()
            if frame:
                frame.cancel()


def _ends(item: Any) -> bool:
    return item is None or isinstance(item, _StreamError)
