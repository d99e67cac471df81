"""Server time of one refresh of the Jobs page with 10,000 jobs against 100; goal: at most 1.5 x.

    python -m tests.bench.bench_jobs_page

A refresh is the part of the page that redraws itself every second while a job runs: it asks the store and draws table or
queue. The frame around it, which a refresh leaves alone, is not counted: it would flatter the ratio. A job changes before
every refresh. The two workspaces take turns, so that a busy machine slows both alike; the figure is the median.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.queue.store import Store, open_store
from backend.workspace import ROOT, open_workspace
from tests.support import homes
from ui.jobs import list as jobs_list

SMALL, LARGE = 100, 10_000
ROUNDS = 60
GOAL = 1.5
STATES = ("succeeded", "succeeded", "failed", "cancelled", "lost")


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``; the value is that of 10,000 jobs, in ms."""
    with homes.temporary() as workspace:
        roots = {count: workspace.root.parent / str(count) for count in (SMALL, LARGE)}
        for count, root in roots.items():
            fill(open_store(open_workspace(root)), count)
        return [_compare(what, roots, prepare) for what, prepare in VIEWS.items()]


def fill(store: Store, count: int) -> None:
    """``count`` jobs that ended, and on top one that runs and one that waits: the page is live."""
    now = time.time()
    rows = [
        (
            "drill",
            f"Run {n}",
            STATES[n % len(STATES)],
            1,
            now - 60 * n,
            now - 60 * n,
            now - 60 * n + 12,
            12.0,
            n,
            "me",
            "{}",
        )
        for n in range(count - 2)
    ]
    progress = json.dumps(
        {"t": now, "phase": "train", "step": 480, "total": 1920, "eta_s": 720, "metrics": {"loss": 2.9}}
    )
    rows.append(("drill", "The one that runs", "running", 1, now, now, None, 1.0, count, "me", progress))
    rows.append(("drill", "The one that waits", "queued", 0, now, None, None, 0.0, count + 1, "me", "{}"))
    with store.write() as db:
        db.executemany(
            "INSERT INTO jobs (verb, title, state, attempt, created, started, ended, elapsed, position, owner, progress)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def _newest(_app: AppTest) -> None:
    """The page as it opens."""


def _failed(app: AppTest) -> None:
    app.get_by_key("jobs_states").set_value(["failed", "lost"])


def _active(app: AppTest) -> None:
    app.get_by_key("jobs_states").set_value(["active"])


def _queue(app: AppTest) -> None:
    app.get_by_key("jobs_view").set_value("queue")


def _older(app: AppTest) -> None:
    app.session_state["jobs_pages"] = [60]


VIEWS: dict[str, Callable[[AppTest], None]] = {
    "Jobs page: newest first": _newest,
    "Jobs page: failed and lost": _failed,
    "Jobs page: running or waiting": _active,
    "Jobs page: an old page": _older,
    "Jobs page: the queue": _queue,
}


def _open(root: Path, prepare: Callable[[AppTest], None]) -> AppTest:
    os.environ["TUNEDECK_WORKSPACE"] = str(root)
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.switch_page("../pages/jobs.py").run()
    prepare(app)
    app.run()
    assert not app.exception, app.exception
    return app


def _compare(what: str, roots: dict[int, Path], prepare: Callable[[AppTest], None]) -> dict[str, Any]:
    apps = {count: _open(root, prepare) for count, root in roots.items()}
    times: dict[int, list[float]] = {count: [] for count in roots}
    body = jobs_list._body
    try:
        for _ in range(ROUNDS):
            for count, root in roots.items():
                os.environ["TUNEDECK_WORKSPACE"] = str(root)
                # Something changes between two refreshes of a live page: nothing may be remembered from the last one.
                with open_store(open_workspace(root)).write() as db:
                    db.execute("UPDATE jobs SET elapsed = elapsed + 1 WHERE state = 'running'")
                jobs_list._body = _timed(body, times[count])  # type: ignore[assignment]
                apps[count].run()
    finally:
        jobs_list._body = body
    small, large = (statistics.median(times[count]) for count in (SMALL, LARGE))
    ratio = large / small
    goal = f"<= {GOAL} x 100 jobs"
    return {
        "what": what,
        "value": round(large * 1000, 1),
        "unit": "ms",
        "ratio": round(ratio, 2),
        "goal": goal,
        "ok": ratio <= GOAL,
    }


def _timed(body: Callable[[str, bool], None], times: list[float]) -> Callable[[str, bool], None]:
    """``body``, which notes how long it took."""

    def run(view: str, moving: bool) -> None:
        jobs_list._counted.clear()  # a timed redraw runs alone: the page's head has not counted for it
        begin = time.thread_time()
        body(view, moving)
        times.append(time.thread_time() - begin)

    return run


def main() -> None:
    print(f"{'what':32} {'10,000 jobs':>12} {'x of 100':>9}")
    for row in measure():
        mark = "ok" if row["ok"] else "MISSED"
        print(f"{row['what']:32} {row['value']:>9.1f} ms {row['ratio']:>9.2f}  {mark}")


if __name__ == "__main__":
    main()
