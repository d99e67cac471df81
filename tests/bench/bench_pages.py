"""Server time of one rerun of every page and its parts, with 100 models, 50 datasets, 5,000 jobs and 30 days of memory samples

    python -m tests.bench.bench_pages [words of a page's address]

Goal: at most 150 ms at p95. A rerun is all of the page with its frame, as any press draws it; before each of them a job tells its
progress and the recorder adds a second, so that nothing can be remembered that a live panel would have to read. Judged is the
processor's time of the thread that runs the page's script: by the wall what else runs on the machine would be measured along, and
of the process what the test harness does with the page. Both, and the first run of each page, are told beside it.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.testing.v1 import AppTest

from backend.memory.series import MemoryStore, open_memory
from backend.queue import lifecycle
from backend.queue.store import Store, open_store
from backend.workspace import ROOT, open_workspace
from tests.bench.table import Row, plain
from tests.support import homes
from tests.support.every_page import SET_PARTS
from tests.support.large_workspace import Large, fill
from tests.support.seconds import busy

RERUNS = 20
GOAL_MS = 150.0


@dataclass(frozen=True)
class Times:
    """Of one page, in ms: its first run, and the 95th percentile of its reruns by the script's thread, by the process with the
    harness, and by the wall."""

    first: float
    script: float
    process: float
    wall: float


def addresses(large: Large) -> tuple[str, ...]:
    """Every page and part, at the most that the workspace holds for it."""
    compared = ",".join(map(str, large.finetunes[:4]))
    return (
        "home",
        "course",
        f"chat?c={large.talk}",
        "chat",
        f"agent?c={large.agent}",
        "datasets",
        "datasets?view=import",
        "datasets?view=make",
        *(f"datasets?set={large.dataset}&part={part}" for part in SET_PARTS),
        "finetune",
        "finetune?view=new&model=starter&dataset=Robin&purpose=identity",
        "finetune?view=runs",
        f"finetune?view=runs&job={large.finetunes[0]}",
        f"finetune?view=runs&job={large.moving}",
        f"finetune?view=compare&runs={compared}",
        *(f"quantize?step={step}&model=starter&method=gptq" for step in ("model", "method", "calibration", "plan")),
        "quantize?step=run",
        f"quantize?step=report&job={large.quantize}",
        "models",
        "models?view=add",
        "models?view=download",
        "deploy",
        "deploy?view=connect",
        "benchmark",
        "benchmark?view=matrix",
        "benchmark?view=results",
        f"benchmark?view=results&job={large.bench}",
        f"benchmark?view=results&job={large.matrix}",
        "evaluate",
        "evaluate?view=results",
        f"evaluate?view=results&run={large.evaluations[0]}",
        f"evaluate?view=compare&runs={large.evaluations[0]},{large.evaluations[1]}",
        "evaluate?view=sets",
        "memory",
        "memory?view=past&range=30d",
        "memory?view=compare",
        "jobs",
        "jobs?view=queue",
        f"jobs?job={large.failed}",
        "environments",
        "environments?view=machine",
        "environments?view=log",
        "settings",
        "search",
        "search?q=wheat",
    )


def measure() -> list[Row]:
    """A row for each page; the value is the 95th percentile by the script's thread."""
    with workspace() as (root, large):
        return [row(address, times(root, large, address)) for address in addresses(large)]


@contextmanager
def workspace() -> Iterator[tuple[Path, Large]]:
    """The large workspace, as the one that the pages work on."""
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    with homes.temporary() as made:
        with closing(open_store(made)) as store:
            large = fill(made, store)
        yield made.root, large


def times(root: Path, large: Large, address: str, reruns: int = RERUNS) -> Times:
    """``reruns`` of the page at ``address`` after its first run."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=120).run()
    page, _mark, query = address.partition("?")
    for pair in query.split("&") if query else ():
        name, _equals, value = pair.partition("=")
        app.query_params[name] = value
    app.switch_page(str(ROOT / "pages" / f"{page}.py"))
    first = _run(app)[0]
    _run(app)  # a form that the address filled in writes it anew
    found = []
    made = open_workspace(root)
    with closing(open_store(made)) as store, closing(open_memory(made)) as memory:
        for turn in range(reruns):
            _change(store, memory, large, turn)
            gc.collect()  # what the earlier pages left is not this one's
            found.append(_run(app))
    script, process, wall = (sorted(side)[_p95(reruns)] for side in zip(*found, strict=True))
    return Times(first, script, process, wall)


def _p95(count: int) -> int:
    """The place of the 95th percentile among ``count`` sorted values."""
    return max(0, -(-95 * count // 100) - 1)


def _run(app: AppTest) -> tuple[float, float, float]:
    """ms of one rerun: of the script's thread, of the process, and by the wall."""
    threads: list[float] = []
    real = ScriptRunner._run_script

    def timed(runner: ScriptRunner, *args: Any) -> None:
        began = time.thread_time()
        try:
            real(runner, *args)
        finally:
            threads.append(1000 * (time.thread_time() - began))

    ScriptRunner._run_script = timed  # type: ignore[method-assign]
    used, began = time.process_time(), time.perf_counter()
    try:
        app.run()
    finally:
        ScriptRunner._run_script = real  # type: ignore[method-assign]
    took = (sum(threads), 1000 * (time.process_time() - used), 1000 * (time.perf_counter() - began))
    assert threads, "the script did not run"
    assert not app.exception, app.exception
    return took


def _change(store: Store, memory: MemoryStore, large: Large, turn: int) -> None:
    told = {"t": time.time(), "phase": "train", "step": 260 + turn, "total": 500, "metrics": {"loss": 1.0}}
    lifecycle.note_progress(store, large.moving, 1, told, 60.0 + turn)
    memory.append(busy(time.time(), 1000 + turn))


def row(address: str, found: Times) -> Row:
    told = f"{address} (first {found.first:,.0f} ms; p95 of the process {found.process:,.0f}, by the wall {found.wall:,.0f} ms)"
    goal, ok = f"<= {GOAL_MS:.0f} ms", found.script <= GOAL_MS
    return {"what": told, "value": found.script, "unit": "ms", "goal": goal, "ok": ok}


def main(words: list[str]) -> None:
    """The pages whose address has one of ``words``; all without."""
    with workspace() as (root, large):
        for address in addresses(large):
            if not words or any(word in address for word in words):
                print("\n".join(plain([row(address, times(root, large, address))])[1:]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
