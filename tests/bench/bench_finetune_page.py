"""The page of a run: what watching it costs the training

A real panel and a training whose page nobody has open, or somebody at a browser on another machine (a client of ours asks the panel
for what a browser asks for, and draws nothing), or somebody at a browser on this machine: windows of one run in turns, each six in
one order and back, so that what drifts weighs on all. The training computes with one thread, so that the panel has a core to draw
on. What the panel itself uses of a core is said beside it; the browser on this machine draws with the training's own cores, so its
row says what a laptop loses to Chromium, not what the page costs a server.
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

SIDES = ("nobody", "far", "here")
SIXES, WINDOW_S, REST_S = 3, 20.0, 4.0
"""Sixes of windows, seconds of each, and before it, while the page opens or closes."""
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
            page.goto("about:blank")
            until(lambda: store.get(job).progress.get("step", 0) > 20, 240, "it learns at its pace")
            paces: dict[str, list[float]] = {side: [] for side in SIDES}
            shares: dict[str, list[float]] = {side: [] for side in SIDES}
            for side in (*SIDES, *reversed(SIDES)) * SIXES:
                with _open(side, panel, page, job):
                    pace, share = _window(panel, store, job)
                paces[side].append(pace)
                shares[side].append(share)
    finally:
        store.cancel(job)
        until(lambda: store.get(job).done, 120, "it has ended")
        store.close()
    step = {side: statistics.median(paces[side]) for side in SIDES}
    share = statistics.median(shares["far"]) - statistics.median(shares["nobody"])
    cost = step["far"] / step["nobody"] - 1
    return [
        {"what": "a step of a training that nobody watches", "value": 1000 * step["nobody"], "unit": "ms"},
        {
            "what": "the same, its page open in a browser on another machine",
            "value": 1000 * step["far"],
            "unit": "ms",
            "ratio": step["far"] / step["nobody"],
            "goal": f"< {100 * MOST:g} % more",
            "ok": cost < MOST,
        },
        {
            "what": "the same, its page open in a browser that draws on the same cores",
            "value": 1000 * step["here"],
            "unit": "ms",
            "ratio": step["here"] / step["nobody"],
        },
        {"what": "the panel's share of one core for a page that watches", "value": 100 * share, "unit": "%"},
    ]


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
    """(median seconds of a step, the panel's part of a core) of ``WINDOW_S`` seconds."""
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
    return statistics.median(told), used / (ended - began)


def _used(panel: Panel) -> float:
    """Seconds of processor time that the panel has used."""
    times = psutil.Process(panel.process.pid).cpu_times()
    return float(times.user + times.system)
