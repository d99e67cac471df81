"""A brake on guessing: a bucket of attempts that refills slowly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Throttle:
    """``burst`` wrong attempts at once, then one every ``every_s`` seconds, for everybody together.

    Together, because on a forwarded loopback port every client has the same address, and a forwarding header is the
    client's own word.
    """

    def __init__(self, burst: int = 10, every_s: float = 3.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._every_s = every_s
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def wait_s(self) -> int:
        """Whole seconds until an attempt is heard again; 0 when it is heard now."""
        self._refill()
        return 0 if self._left >= 1 else math.ceil((1 - self._left) * self._every_s)

    def wrong(self) -> None:
        """Count a wrong attempt."""
        self._refill()
        self._left = max(0.0, self._left - 1)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(float(self._burst), self._left + max(0.0, now - self._at) / self._every_s)
        self._at = now
