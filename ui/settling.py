"""What is loaded stays as long as the panel: the garbage collector need not look through it again.

Streamlit has all garbage collected after each rerun, which takes as long as there are objects; by far the most of them are modules, which no
collection ever frees. They are set aside at the next rerun after they came, which takes no time: what was garbage then has just been collected.
What becomes garbage afterwards among the rest that was set aside, such as a page that somebody left, is collected an hour later at the latest.
"""

from __future__ import annotations

import gc
import sys
import threading
import time

ANEW_S = 3600.0
_lock = threading.Lock()
_loaded, _next = 0, time.monotonic() + ANEW_S


def settle() -> None:
    """Set aside what is loaded, where there is more than at the last time. Any thread; at most one at a time does it."""
    global _loaded, _next
    now = time.monotonic()
    if (len(sys.modules) <= _loaded and now < _next) or not _lock.acquire(blocking=False):
        return
    try:
        _loaded = len(sys.modules)
        if now >= _next:
            _next = now + ANEW_S
            gc.unfreeze()
            gc.collect()
        gc.freeze()
    finally:
        _lock.release()
