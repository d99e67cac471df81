"""Jobs: from submit to the program's first words, and from cancel to nothing left.

Real watcher, supervisors and programs (the drill). The first words are the program's own first event, so the time holds
dispatch, the supervisor's start, the interpreter and its imports.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from backend.queue.events import read_events
from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.bench.table import Row
from tests.support.jobs import Queue
from tests.support.wait import until

SUBMITS = 15
CANCELS = 5
GRACE_INT_S, GRACE_TERM_S = 1.0, 0.5


@contextmanager
def queue() -> Iterator[Queue]:
    """A queue with a workspace of its own and short graces."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNEDECK_WORKSPACE"] = f"{folder}/workspace"
        workspace = open_workspace()
        store = open_store(workspace)
        running = Queue(workspace, store, grace_int_s=str(GRACE_INT_S), grace_term_s=str(GRACE_TERM_S))
        running.start_watcher()
        try:
            yield running
        finally:
            running.end()
            store.close()
            del os.environ["TUNEDECK_WORKSPACE"]


def submit_to_first_words(running: Queue) -> float:
    """Seconds by the clock that both processes read."""
    begin = time.time()
    row = running.drill(steps=1, step_s=0)
    running.reach(row.id, "succeeded")
    events, _ = read_events(running.store.job_dir(row.id), 0)
    return float(events[0]["t"]) - begin


def cancel_to_nothing(running: Queue, fault: str) -> float:
    """Seconds from the cancel to a job that is cancelled, with no process and no lease left."""
    row = running.drill(steps=100_000, step_s=0.02, fault=fault)
    running.step(row.id, 3)
    begin = time.monotonic()
    running.store.cancel(row.id)
    running.reach(row.id, "cancelled")
    until(lambda: not running.processes(row.id) and not running.leases(), what="nothing is left of the job")
    return time.monotonic() - begin


def measure() -> list[Row]:
    with queue() as running:
        submits = [submit_to_first_words(running) for _ in range(SUBMITS + 1)][1:]
        kind = [cancel_to_nothing(running, "none") for _ in range(CANCELS)]
        deaf = [cancel_to_nothing(running, "ignore_stop") for _ in range(CANCELS)]
        tree = [cancel_to_nothing(running, "daemonise") for _ in range(CANCELS)]
    grace = GRACE_INT_S + GRACE_TERM_S
    return [
        {
            "what": "submit to the program's first event, median",
            "value": median(submits),
            "unit": "s",
            "goal": "under 1 s",
            "ok": median(submits) < 1,
        },
        {"what": "submit to the program's first event, slowest", "value": max(submits), "unit": "s"},
        {
            "what": "cancel of a program that listens, slowest",
            "value": max(kind),
            "unit": "s",
            "goal": "under 2 s",
            "ok": max(kind) < 2,
        },
        {
            "what": f"cancel of a program deaf to SIGINT and SIGTERM, slowest (grace {grace} s)",
            "value": max(deaf),
            "unit": "s",
            "goal": f"at most {grace + 2} s, nothing left",
            "ok": max(deaf) <= grace + 2,
        },
        {
            "what": f"cancel with a deaf daemon that detached itself, slowest (grace {grace} s)",
            "value": max(tree),
            "unit": "s",
            "goal": f"at most {grace + 2} s, nothing left",
            "ok": max(tree) <= grace + 2,
        },
    ]
