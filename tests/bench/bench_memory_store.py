"""The record of memory: a simulated day of 8 GPUs with 64 processes, written second by second, and what it takes to draw it.

Each figure comes from a process of its own that does nothing else; times are of the processor, so that what else runs on the
machine does not count. Drawn is what the page's chart is made of: the line in use and
its peaks, the jobs and the people of 8 GPUs and of main memory, and what happened; told as JSON in GiB. The year is made
of blocks as a day leaves them, for 60 series. Compared with one row a value, which is what SQLite is usually filled with.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from backend.memory import wire
from backend.memory.sample import Moment, Window
from backend.memory.series import MemoryStore
from backend.memory.tiers import DAY, MINUTE, QUARTER, SHIFT
from backend.workspace import ROOT
from tests.bench.table import Row
from tests.support.seconds import GIB, START, busy, past

SECONDS = DAY
ROWS_SECONDS = 3600
RUNS = 7
DRAWN = ("used", "total", "job", "user")
YEAR = 366 * DAY
GOAL_MS, GOAL_KB, GOAL_CORE = 150.0, 200.0, 0.5


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as name:
        folder = Path(name)
        day = _alone("day", folder / "memory.db")
        rows = _alone("rows", folder / "rows.db")
        year = _alone("year", folder / "year.db")
    core = day["append_ms"] / 10
    return [
        {
            "what": "writing a second of 8 GPUs and 64 processes",
            "value": core,
            "unit": "% of a core",
            "goal": f"at most {GOAL_CORE} %",
            "ok": core <= GOAL_CORE,
        },
        {"what": "the same as one row a value", "value": rows["append_ms"] / 10, "unit": "% of a core"},
        {
            "what": f"memory of the process after {SECONDS:,} seconds",
            "value": day["rss_after"] / 2**20,
            "unit": "MiB",
            "ratio": day["rss_after"] / day["rss_before"],
            "goal": "<= 1.05 x after 2 hours",
            "ok": day["rss_after"] <= 1.05 * day["rss_before"],
        },
        {
            "what": "a day on disk",
            "value": day["bytes"] / 2**20,
            "unit": "MiB",
            "ratio": day["bytes"] / (rows["bytes"] * SECONDS / ROWS_SECONDS),
            "goal": "<= 0.2 x one row a value",
            "ok": day["bytes"] <= 0.2 * rows["bytes"] * SECONDS / ROWS_SECONDS,
        },
        *_drawn("24 hours", day),
        *_drawn("a year", year),
        {"what": "the newest sample, with 64 processes", "value": day["latest_ms"], "unit": "ms of a core"},
    ]


def _drawn(what: str, figures: dict[str, float]) -> list[Row]:
    ms, kb = figures["draw_ms"], figures["draw_bytes"] / 1000
    return [
        {
            "what": f"{what} x 8 GPUs, read and told",
            "value": ms,
            "unit": "ms of a core",
            "goal": f"at most {GOAL_MS:.0f} ms",
            "ok": ms <= GOAL_MS,
        },
        {
            "what": f"{what} x 8 GPUs as JSON",
            "value": kb,
            "unit": "kB",
            "goal": f"at most {GOAL_KB:.0f} kB",
            "ok": kb <= GOAL_KB,
        },
    ]


def _alone(what: str, path: Path) -> dict[str, float]:
    """Run one part in a process of its own; what it prints."""
    command = [sys.executable, "-m", "tests.bench.bench_memory_store", what, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def day(path: Path) -> dict[str, float]:
    memory, process, before = MemoryStore(path), psutil.Process(), 0
    spent = 0.0
    for second in range(SECONDS):
        sample = busy(START + second, second)
        begin = time.process_time()
        memory.append(sample)
        spent += time.process_time() - begin
        if second == 2 * 3600:
            before = process.memory_info().rss
    after = process.memory_info().rss
    for at in range(0, SECONDS, 120):
        memory.add_moment(Moment(START + at, "phase", "", str(100 + at % 8), {"phase": "train"}))
    return {
        "append_ms": spent / SECONDS * 1000,
        "rss_before": before,
        "rss_after": after,
        "bytes": path.stat().st_size,
        "latest_ms": _median_ms(memory.latest),
        **_draw(memory, START + SECONDS, DAY),
    }


def year(path: Path) -> dict[str, float]:
    """The wide tiers of a year for 60 series, and its last minutes."""
    memory = MemoryStore(path)
    for second in range(120):
        memory.append(busy(START + second, second))
    past(memory, START - YEAR, START, (MINUTE, QUARTER, SHIFT), ("used", "total", "job", "user"))
    return _draw(memory, START + 120, 365 * DAY)


def rows(path: Path) -> dict[str, float]:
    """What is compared with: the same values, a row each, an index to find them by, the same care for a power cut."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE cells (series INTEGER, t INTEGER, value REAL, PRIMARY KEY (series, t)) WITHOUT ROWID")
    numbers: dict[object, int] = {}
    spent = 0.0
    for second in range(ROWS_SECONDS):
        values = wire.flat(busy(START + second, second))
        begin = time.process_time()
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO cells VALUES (?, ?, ?)",
            [(numbers.setdefault(key, len(numbers)), second, value) for key, value in values.items()],
        )
        db.execute("COMMIT")
        spent += time.process_time() - begin
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return {"append_ms": spent / ROWS_SECONDS * 1000, "bytes": path.stat().st_size}


def _draw(memory: MemoryStore, end: float, length: float) -> dict[str, float]:
    """From the question to the JSON."""
    answers: list[bytes] = []

    def draw() -> None:
        keys = [key for key in memory.keys(end - length, end) if key.name in DRAWN]
        window = memory.window(end - length, end, 600, keys)
        answers.append(json.dumps(_told(window, memory.moments(end - length, end)), separators=(",", ":")).encode())

    return {"draw_ms": _median_ms(draw), "draw_bytes": len(answers[-1])}


def _told(window: Window, moments: list[Moment]) -> dict[str, Any]:
    series = {}
    for key, found in window.series.items():
        values = found.high if key.name == "used" else found.mean
        # What never changes is a line, not a row of points.
        told: Any = [None if value is None else round(value / GIB, 2) for value in values]
        series["/".join((key.place, key.name, key.subject))] = told[0] if len(set(told)) == 1 else told
    marks = [(round(m.t), m.kind, m.place, m.subject) for m in moments[-200:]]
    return {"start": window.start, "step": window.step, "series": series, "moments": marks}


def _median_ms(call: Any) -> float:
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return median(times) * 1000


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps({"day": day, "rows": rows, "year": year}[sys.argv[1]](Path(sys.argv[2]))))
    else:
        from tests.bench.table import plain

        print("\n".join(plain(measure())))
