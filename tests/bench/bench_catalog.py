"""Catalogue: one large model's card, and the Models page with a long list against a short one; goal: at most 1.5 x.

    python -m tests.bench.bench_catalog

Real folders with real headers; the weights are sparse files. The 100 shards hold as many tensors as a model of 126 layers.
The page is run whole, frame and all, as for a person who opens it or presses a button on it: server time without a browser.
Both lists are asked in turns, by a process that has seen them before, as the panel has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import looks as looks_module
from backend.workspace import ROOT, Workspace, open_workspace
from tests.bench.table import Row
from tests.support import homes
from tests.support.models import folder

RUNS = 15
SHORT, LONG = 10, 1000
GOAL = 1.5


def measure() -> list[Row]:
    with homes.temporary() as workspace:
        return _measure(workspace.root.parent)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def filled(workspace: Workspace, models: Path, count: int) -> Workspace:
    """``workspace`` with ``count`` models, each in a folder of its own, on its list."""
    for number in range(count):
        catalog.add(workspace, folder(models / f"model-{number:04d}"))
    return workspace


def _measure(top: Path) -> list[Row]:
    large = folder(top / "large", shards=100, layers=126, width=8192)
    card = [seconds(lambda: catalog.card(large)) for _ in range(RUNS)]
    assert catalog.card(large).problem is None
    short = filled(open_workspace(top / "short"), top / "few", SHORT)
    long = filled(open_workspace(top / "long"), top / "many", LONG)
    lists = [(seconds(lambda: catalog.models(short)), seconds(lambda: catalog.models(long))) for _ in range(RUNS)]
    pages = [_page(short), _page(long)]
    looks = [(_again(short, pages[0]), _again(long, pages[1])) for _ in range(RUNS)]
    paused = [(_after_a_pause(short, pages[0]), _after_a_pause(long, pages[1])) for _ in range(RUNS)]
    scan = [seconds(lambda: catalog.scan(top / "many")) for _ in range(3)]
    few, many = (median(pair[side] for pair in looks) for side in (0, 1))
    few_paused, many_paused = (median(pair[side] for pair in paused) for side in (0, 1))
    return [
        {
            "what": "card of a model of 100 shards, median",
            "value": median(card) * 1000,
            "unit": "ms",
            "goal": "under 100 ms",
            "ok": median(card) < 0.1,
        },
        {
            "what": f"Models page with {LONG:,} models, against {SHORT}",
            "value": many * 1000,
            "unit": "ms",
            "ratio": many / few,
            "goal": f"at most {GOAL} x",
            "ok": many <= GOAL * few,
        },
        {
            "what": f"the same after half a minute without a look, against {SHORT}",
            "value": many_paused * 1000,
            "unit": "ms",
            "ratio": many_paused / few_paused,
        },
        {
            "what": f"list of {LONG:,} models alone, against {SHORT}",
            "value": median(pair[1] for pair in lists) * 1000,
            "unit": "ms",
            "ratio": median(pair[1] for pair in lists) / median(pair[0] for pair in lists),
        },
        {"what": f"scan of a folder of {LONG:,} models, median", "value": median(scan), "unit": "s"},
    ]


def _page(workspace: Workspace) -> AppTest:
    """The Models page of ``workspace``, opened once."""
    os.environ["TUNEDECK_WORKSPACE"] = str(workspace.root)
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "models.py")).run()
    assert not app.exception
    assert any(button.label == "Start server" for button in app.button)
    return app


def _again(workspace: Workspace, app: AppTest) -> float:
    os.environ["TUNEDECK_WORKSPACE"] = str(workspace.root)
    return seconds(app.run)


def _after_a_pause(workspace: Workspace, app: AppTest) -> float:
    """As :func:`_again`, when what was seen before is too old to be trusted."""
    looks_module._looked.clear()
    return _again(workspace, app)


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
