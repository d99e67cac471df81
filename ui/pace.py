"""How often a part of a page should look again: often while something moves, rarely while servers only stand ready."""

from __future__ import annotations

import time

from backend.queue.rows import LIVE, JobRow
from ui import context

MOVING_S, LONG_S, STANDING_S = 2, 5, 15
YOUNG_S = 60.0
"""A job that has run for longer seldom ends in the next moment, and what it computes with may be the cores that a look takes."""


def standing(row: JobRow) -> bool:
    """A server that answers: nothing about it changes until somebody stops it, or it dies."""
    return row.service and row.state == "running" and row.progress.get("phase") == "ready" and not row.health


def now() -> int | None:
    """Seconds for ``run_every``; None, no timer, where nothing runs or waits."""
    store = context.store()
    counts = store.counts()
    live = sum(counts.get(state, 0) for state in LIVE)
    if counts.get("queued", 0):
        return MOVING_S
    if not live:
        return None
    moving = [row for row in store.list(states=LIVE, limit=live) if not standing(row)]
    if not moving:
        return STANDING_S
    before = time.time() - YOUNG_S
    return LONG_S if all(row.started is not None and row.started < before for row in moving) else MOVING_S
