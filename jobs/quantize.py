"""Make a smaller copy of a model: ``python -m jobs.quantize SPEC.json``.

Stages: plan, calibration rows, the engine, a check of the copy against its base, the list of models, and the report card. One that is
complete is not done again: a job that was interrupted, by whatever, goes on where it was. The model itself is only read.
"""

from __future__ import annotations

import os
import time
from typing import Any

from backend.specs.quantize import QuantizeSpec
from jobs import threads
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """The program. Returns what was made."""
    began = time.monotonic()
    # Before torch is loaded. What is to compute on the CPU must not find a GPU: the engine takes one where it sees one.
    threads.wait_briefly()
    os.environ["TQDM_DISABLE"] = "1"  # progress is told in events; bars only fill the log
    from jobs.quantizing import rows, work

    job.phase("plan")
    todo = work.settle(job)
    if todo.spec.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    looked_at = rows.choose(job, todo)
    job.check_stop()
    job.phase("load")
    from jobs.quantizing import keeping, stages

    found = stages.copy(job, todo, looked_at)
    job.check_stop()
    listed = keeping.register(job, todo, found.folder)
    seconds, held = time.monotonic() - began, peak_bytes()
    if job.spec_as(QuantizeSpec).report:
        job.check_stop()
        job.phase("report")
        from jobs import report_card

        report_card.measure(job, [todo.spec.model, listed or str(found.folder)])
    return {
        "complete": True,
        "model": listed,
        "folder": str(found.folder),
        "seconds": round(seconds, 2),
        "engine_seconds": round(found.seconds, 2),
        "peak_bytes": held,
        **found.checked.to_dict(),
    }


def peak_bytes() -> int:
    """The most main memory that this process, or one that it has started, has held."""
    import resource

    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) << 10


if __name__ == "__main__":
    raise SystemExit(main("quantize", run))
