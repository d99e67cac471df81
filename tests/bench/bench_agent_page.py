"""Server time of one rerun of the Agent page with a turn of 200 steps that goes on, against one of as many as are drawn; goal: at most 1.5 x.

    python -m tests.bench.bench_agent_page

A turn that goes on is what the page draws anew every 0.4 s. Beside it: twenty turns of ten steps each, folded, against one. The conversations take turns, so that a
busy machine slows all alike; the figure is the median.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support import homes
from tests.support.agent_page import Worker, called, open_at, working
from ui.agent.turn import LAST_STEPS

ROUNDS = 20
GOAL, FOLDED_GOAL = 1.5, 4.0
RESULT = "The quick brown fox jumps over the lazy dog. " * 20


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``, in ms."""
    with homes.temporary() as workspace, working(workspace) as worker:
        running = _times({n: open_at(_running(worker, n)) for n in (2, LAST_STEPS, 200)})
        folded = _times({n: open_at(_over(worker, n)) for n in (1, 20)})
    return [
        _row(
            "Agent page: a rerun while a turn of 200 steps goes on, against 12, as many are drawn",
            running[200],
            running[LAST_STEPS],
            GOAL,
        ),
        _row("the same, against 2", running[200], running[2], None),
        _row("Agent page: a rerun with 20 turns of ten steps, folded, against 1", folded[20], folded[1], FOLDED_GOAL),
    ]


def _running(worker: Worker, steps: int) -> str:
    turn = worker.asked(f"A turn of {steps} steps")
    worker.begin(turn)
    for number in range(1, steps + 1):
        worker.step(turn, number, thought="On.", model_s=1.0, calls=(called(state="done", text=RESULT, seconds=0.1),))
    return turn.conversation


def _over(worker: Worker, turns: int) -> str:
    conversation: str | None = None
    for _ in range(turns):
        turn = worker.asked("How much?", conversation)
        conversation = turn.conversation
        worker.begin(turn)
        for number in range(1, 10):
            worker.step(turn, number, model_s=1.0, calls=(called(state="done", text=RESULT, seconds=0.1),))
        worker.step(turn, 10, answer="351", model_s=1.0)
        worker.end(turn, answer="351")
        worker.leave()
    assert conversation is not None
    return conversation


def _times(apps: dict[int, AppTest]) -> dict[int, float]:
    times: dict[int, list[float]] = {n: [] for n in apps}
    for _ in range(ROUNDS):
        for n, app in apps.items():
            began = time.monotonic()
            app.run()
            times[n].append((time.monotonic() - began) * 1000)
            assert not app.exception, app.exception
    return {n: statistics.median(values) for n, values in times.items()}


def _row(what: str, value: float, against: float, goal: float | None) -> dict[str, Any]:
    ratio = value / against
    row: dict[str, Any] = {"what": what, "value": round(value, 1), "unit": "ms", "ratio": round(ratio, 2)}
    return row if goal is None else {**row, "goal": f"at most {goal} x", "ok": ratio <= goal}


def main() -> None:
    for row in measure():
        print(f"{row['what']:70} {row['value']:>8.1f} {row['unit']} {row['ratio']:>6.2f} x  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
