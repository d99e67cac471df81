"""The Memory page: what a refresh of eight GPUs costs, and a day and a year of them drawn.

    python -m tests.bench.bench_memory_page

A refresh is what the live view draws every two seconds; its bytes are the HTML and text that change, without the about three
kilobytes with which Streamlit begins every redraw. The past is eight GPUs and main memory with jobs and people on them: a
sample a second of the last two hours, one a minute of the day, one in six hours of the year, so that no cell of a chart is
empty. It is read from the store and made into charts, as they go to the browser. Server time is that of the processor; the
figure is the median.
"""

from __future__ import annotations

import json
import logging
import math
import statistics
import time
from contextlib import closing
from typing import Any

from streamlit.elements.echarts_chart import _normalize_spec
from streamlit.testing.v1 import AppTest

from backend.memory.sample import HOST, Sample
from backend.memory.series import MemoryStore, open_memory
from backend.queue.store import Store, open_store
from backend.workspace import ROOT
from tests.support import homes
from tests.support.memory_samples import card, process, running, still, use
from ui.memory import layers as memory_layers
from ui.memory import live as memory_live
from ui.memory import past as memory_past
from ui.memory import window as memory_window

GPUS = 8
ROUNDS = 15
SECONDS, DAY, SHIFT, YEAR = 2 * 3600, 24 * 3600, 6 * 3600, 365 * 24 * 3600


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "goal", "ok"}``."""
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    with (
        homes.temporary() as workspace,
        closing(open_memory(workspace)) as memory,
        closing(open_store(workspace)) as store,
    ):
        end = fill(memory, store)
        return [*_refresh(), *_past(memory, end, 24 * 3600, "a day"), *_past(memory, end, 365 * 86400, "a year")]


def fill(memory: MemoryStore, store: Store) -> float:
    """Samples of a year; returns the time of the newest."""
    now = time.time()
    jobs = [running(store, f"Fine-tune number {number}", now, eta_s=1800).id for number in range(GPUS)]

    def look(t: float) -> Sample:
        cards, uses = [], []
        for index, job in enumerate(jobs):
            ours, hers = 20 + 15 * math.sin(t / 300 + index), 10 + 5 * math.sin(t / 700)
            people = (process(99, hers, "ada"), process(98, 2.0, "bob"))
            more: dict[str, Any] = {"load": 0.5, "power_w": 300.0, "power_limit_w": 400.0, "temperature_c": 60.0}
            cards.append(card(index, ours + hers + 3, processes=people, **more))
            uses += [use(job, ours, f"GPU-{index}"), use(job, 1.5)]
        return still(t, cards, uses, used=20 + 5 * math.sin(t / 900))

    for back in [*range(YEAR, DAY, -SHIFT), *range(DAY, SECONDS, -60), *range(SECONDS, -1, -1)]:
        memory.append(look(now - back))
    return now


def _refresh() -> list[dict[str, Any]]:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.switch_page("../pages/memory.py").run()
    assert not app.exception, app.exception
    sent = sum(len(element.proto.body) for element in app.main.get("html") if "mem-bar" in element.proto.body)
    times: list[float] = []
    panels = memory_live._panels
    try:
        memory_live._panels = _timed(panels, times)
        for _ in range(ROUNDS):
            app.run()
    finally:
        memory_live._panels = panels
    took = statistics.median(times) * 1000
    return [
        _row(f"Memory page: a refresh of {GPUS} GPUs", took, "ms", 50),
        _row(f"Memory page: a refresh of {GPUS} GPUs", sent / 1000, "kB", 16),
    ]


def _timed(draw: Any, times: list[float]) -> Any:
    def run() -> None:
        begin = time.thread_time()
        draw()
        times.append(time.thread_time() - begin)

    return run


def _past(memory: MemoryStore, end: float, span: float, name: str) -> list[dict[str, Any]]:
    places = [HOST, *(f"GPU-{index}" for index in range(GPUS))]
    points = max(120, min(memory_past.POINTS, memory_past.ALL_POINTS // len(places)))
    times, sent = [], 0
    for _ in range(ROUNDS):
        begin, sent = time.thread_time(), 0
        keys = [key for key in memory.keys(end - span, end) if key.name in memory_layers.NAMES]
        window = memory.window(end - span, end, points=points, keys=keys)
        moments = memory.moments(end - span, end)
        for place in places:
            spec, tables = _normalize_spec(
                memory_window.option(window, memory_layers.of(window, place, {}), moments, {})
            )
            sent += len(json.dumps(spec)) + sum(map(len, tables.values()))
        times.append(time.thread_time() - begin)
    took = statistics.median(times) * 1000
    what = f"Memory page: {name} of {GPUS} GPUs"
    return [_row(what, took, "ms", 150), _row(what, sent / 1000, "kB", 200)]


def _row(what: str, value: float, unit: str, most: float) -> dict[str, Any]:
    return {"what": what, "value": round(value, 1), "unit": unit, "goal": f"< {most} {unit}", "ok": value < most}


def main() -> None:
    for row in measure():
        print(f"{row['what']:44} {row['value']:>8} {row['unit']:3} {row['goal']:10} {'ok' if row['ok'] else 'MISSED'}")


if __name__ == "__main__":
    main()
