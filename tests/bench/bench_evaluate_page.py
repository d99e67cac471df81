"""Processor time of one rerun of the Evaluate page: 60 subjects x 8 models, and 15,000 questions x 2 models; goal: at most 300 ms each.

    python -m tests.bench.bench_evaluate_page

A rerun is all of the page with its frame, as a press of a button draws it. What a comparison has counted is kept while its runs stay as they are, so its
table is measured twice: when it counts, and after that. The figure is the median of the time that the processor spent: all that is read lies in memory by
then, and what else runs on the machine would only be measured along.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import ROOT
from tests.support import homes
from tests.support.evaluated import evaluated
from ui.evaluate import compare as evaluate_compare

ROUNDS = 9
GOAL_MS = 300.0
WIDE = {f"subject_{n:02}": 23 for n in range(60)}
"""As many subjects as MMLU, and about as many questions as C-Eval's val split has."""
LONG = {f"subject_{n:02}": 250 for n in range(60)}


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "goal", "ok"}``, in ms."""
    with homes.temporary() as workspace, closing(open_runs(workspace)) as runs:
        return [_row(what, value) for what, value in _measured(runs)]


def _measured(runs: EvaluateStore) -> list[tuple[str, float]]:
    wide = [evaluated(runs, f"model {n}", WIDE, right=0.5 + n / 20, seed=n, set_name="wide") for n in range(8)]
    long = [
        evaluated(runs, f"model {n}", LONG, right=0.6 + n / 10, unread=0.05, seed=20 + n, set_name="long")
        for n in (0, 1)
    ]
    found = [
        ("results: the list of 10 runs", _median(_open(view="results"))),
        ("results: one run, 60 subjects, 15,000 answers", _median(_open(view="results", run=str(long[0])))),
    ]
    for name, query in {
        "wrong ones": {"only": "wrong"},
        "a text": {"q": "What is 17"},
        "the last page": {"at": "14991"},
    }.items():
        app = _open(view="results", run=str(long[0]), part="questions", **query)
        found.append((f"results: questions of 15,000, {name}", _median(app)))
    for what, ids in (("60 subjects x 8 models", wide), ("15,000 questions x 2 models", long)):
        for view in ("table", "difference", "heat", "questions"):
            app = _open(view="compare", runs=",".join(map(str, ids)), show=view)
            found.append((f"compare, {what}: {view}", _median(app)))
            if view == "table":
                found.append((f"compare, {what}: {view}, counting", _median(app, evaluate_compare.forget)))
    return found


def _open(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=120).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "evaluate.py")).run()
    assert not app.exception, app.exception
    return app


def _median(app: AppTest, before: Callable[[], None] = lambda: None) -> float:
    times = []
    for _ in range(ROUNDS):
        before()
        began = time.process_time()
        app.run()
        times.append((time.process_time() - began) * 1000)
        assert not app.exception, app.exception
    return statistics.median(times)


def _row(what: str, value: float) -> dict[str, Any]:
    goal = f"at most {GOAL_MS:.0f} ms"
    return {
        "what": f"Evaluate page, {what}",
        "value": round(value, 1),
        "unit": "ms",
        "goal": goal,
        "ok": value <= GOAL_MS,
    }


def main() -> None:
    for row in measure():
        print(f"{row['what']:78} {row['value']:>8.1f} {row['unit']}  {'ok' if row['ok'] else 'MISSED'}")


if __name__ == "__main__":
    main()
