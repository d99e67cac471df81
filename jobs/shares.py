"""Progress of work that knows which share of it is done: told twice a second at most, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs.harness import Job

EVERY_S = 0.5


def teller(job: Job, phase: str, *, stops: bool = True) -> Callable[[float, int], None]:
    """A function that takes the share that is done (0 to 1) and the rows so far. stops: it raises
    :class:`jobs.harness.Stopped` once a person asked the job to stop."""
    began = last = time.monotonic()

    def tell(share: float, rows: int) -> None:
        nonlocal last
        if stops:
            job.check_stop()
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            eta = (now - began) / share * (1 - share) if share > 0.01 else None
            job.progress(phase, round(100 * share, 1), 100, eta, {"rows": rows})

    return tell
