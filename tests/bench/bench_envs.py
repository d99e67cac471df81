"""Environments: deciding whether one can be reused, with one and with eight of them; and the start of the panel beside them.

    python -m tests.bench.bench_envs

Eight environments of 200 packages each, as an install leaves them, without the packages' content: what is decided is told from
names. Each look is by a process that has seen nothing of them before. The start of the panel is that of ``bench_panel``, in a
workspace whose environments folder is empty and in one with the eight, in turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from backend.workspace import ROOT
from tests.bench.table import Row
from tests.support.panel import start_panel

PACKAGES, ENVIRONMENTS, RUNS, STARTS = 200, 8, 7, 3
GOAL_S, START_GOAL = 0.1, 1.15
LOOK = """
import sys, time
from pathlib import Path
from backend.engines import engines
from backend.envs import locks, places, planning
from backend.workspace import Workspace
from tests.bench.bench_envs import toys
workspace = Workspace(Path(sys.argv[1]))
names = toys(Path(sys.argv[2]), int(sys.argv[3]))
began = time.perf_counter()
assert planning.plan(workspace, names[0]).reuse
one = time.perf_counter() - began
began = time.perf_counter()
found = [each for each in places.statuses(workspace) if each.engine in names]
every = time.perf_counter() - began
assert [each.state for each in found] == ["ready"] * len(names), found
print(one, every)
"""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as name:
        top = Path(name)
        _fill(top)
        few = [_look(top, 1) for _ in range(RUNS)]
        many = [_look(top, ENVIRONMENTS) for _ in range(RUNS)]
        sides = ((top / "nothing", top / "no environments"), (top / "panel", top / "envs"))
        _start(*sides[0])  # the very first one reads the disk
        # Either side first as often as last; the quickest of each, since a start waits for much that is not ours.
        turns = [(side, _start(*sides[side])) for _ in range(STARTS) for side in (0, 1, 1, 0)]
    alone, beside = median(one for one, _ in few), median(one for one, _ in many)
    every = median(each for _, each in many)
    empty, full = (min(seconds for turn, seconds in turns if turn == side) for side in (0, 1))
    goal = f"at most {GOAL_S * 1000:.0f} ms"
    return [
        {
            "what": f"decide that one of {PACKAGES} packages is reused",
            "value": alone * 1000,
            "unit": "ms",
            "goal": goal,
            "ok": alone <= GOAL_S,
        },
        {
            "what": f"the same with {ENVIRONMENTS} on this machine",
            "value": beside * 1000,
            "unit": "ms",
            "ratio": beside / alone,
            "goal": goal,
            "ok": beside <= GOAL_S,
        },
        {
            "what": f"the state of all {ENVIRONMENTS}, and of the engines that ship",
            "value": every * 1000,
            "unit": "ms",
            "goal": goal,
            "ok": every <= GOAL_S,
        },
        {
            "what": f"panel start beside {ENVIRONMENTS} environments",
            "value": full,
            "unit": "s",
            "ratio": full / empty,
            "goal": f"<= {START_GOAL} x without any",
            "ok": full <= START_GOAL * empty,
        },
    ]


def toys(locks_folder: Path, count: int) -> list[str]:
    """Put ``count`` toy engines on the list of this process; their names."""
    from backend.engines import engines
    from tests.support.environments import Toy, write_lock

    names = [f"toy{number}" for number in range(count)]
    packages = {"toy": "1.0", "toy-parts": "0.5"} | {f"part-{n}": f"1.{n}" for n in range(PACKAGES - 2)}
    for name in names:
        engines()[name] = Toy(locks_folder / name, name=name)
        write_lock(locks_folder / name / "toy-cpu.txt", "cpu", packages)
    return names


def _fill(top: Path) -> None:
    """The environments, made by a process of their own: this one must not know the toys."""
    code = """
import sys
from pathlib import Path
from backend.engines import engines
from backend.workspace import open_workspace
from tests.bench.bench_envs import ENVIRONMENTS, toys
from tests.support.environments import make
workspace = open_workspace(Path(sys.argv[1]))
for name in toys(Path(sys.argv[2]), ENVIRONMENTS):
    make(workspace, engines()[name])
"""
    _python(top, code, ENVIRONMENTS)


def _look(top: Path, count: int) -> tuple[float, float]:
    one, every = _python(top, LOOK, count).split()
    return float(one), float(every)


def _python(top: Path, code: str, count: int) -> str:
    env = {**os.environ, "TUNEDECK_ENVIRONMENTS_FOLDER": str(top / "envs"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(top / "workspace"), str(top / "locks"), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _start(workspace: Path, environments: Path) -> float:
    begin = time.monotonic()
    panel = start_panel(workspace, environments_folder=str(environments))
    seconds = time.monotonic() - begin
    panel.stop()
    return seconds


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
