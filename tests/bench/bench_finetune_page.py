"""The page of a run: what watching it costs the training

A real panel and a training whose page nobody has open, or somebody at a browser on another machine (a client of ours asks the panel
for what a browser asks for, and draws nothing), or somebody at a browser on this machine: windows of one run in turns, each turn in
one order and back. A machine that others share drifts by more in a minute than the page may cost, so a window is compared with
those of its own turn, and the standard error over all turns is said beside the ratio. The training computes with one thread, so that
the panel has a core to draw on. What the panel itself uses of a core is said beside it; the browser on this machine draws with the
training's own cores, so its row says what a laptop loses to Chromium, not what the page costs a server.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, expect

from backend.queue.events import read_events
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, open_workspace
from tests.bench.table import Row
from tests.support.browser import CHROMIUM, chromium, settle, visitor
from tests.support.far_browser import FarBrowser
from tests.support.finetune_page import persona
from tests.support.panel import Panel, start_panel
from tests.support.wait import until

TURNS = (*(("nobody", "far", "far", "nobody"),) * 14, *(("nobody", "here", "here", "nobody"),) * 3)
"""Each of two sides, one between the two windows of the other."""
WINDOW_S, REST_S = 9.0, 3.0
"""Seconds of a window, and before it, while the page opens or closes."""
MOST = 0.01
Turn = dict[str, list[tuple[float, float]]]
"""What the windows of each side showed: (seconds of a step, the panel's part of a core)."""
SPEC: dict[str, Any] = {
    "model": str(ROOT / "models" / "starter"),
    "dataset": "Robin",
    "device": "cpu",
    "max_length": 128,
    "batch_size": 4,
    "accumulation": 1,
    "packing": False,
    "epochs": 1000,
    "max_steps": 100_000,
    "eval_every": 100_000,
    "save_every": 100_000,
    "sample_every": 100_000,
    "gradient_checkpointing": False,
    "rehearse": False,
    "merge": False,
    "prove": False,
}


def measure() -> list[Row]:
    """Rows for the table; none where there is no browser."""
    if not Path(CHROMIUM).exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        panel = start_panel(Path(folder))
        try:
            persona(open_workspace(panel.workspace), "Robin")
            return _measured(panel)
        finally:
            panel.stop()


def _measured(panel: Panel) -> list[Row]:
    store = open_store(open_workspace(panel.workspace))
    job = store.submit("finetune", SPEC).id
    try:
        with chromium() as browser, visitor(browser, panel) as person:
            page = person.open("/")
            page.goto("about:blank")
            until(lambda: store.get(job).progress.get("step", 0) > 20, 240, "it learns at its pace")
            turns: list[Turn] = []
            for order in TURNS:
                turn: Turn = {side: [] for side in order}
                for side in order:
                    with _open(side, panel, page, job):
                        turn[side].append(_window(panel, store, job))
                turns.append(turn)
    finally:
        store.cancel(job)
        until(lambda: store.get(job).done, 120, "it has ended")
        store.close()
    alone = statistics.median(pace for turn in turns for pace, _share in turn["nobody"])
    far, error = _ratio(turns, "far")
    here, _error = _ratio(turns, "here")
    shares = [share for turn in turns for share in _differences(turn, "far")]
    return [
        {"what": "a step of a training that nobody watches", "value": 1000 * alone, "unit": "ms"},
        {
            "what": "the same, its page open in a browser on another machine",
            "value": 1000 * alone * far,
            "unit": "ms",
            "ratio": far,
            "goal": f"< {100 * MOST:g} % more",
            "ok": far - 1 < MOST,
        },
        {"what": "standard error of that ratio", "value": 100 * error, "unit": "%"},
        {
            "what": "the same, its page open in a browser that draws on the same cores",
            "value": 1000 * alone * here,
            "unit": "ms",
            "ratio": here,
        },
        {
            "what": "the panel's share of one core for a page that watches",
            "value": 100 * statistics.median(shares),
            "unit": "%",
        },
    ]


def _ratio(turns: list[Turn], side: str) -> tuple[float, float]:
    """(a step's time on ``side`` by that beside nobody, the standard error of it): of each turn by itself, the mean of all."""
    found = []
    for turn in turns:
        if side in turn:
            watched, alone = (statistics.mean(pace for pace, _share in turn[each]) for each in (side, "nobody"))
            found.append(watched / alone)
    return statistics.mean(found), statistics.stdev(found) / len(found) ** 0.5


def _differences(turn: Turn, side: str) -> list[float]:
    """What the panel used of a core more than beside nobody, in a turn of ``side``; nothing in another one."""
    if side not in turn:
        return []
    watched, alone = (statistics.mean(share for _pace, share in turn[each]) for each in (side, "nobody"))
    return [watched - alone]


@contextmanager
def _open(side: str, panel: Panel, page: Page, job: int) -> Iterator[None]:
    """The page of ``job`` is open there, and does show what comes meanwhile."""
    address = f"/finetune?view=runs&job={job}"
    if side == "far":
        with FarBrowser(panel, address) as far:
            seen = far.finished
            yield
            assert far.finished > seen + WINDOW_S / max(far.parts), "the page stood still"
            assert "training · " in far.text
    elif side == "here":
        page.goto(panel.url + address)
        settle(page)
        expect(page.get_by_text("training · ")).to_be_visible(timeout=30_000)
        yield
        expect(page.get_by_text("training · ")).to_be_visible()
        page.goto("about:blank")
    else:
        yield


def _window(panel: Panel, store: Store, job: int) -> tuple[float, float]:
    """(mean seconds of a step, the panel's part of a core) of ``WINDOW_S`` seconds."""
    time.sleep(REST_S)
    began, used = time.time(), _used(panel)
    time.sleep(WINDOW_S)
    ended, used = time.time(), _used(panel) - used
    events, _ = read_events(store.job_dir(job))
    told = [
        one["metrics"]["s_per_step"]
        for one in events
        if began < one["t"] < ended and "s_per_step" in (one.get("metrics") or {})
    ]
    return statistics.mean(told), used / (ended - began)


def _used(panel: Panel) -> float:
    """Seconds of processor time that the panel has used."""
    times = psutil.Process(panel.process.pid).cpu_times()
    return float(times.user + times.system)
