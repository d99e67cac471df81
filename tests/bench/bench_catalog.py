"""Catalogue: one large model's card, and a long list against a short one.

Real folders with real headers; the weights are sparse files. The 100 shards hold as many tensors as a model of 126 layers.
Both lists are asked in turns, each by a process that has seen them before, as the panel has.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from backend import catalog
from backend.workspace import Workspace, open_workspace
from tests.bench.table import Row
from tests.support.models import folder

RUNS = 15
SHORT, LONG = 10, 1000


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def filled(workspace: Workspace, models: Path, count: int) -> Workspace:
    """``workspace`` with ``count`` models, each in a folder of its own, on its list."""
    for number in range(count):
        catalog.add(workspace, folder(models / f"model-{number:04d}"))
    return workspace


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        large = folder(top / "large", shards=100, layers=126, width=8192)
        card = [seconds(lambda: catalog.card(large)) for _ in range(RUNS)]
        assert catalog.card(large).problem is None
        short = filled(open_workspace(top / "short"), top / "few", SHORT)
        long = filled(open_workspace(top / "long"), top / "many", LONG)
        for workspace in (short, long):
            catalog.models(workspace)
        pairs = [(seconds(lambda: catalog.models(short)), seconds(lambda: catalog.models(long))) for _ in range(RUNS)]
        scan = [seconds(lambda: catalog.scan(top / "many")) for _ in range(3)]
    # The shipped model is on both lists.
    few = median(pair[0] for pair in pairs) / (SHORT + 1)
    many = median(pair[1] for pair in pairs) / (LONG + 1)
    return [
        {
            "what": "card of a model of 100 shards, median",
            "value": median(card) * 1000,
            "unit": "ms",
            "goal": "under 100 ms",
            "ok": median(card) < 0.1,
        },
        {
            "what": f"list of {LONG} models, per model, against a list of {SHORT}",
            "value": many * 1e6,
            "unit": "µs",
            "ratio": many / few,
            "goal": "at most 1.5 x",
            "ok": many <= 1.5 * few,
        },
        {"what": f"list of {LONG} models, whole", "value": many * (LONG + 1) * 1000, "unit": "ms"},
        {"what": f"scan of a folder of {LONG} models, median", "value": median(scan), "unit": "s"},
    ]


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
