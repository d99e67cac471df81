"""The memory forecast: one estimate, and what would fit; goal: an estimate under 1 ms.

    python -m tests.bench.bench_forecast

Llama 3 8B from real headers (sparse files), a LLaVA from its config. Facts are read once for each state of a folder.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from backend.memory.forecast import ServePlan, TrainPlan, estimate, facts, solve
from tests.bench.table import Row
from tests.support.forecast_models import LLAVA_LLAMA3, llama3

RUNS = 200
GIB = 1 << 30


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as name:
        folder = llama3(Path(name) / "llama", shards=4)
        began = time.perf_counter()
        llama = facts.from_folder(folder)
        first = time.perf_counter() - began
        again = _median(lambda: facts.from_folder(folder))
    llava = facts.from_config(LLAVA_LLAMA3)
    serve = ServePlan(total=40 * GIB, session_len=8192, concurrency=8)
    train = TrainPlan("qlora", 2048, 4, rank=64, checkpointing=True, zero=2, gpus=8, total=24 * GIB)
    plans = {"a server": _median(lambda: estimate(llama, serve)), "a training": _median(lambda: estimate(llava, train))}
    found: list[Row] = [
        {"what": f"estimate of {what}, median", "value": 1000 * s, "unit": "ms", "goal": "under 1 ms", "ok": s < 0.001}
        for what, s in plans.items()
    ]
    solved = _median(lambda: solve(llava, train, 24 * GIB), 20)
    return [
        *found,
        {"what": "what would fit instead, median", "value": 1000 * solved, "unit": "ms"},
        {"what": "facts of a model of 16 GB in four files, first look", "value": 1000 * first, "unit": "ms"},
        {"what": "the same again, median", "value": 1000 * again, "unit": "ms"},
    ]


def _median(work: Callable[[], object], runs: int = RUNS) -> float:
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
