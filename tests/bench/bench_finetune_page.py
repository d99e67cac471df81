"""The page of a run: what watching it costs the training

A real panel and a real browser that shows the curves of a training, against the same training with nobody at the page: windows of
one run in turns, the first and the last of each four on the same side, so that what drifts weighs on both. The training computes
with one thread, so that the browser has a core to draw on: that of a person is on another machine. The panel's own share of the
processor is said beside it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, expect

from backend.queue.events import read_events
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, open_workspace
from tests.bench.table import Row
from tests.support.browser import CHROMIUM, chromium, settle, visitor
from tests.support.finetune_page import persona
from tests.support.panel import Panel, start_panel
from tests.support.wait import until

FOURS, WINDOW_S, REST_S = 3, 15.0, 4.0
"""Fours of windows, seconds of each, and before it, while the page opens or closes."""
MOST = 0.01
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
            until(lambda: store.get(job).progress.get("step", 0) > 20, 240, "it learns at its pace")
            paces: dict[bool, list[float]] = {True: [], False: []}
            shares: dict[bool, list[float]] = {True: [], False: []}
            for watched in (True, False, False, True) * FOURS:
                pace, share = _window(panel, store, page, job, watched)
                paces[watched].append(pace)
                shares[watched].append(share)
    finally:
        store.cancel(job)
        until(lambda: store.get(job).done, 120, "it has ended")
        store.close()
    alone, watched_s = statistics.median(paces[False]), statistics.median(paces[True])
    cost = watched_s / alone - 1
    share = statistics.median(shares[True]) - statistics.median(shares[False])
    return [
        {"what": "a step of a training that nobody watches", "value": 1000 * alone, "unit": "ms"},
        {
            "what": "the same with its page open",
            "value": 1000 * watched_s,
            "unit": "ms",
            "ratio": watched_s / alone,
            "goal": f"< {100 * MOST:g} % more",
            "ok": cost < MOST,
        },
        {"what": "the panel's share of one core for a page that watches", "value": 100 * share, "unit": "%"},
    ]


def _window(panel: Panel, store: Store, page: Page, job: int, watched: bool) -> tuple[float, float]:
    """(median seconds of a step, the panel's part of a core) while the page of ``job`` is open, or none is."""
    if watched:
        page.goto(f"{panel.url}/finetune?view=runs&job={job}")
        settle(page)
        expect(page.get_by_text("training · ")).to_be_visible(timeout=30_000)
    else:
        page.goto("about:blank")
    time.sleep(REST_S)
    began, used = time.time(), _used(panel)
    time.sleep(WINDOW_S)
    ended, used = time.time(), _used(panel) - used
    if watched:  # it did show what came meanwhile
        expect(page.get_by_text("training · ")).to_be_visible()
    events, _ = read_events(store.job_dir(job))
    told = [
        one["metrics"]["s_per_step"]
        for one in events
        if began < one["t"] < ended and "s_per_step" in (one.get("metrics") or {})
    ]
    return statistics.median(told), used / (ended - began)


def _used(panel: Panel) -> float:
    """Seconds of processor time that the panel has used."""
    times = psutil.Process(panel.process.pid).cpu_times()
    return float(times.user + times.system)
