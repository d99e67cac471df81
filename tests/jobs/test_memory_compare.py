"""Two real servers of the starter model, recorded by the real recorder while they load and answer, then laid over one another;
and a comparison on a disk that is full."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from backend import catalog
from backend.memory import comparisons
from backend.memory.compare import Comparison, compare
from backend.memory.report import to_html
from backend.memory.runs import runs
from backend.memory.series import MemoryStore
from backend.queue import locks
from backend.queue.store import Store
from backend.servers import read_server
from backend.workspace import Workspace
from tests.jobs.test_disk_faults import can_mount, on_disk
from tests.support.jobs import Queue
from tests.support.wait import until

MIB = 1 << 20
LIKELY = (80 * MIB, 4096 * MIB)
"""What a Python process with torch and a model of five million parameters takes."""


def answer(store: Store, job: int) -> None:
    """Let the server of ``job`` write once it can answer."""
    server = until(lambda: (s := read_server(store.job_dir(job))) and s.ready and s, 90, f"server {job} is ready")
    assert server
    body = {"model": server.model, "prompt": "The farmer", "max_tokens": 64, "ignore_eos": True}
    key = {"Authorization": f"Bearer {server.key}"}
    for _each in range(3):
        done = httpx.post(f"{server.base_url}/completions", json=body, headers=key, timeout=60, trust_env=False)
        assert done.status_code == 200, done.text


def free(folder: Path) -> bool:
    """Whether no supervisor holds the job any more."""
    lock = locks.acquire(folder / locks.FILE)
    if lock is not None:
        os.close(lock)
    return lock is not None


def test_two_real_servers_are_compared_by_what_was_measured(
    workspace: Workspace, store: Store, queue: Queue, memory: MemoryStore
) -> None:
    ids = [
        store.submit(
            "serve", {"model": "starter", "name": dtype, "engine": "transformers", "device": "cpu", "dtype": dtype}
        ).id
        for dtype in ("float32", "bfloat16")
    ]
    for job in ids:
        answer(store, job)

    def whole() -> Comparison | None:
        found = compare(store, memory, ids)
        known = all(row.figures[name].value for row in found.rows for name in ("load", "tokens_s", "ram_peak"))
        return found if known else None

    found = until(whole, 60, "both have told their figures")
    assert found is not None
    assert [row.run.live for row in found.rows] == [True, True]
    for job in ids:
        store.cancel(job)
        queue.reach(job, "cancelled")
    found = compare(store, memory, ids)
    assert [row.run.setup.weights for row in found.rows] == ["fp32", "bf16"]
    assert {row.run.setup.engine for row in found.rows} == {"transformers"}
    size = catalog.find(workspace, "starter").size_bytes
    for row in found.rows:
        figures = row.figures
        assert figures["disk"].value == size
        assert LIKELY[0] < (figures["ram_peak"].value or 0) < LIKELY[1]
        assert (figures["ram_steady"].value or 0) <= (figures["ram_peak"].value or 0)
        assert figures["ram_peak"].source == "process"
        assert (figures["load"].source, figures["tokens_s"].source) == ("ready", "busy")
        assert 0.5 < (figures["load"].value or 0) < 90
        assert figures["gpu_peak"].kind == "missing"
        assert row.host is not None
        # It grew while it loaded, and its first second lies at its start.
        points = [(t, size) for t, size in row.host.points() if size is not None]
        assert -1 <= points[0][0] < 10
        assert max(size for _t, size in points) == figures["ram_peak"].value
    assert {run.id for run in runs(store, memory)} == set(ids)
    kept = comparisons.save(workspace, found, "two")
    for job in ids:
        until(lambda job=job: free(store.job_dir(job)), 20, f"the supervisor of job {job} has ended")
        store.delete(job)
    assert comparisons.load(workspace, "two") == kept
    assert "fp32" in to_html(kept)


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_on_a_full_disk_nothing_half_is_kept(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=8m",
        """
from backend.cli.memory_compare import _write
from backend.memory import comparisons
from backend.memory.compare import compare
from backend.memory.report import to_html
from backend.memory.series import open_memory
from tests.support.recorded_runs import Runs
workspace = open_workspace(); store = open_store(workspace); memory = open_memory(workspace)
made = Runs(store, memory)
two = compare(store, memory, [made.add(name, [1.0] * 300) for name in "ab"])
comparisons.save(workspace, two, "before")
with open(workspace.root / "filler", "wb", buffering=0) as file:
    try:
        while True: file.write(b"x" * 4096)
    except OSError: pass
codes = []
for action in (lambda: comparisons.save(workspace, two, "after"), lambda: _write(workspace.root / "a.html", to_html(two))):
    try: action()
    except PanelError as error: codes.append(error.code)
left = sorted(p.name for p in (*workspace.comparisons.iterdir(), *workspace.root.glob("*.html"), *workspace.root.glob(".a*")))
(workspace.root / "filler").unlink()
comparisons.save(workspace, two, "after")
print(json.dumps({"codes": codes, "left": left, "now": [each.name for each in comparisons.saved(workspace) if each.readable]}))
""",
    )
    assert found["codes"] == ["workspace_full", "workspace_full"]
    assert found["left"] == ["before.json"]
    assert sorted(found["now"]) == ["after", "before"]
