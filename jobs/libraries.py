"""Loading torch, transformers and what they bring: two and a half thousand modules, and hardly an object among them that is ever freed.

The garbage collector looks for some all the same, again and again, and finds more to look through each time: a sixth of the time that
loading takes. So it waits until they are there. Nothing is set aside from it for good (``gc.freeze``): what a training has left by then,
its model on a GPU among it, has to go when it is garbage.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Inside, nothing is searched for garbage. Use it where the libraries are imported, and around what imports more of them when it is
    first called (a model's class). Within another, it does nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
