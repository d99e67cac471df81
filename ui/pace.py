"""How often a part of a page should look again: often while something moves, rarely while servers only stand ready."""

from __future__ import annotations

from backend.queue.rows import LIVE, JobRow
from ui import context

MOVING_S, STANDING_S = 2, 15


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
    return STANDING_S if all(standing(row) for row in store.list(states=LIVE, limit=live)) else MOVING_S
