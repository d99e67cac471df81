"""Count the tokens of every row of a dataset: ``python -m jobs.count_tokens SPEC.json``.

Leaves ``tokens/<fingerprint>.json`` in the version's folder (:mod:`backend.data.tokens.histogram`). Rows are read and tokenized in
batches, so memory does not grow with the dataset; a stopped or lost count goes on where it was.
"""

from __future__ import annotations

import time
from typing import Any

from backend.data.rows import parse
from backend.data.store import Datasets
from backend.data.tokens import histogram, open_listed
from backend.data.tokens.lengths import Lengths, count, truncated
from backend.specs.count_tokens import CountTokensSpec
from backend.workspace import open_workspace
from jobs.harness import Job, main

KEEP_EVERY_S = 10.0


def run(job: Job) -> dict[str, Any]:
    """See the module."""
    spec = job.spec_as(CountTokensSpec)
    workspace = open_workspace()
    job.phase("load")
    version = Datasets(workspace).open(spec.dataset, spec.version or None)
    model = open_listed(workspace, spec.model)
    found = histogram.read(model, version) or histogram.read_partial(model, version) or Lengths(len(version))
    if found.start:
        job.log(f"{found.start} of {found.total} rows were counted before")
    job.phase("count")
    began, first, kept = time.monotonic(), found.start, time.monotonic()
    rows = enumerate(map(parse, version.lines(found.start)), start=found.start + 1)
    for last in count(model, rows, found):
        found.start = last
        now = time.monotonic()
        rate = (last - first) / max(now - began, 1e-6)
        job.progress("count", last, found.total, eta_s=(found.total - last) / max(rate, 1e-6))
        if job.stop_requested or now - kept > KEEP_EVERY_S:
            histogram.write(model, version, found, spec.model)
            kept = now
        job.check_stop()
    file = histogram.write(model, version, found, spec.model)
    longest = max(found.of(), default=0)
    job.artifact("token_counts", file, f"{found.total} rows")
    return {
        "dataset": spec.dataset,
        "version": version.info.id,
        "model": spec.model,
        "rows": found.total,
        "refused": found.refused,
        "longest": longest,
        "over_2048": truncated(found, 2048).rows,
    }


if __name__ == "__main__":
    raise SystemExit(main("count_tokens", run))
