"""Waiting for something that happens in another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(predicate: Callable[[], T], timeout: float = 20.0, what: str = "") -> T:
    """The first true value of ``predicate``, asked every 20 ms; fails after ``timeout`` seconds with ``what``."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s in vain until {what or predicate}; last value: {value!r}")
        pause.wait(0.02)
