"""The agent's own tools: Python shut in, and the calculator; goal: `1+1` in Python within 300 ms.

    python -m tests.bench.bench_agent_python

Beside each figure of the Python tool stands the bare interpreter that does the same without walls, limits or a watch,
started in turns with it: what is left is the price of shutting the code in. The figures are medians by the clock.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.agent.tools import Context
from backend.workspace import open_workspace
from jobs.agent.sandbox import ability as abilities
from jobs.agent.tools.calculator import Calculator
from jobs.agent.tools.python_code import PythonCode

ROUNDS, FEW_ROUNDS = 15, 5
GOAL_MS, FIRST_GOAL_MS, CALCULATOR_GOAL_MS = 300, 600, 5
NUMPY = "import numpy\nfloat(numpy.arange(10).sum())"


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``, in ms."""
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder:
        context = Context(open_workspace(Path(folder) / "workspace"), Path(folder) / "conversation")
        python, calculator = PythonCode(), Calculator()
        first = statistics.median(_timed(lambda: _first(python, context)) for _ in range(FEW_ROUNDS))
        small = _beside("1+1", "print(1+1)", python, context, ROUNDS)
        numpy = _beside(NUMPY, "import numpy\nprint(float(numpy.arange(10).sum()))", python, context, FEW_ROUNDS)
        _leave_files(python, context)
        full = _beside("1+1", "print(1+1)", python, context, ROUNDS)
        sums = statistics.median(
            _timed(lambda: calculator.call({"expression": "(1,200 * 15%) ^ 2 / 7"}, context)) for _ in range(200)
        )
    return [
        _row("Python tool: 1+1", small, GOAL_MS),
        _row("Python tool: 1+1, 1,000 files in its folder", full, GOAL_MS),
        _row("Python tool: import numpy", numpy, None),
        {
            "what": "Python tool: the first 1+1, which also finds out which walls there are",
            "value": round(first, 1),
            "unit": "ms",
            "goal": f"at most {FIRST_GOAL_MS} ms",
            "ok": first <= FIRST_GOAL_MS,
        },
        {
            "what": "Calculator",
            "value": round(sums, 3),
            "unit": "ms",
            "goal": f"at most {CALCULATOR_GOAL_MS} ms",
            "ok": sums <= CALCULATOR_GOAL_MS,
        },
    ]


def _first(python: PythonCode, context: Context) -> None:
    abilities.forget()
    _called(python, "1+1", context)


def _called(python: PythonCode, code: str, context: Context) -> None:
    result = python.call({"code": code}, context)
    assert result.error is None, result.text


def _leave_files(python: PythonCode, context: Context) -> None:
    _called(python, "for n in range(1000): open(f'{n}.txt', 'w').close()", context)


def _beside(code: str, bare: str, python: PythonCode, context: Context, rounds: int) -> tuple[float, float]:
    """(ms in the tool, ms of the bare interpreter), in turns."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_timed(lambda: _called(python, code, context)))
        theirs.append(
            _timed(lambda: subprocess.run([sys.executable, "-I", "-c", bare], check=True, capture_output=True))
        )
    return statistics.median(ours), statistics.median(theirs)


def _row(what: str, times: tuple[float, float], goal: float | None) -> dict[str, Any]:
    ours, theirs = times
    row: dict[str, Any] = {"what": what, "value": round(ours, 1), "unit": "ms", "ratio": round(ours / theirs, 2)}
    if goal is None:
        return {**row, "goal": "beside the bare interpreter"}
    return {**row, "goal": f"at most {goal} ms; beside the bare interpreter", "ok": ours <= goal}


def _timed(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return (time.monotonic() - begin) * 1000


def main() -> None:
    for row in measure():
        ratio = f"{row['ratio']:.2f} x" if "ratio" in row else ""
        print(f"{row['what']:72} {row['value']:>8.1f} {row['unit']} {ratio:>8}  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
