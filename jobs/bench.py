"""Measure a running model server under load: ``python -m jobs.bench SPEC.json``.

check   is it there, does it have the model, what does it know; one short question
time    for each number of people at once: warm-up, then the requests, each with its times

``bench.json`` and ``requests.jsonl`` in the job's folder are written after each load, so that what was measured stays when
the server dies or a person stops. A second attempt measures from the beginning: half of one server and half of another is no figure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.bench.columns import in_lines
from backend.bench.knee import knee
from backend.bench.notices import NOTICES
from backend.bench.records import REQUESTS, Bench, add_requests, write_bench
from backend.queue.store import open_store
from backend.specs.bench import BenchSpec, Load
from backend.workspace import open_workspace
from jobs.benching import finding, generator
from jobs.benching.generator import Measured
from jobs.harness import Job, Stopped, main


def run(job: Job) -> dict[str, Any]:
    """The program.

    Raises:
        ServerError: the server cannot be measured, or died meanwhile; what was measured is kept.
    """
    spec = job.spec_as(BenchSpec)
    workspace = open_workspace()
    job.phase("check")
    store = open_store(workspace)
    try:
        found = finding.find(workspace, store, spec)
    finally:
        store.close()
    known = generator.check(found.target, spec)
    job.log(f"{known.model} at {known.base_url}: streams {known.streams}, counts tokens {known.usage}")
    counts = [max(spec.num_prompts, people) for people in spec.concurrency]
    chosen, notices = finding.choose(workspace, spec, found, known, max(counts))
    job.log(f"{chosen.found} prompts, {chosen.left_out} left out")
    bench = Bench(
        known.model,
        known.base_url,
        {name: value for name, value in spec.model_dump(mode="json").items() if name in Load.model_fields},
        time.time(),
        job=found.server.job_id if found.server is not None else None,
        engine=found.server.engine if found.server is not None else "",
        path=found.server.path if found.server is not None else "",
        dialect=known.to_dict(),
        notices=notices,
    )
    (job.dir / REQUESTS).unlink(missing_ok=True)
    telling = _Telling(job, sum(counts))
    for people, count in zip(spec.concurrency, counts, strict=True):
        job.check_stop()
        job.phase("time")
        job.log(f"{count} requests, {people} at once")
        load = Load(**bench.load).model_copy(update={"num_prompts": count})
        measured = generator.run(
            found.target,
            chosen.prompts,
            load,
            people,
            telling,
            lambda: job.stop_requested,
            known,
        )
        telling.before += count
        bench = _keep(job, bench, measured, finding.memory(workspace, found.server))
        problem = measured.problem(known.model)
        if problem is not None:
            write_bench(job.dir, replace(bench, problem=problem.to_dict()))
            raise problem
        if measured.ended == "stopped":
            raise Stopped
    write_bench(job.dir, replace(bench, complete=all(level["complete"] for level in bench.levels)))
    return {"complete": True, "levels": len(bench.levels), "knee": bench.knee}


def _keep(job: Job, bench: Bench, measured: Measured, memory: dict[str, Any] | None) -> Bench:
    """``bench`` with one more load, on the disk."""
    add_requests(job.dir, measured.records)
    levels = [*bench.levels, {**measured.to_dict(), "memory": memory}]
    found = knee(levels)
    bench = replace(bench, levels=levels, knee=found.to_dict() if found else None, memory=memory or bench.memory)
    path = write_bench(job.dir, bench)
    if len(levels) == 1:
        job.artifact("report", path, bench.model)
    for line in in_lines(measured.concurrency, measured.columns):
        job.log(line)
    for kind, count in measured.errors.items():
        job.log(f"failed: {count} x {kind}")
    if measured.first_error:
        job.log(f"the first of them: {measured.first_error}")
    for code in measured.notices:
        job.log(f"note: {NOTICES[code]}")
    return bench


class _Telling:
    """Progress over all loads, and how long it will still take."""

    def __init__(self, job: Job, total: int) -> None:
        self.job, self.total, self.before = job, total, 0

    def __call__(self, done: int, _of: int, figures: Mapping[str, float]) -> None:
        so_far = self.before + done
        rate = figures.get("requests_s")
        left = (self.total - so_far) / rate if rate else None
        self.job.progress("time", so_far, self.total, left, figures)


if __name__ == "__main__":
    raise SystemExit(main("bench", run))
