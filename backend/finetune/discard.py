"""Deleting a checkpoint of a run that has ended, to free its room on the disk."""

from __future__ import annotations

import shutil

from backend.errors import ConflictError, NotFoundError
from backend.finetune import files
from backend.i18n import N_
from backend.queue import folder
from backend.queue.store import Store
from backend.workspace import explain_os_error


def checkpoint(store: Store, job_id: int, step: int) -> int:
    """Delete the checkpoint of run ``job_id`` at ``step``; returns the bytes freed. What the run made stays.

    Raises:
        ConflictError: ``checkpoint_in_use``: the run works, or waits to go on from it.
        NotFoundError: ``checkpoint_gone``; or there is no such job.
        WorkspaceError: the files cannot be deleted.
    """
    if not store.get(job_id).done:
        raise ConflictError(
            "checkpoint_in_use",
            N_("Run {job} works or waits, and may need its checkpoint at step {step}."),
            N_("Pause it, or wait until it has ended; old checkpoints go by themselves."),
            job=job_id,
            step=step,
        )
    path = store.job_dir(job_id) / files.CHECKPOINTS / files.checkpoint_name(step)
    if not path.is_dir():
        raise NotFoundError(
            "checkpoint_gone",
            N_("Run {job} has no checkpoint at step {step} any more."),
            N_("It was deleted before. The list of checkpoints shows which are left."),
            job=job_id,
            step=step,
        )
    freed = folder.disk_bytes(path)
    try:
        # Its marker first: half of a checkpoint must never look like a whole one.
        (path / files.COMPLETE).unlink(missing_ok=True)
        shutil.rmtree(path)
    except OSError as error:
        raise explain_os_error(error, path) from error
    return freed
