"""What a person asks of a run that is under way, beside stopping it: it looks after every step.

``finish``: end now as if all steps had been done, with the best checkpoint; merge and proof follow. (To pause is the queue's
own cancel: the run saves and ends, and *Resume* goes on from there.)
"""

from __future__ import annotations

from pathlib import Path

from backend.finetune import files
from backend.workspace import read_json, write_json


def finish(job_dir: Path) -> None:
    """Ask the run in ``job_dir`` to stop learning and to keep the best.

    Raises:
        WorkspaceError: the request cannot be written.
    """
    write_json(job_dir / files.CONTROL, {"finish": True})


def finish_asked(job_dir: Path) -> bool:
    """Whether that was asked. Quick: one look at a file that is mostly not there."""
    file = job_dir / files.CONTROL
    if not file.exists():
        return False
    try:
        data = read_json(file)
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("finish") is True
