"""Loading torch, transformers and what they bring: two and a half thousand modules, and hardly an object among them that is ever freed.

The garbage collector looks for some all the same, again and again, and finds more to look through each time: a sixth of the time that
loading takes. So it waits until they are there, and what is there by then it need never look through again.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Inside, nothing is searched for garbage; afterwards, nothing that came inside. Use it where the libraries are imported, and around
    what imports more of them when it is first called (a model's class). Within another, it does nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
