"""Measurements as they lie on the disk, written by hand: for what only looks at them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backend.bench import matrix, presets
from backend.bench.columns import Columns, columns
from backend.bench.knee import knee
from backend.bench.matrix import Cell, Matrix
from backend.bench.records import Bench, Record, write_bench
from backend.errors import PanelError, ServerError
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs import parse
from backend.specs.bench import BenchMatrixSpec
from backend.workspace import Workspace
from tests.support import by_hand

NO_GPU = ServerError("engine_needs_gpu", "LMDeploy computes on NVIDIA GPUs only.", "Serve it with transformers.")


def figures(people: int, *, rate: float = 40.0, most: float = 200.0, requests: int = 32) -> Columns:
    """The columns of a server that gives one person ``rate`` tokens/s, and all together ``most`` at the best."""
    in_all = min(people * rate, most)
    each_s = people / in_all  # seconds of a token for one of them
    records = []
    for number in range(requests):
        first = 0.02 + 0.01 * people + 0.0005 * (number % 7)
        end = first + 63 * each_s
        begin = (number // people) * end
        records.append(Record(number, people, begin, begin + end, first, 256, 64, True, "", (each_s,) * 63))
    return columns(records)


def bench(
    store: Store, *people: int, title: str = "starter", ends: str = "succeeded", most: float = 200.0, **load: Any
) -> JobRow:
    """A benchmark of one server with each of ``people`` at once, that has ended."""
    row = by_hand.submit(store, "bench", {"server": "starter", "concurrency": list(people), **load}, title=title)
    levels = [
        {"concurrency": n, "columns": figures(n, most=most), "errors": {}, "complete": True, "ended": "", "notices": []}
        for n in people
    ]
    problem = None
    if ends != "succeeded":
        levels[-1] |= {"complete": False, "ended": "server_died"}
        problem = ServerError("bench_server_died", "The server went away.", "Look at its log.").to_dict()
    found = knee(levels)
    asked = {"input_tokens": 0, "output_tokens": 64, "num_prompts": 32, **load}
    told = Bench(
        model="starter",
        base_url="http://127.0.0.1:1/v1",
        load=asked,
        created=row.created,
        engine="transformers",
        levels=levels,
        knee=found.to_dict() if found else None,
        complete=ends == "succeeded",
        problem=problem,
    )
    write_bench(store.job_dir(row.id), told)
    by_hand.begin(store, row)
    return by_hand.end(
        store, row, ends, PanelError.from_dict(problem) if problem else None, {} if ends == "succeeded" else None
    )


def submit_matrix(store: Store, workspace: Workspace, preset: str = "course", **more: Any) -> JobRow:
    """A matrix that waits."""
    return by_hand.submit(store, "bench_matrix", {**presets.build(workspace, preset, "starter"), **more})


def fill(store: Store, row: JobRow, *, rows: int | None = None) -> Matrix:
    """Measure by hand: what transformers serves has figures (the first ``rows`` of them), all else needs a GPU."""
    spec = parse("bench_matrix", store.spec(row.id))
    assert isinstance(spec, BenchMatrixSpec)
    found = matrix.fresh(spec, "cpu:2")
    done = 0
    for place, each in enumerate(found.rows):
        if each.serve.get("engine") == "lmdeploy":
            found = found.with_row(place, replace(each, state="cannot", problem=NO_GPU.to_dict()))
            continue
        if rows is not None and done >= rows:
            break
        most = 420.0 if each.serve.get("continuous_batching") else 180.0
        cells = [
            Cell(
                figures(size.batch, rate=170.0, most=most),
                440 << 20,
                (460 + 9 * size.batch) << 20,
                measured=row.created,
            )
            for size in found.sizes
        ]
        kept = replace(each, state="done", engine="transformers", load_s=2.4, loaded=430 << 20, source="process")
        for number, cell in enumerate(cells):
            kept = kept.with_cell(number, cell)
        found = found.with_row(place, kept)
        done += 1
    matrix.write(store.job_dir(row.id), found)
    return found


def ended_matrix(store: Store, workspace: Workspace, preset: str = "course", **more: Any) -> JobRow:
    """A matrix that has ended well."""
    row = submit_matrix(store, workspace, preset, **more)
    fill(store, row)
    by_hand.begin(store, row)
    return by_hand.end(store, row, result={})
