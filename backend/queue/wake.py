"""Let a suspended job go on: SIGCONT to the processes that carry its cookie, and to nobody else."""

from __future__ import annotations

import signal

from backend.errors import ConflictError
from backend.i18n import N_
from backend.queue import folder, proctree
from backend.queue.store import Store


def wake(store: Store, job_id: int) -> int:
    """Continue the processes of job ``job_id``; returns how many there are. The watcher sees the change at its next look.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: ``job_not_here``: no process of it lives on this machine.
    """
    row = store.get(job_id)
    plan = folder.read(store.job_dir(job_id), folder.ATTEMPT, row.attempt)
    processes = proctree.with_cookie(plan["cookie"]) if row.live and plan and plan.get("cookie") else []
    if not processes:
        raise ConflictError(
            "job_not_here",
            N_("No process of job {job} was found."),
            N_("Wait a moment: its state is about to change."),
            job=job_id,
        )
    proctree.send(processes, signal.SIGCONT)
    return len(processes)
