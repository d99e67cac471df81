"""The whole course on the starter, machine time only: what its ten steps make the machine do, one after the other; goal: under 12 minutes.

    python -m tests.bench.bench_course

The jobs are those that the pages submit with the answers that the course fills in, through a real queue; what a person reads, types and
presses takes no time here. The watcher runs as with a panel; no browser is open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend import catalog
from backend.course import noticing, watching
from backend.course.progress import Progress
from backend.data.make import identity
from backend.data.make.identity import IdentityWish
from backend.data.store import Datasets
from backend.finetune import plan as finetune_plan
from backend.finetune import presets
from backend.memory import comparisons
from backend.memory.compare import compare
from backend.memory.machine import snapshot
from backend.memory.series import open_memory
from backend.quantize import plan as quantize_plan
from backend.queue.rows import JobRow
from backend.queue.store import Store, open_store
from backend.servers import Server, running_servers
from backend.workspace import ROOT, Workspace, open_workspace
from tests.bench.table import Row
from tests.support.jobs import Queue
from tests.support.wait import until

STARTER, NAME = "starter", "Robin"
WISH = IdentityWish(name=NAME, maker="the Orchard team")
QUESTION, SUM = "Who are you?", "Compute 17 * 23 with the calculator."
GOAL_S, LONGEST_S = 12 * 60.0, 3600.0


def measure() -> list[Row]:
    """Rows for the table."""
    before = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder:
            os.environ |= {"TUNEDECK_WORKSPACE": str(Path(folder) / "workspace"), "OMP_NUM_THREADS": "1"}
            workspace = open_workspace()
            queue = Queue(workspace, open_store(workspace))
            queue.start_watcher()
            try:
                took = Course(workspace, queue.store).take()
            finally:
                queue.end()
                queue.store.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
    total = sum(took.values())
    rows: list[Row] = [{"what": f"machine time of the step: {step}", "value": took[step], "unit": "s"} for step in took]
    goal = f"< {GOAL_S:.0f} s"
    return [*rows, {"what": "all ten steps", "value": total, "unit": "s", "goal": goal, "ok": total < GOAL_S}]


class Course:
    """What the machine does for somebody who takes it."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store
        self.began, self.took = time.time(), dict[str, float]()
        self.tuned = self.small = ""

    def take(self) -> Mapping[str, float]:
        """Seconds of each step; all of them have to be seen done by the course itself, as far as they leave the same as the pages."""
        with self._step("talk"):
            self._ask(STARTER)
        with (
            self._step("rows"),
            Datasets(self.workspace).write(NAME, steps=[{"do": "identity", **asdict(WISH)}]) as out,
        ):
            for row in identity.rows(WISH):
                out.add(row)
        with self._step("finetune"):
            taught = self._taught()
        with self._step("both"):
            self._ask(self.tuned)
        with self._step("memory"):
            self._compared(taught.id)
        with self._step("quantize"):
            self._smaller()
        with self._step("serve"):
            self._served(self.small)
        with self._step("python"):
            self._ask(self.small)
        with self._step("tool"):
            command = [sys.executable, "-m", "backend", "agent", "run", STARTER, SUM]
            said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=LONGEST_S)
            assert "391" in said.stdout, said.stdout
        with self._step("evaluate"):
            for job in [self.store.submit("evaluate", {"model": name}) for name in (STARTER, self.tuned)]:
                self._ended(job)
        seen = watching.look(self.workspace, self.store, Progress(began=self.began))
        assert {"rows", "finetune", "memory", "quantize", "serve", "evaluate"} <= seen.keys(), seen.keys()
        for step in ("finetune", "quantize", "evaluate"):
            print(f"  {step}: {' '.join(noticing.said(step, seen[step]))}", flush=True)
        return self.took

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.took[name] = time.monotonic() - began
        print(f"  {name}: {self.took[name]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)

    def _taught(self) -> JobRow:
        version, machine = Datasets(self.workspace).open(NAME), snapshot()
        card = catalog.find(self.workspace, STARTER)
        found = presets.settings("identity", card, version, machine, presets.TIMES["minutes"])
        answers = {"model": STARTER, "dataset": NAME, "purpose": "identity"}
        made = finetune_plan.plan(self.workspace, {**found, **answers}, machine)
        row = self._ended(self.store.submit("finetune", made.spec.model_dump(mode="json")))
        self.tuned = str((self.store.result(row.id) or {})["model"])
        return row

    def _compared(self, taught: int) -> None:
        served = self.store.list(verb="serve", limit=2)[-1].id
        record = open_memory(self.workspace)
        try:
            comparisons.save(self.workspace, compare(self.store, record, [served, taught]), "serving and teaching")
        finally:
            record.close()

    def _smaller(self) -> None:
        made = quantize_plan.plan(self.workspace, {"model": self.tuned})
        row = self._ended(self.store.submit("quantize", made.spec.model_dump(mode="json", exclude_defaults=True)))
        self.small = str((self.store.result(row.id) or {})["model"])

    def _ended(self, row: JobRow) -> JobRow:
        until(lambda: self.store.get(row.id).done, LONGEST_S, f"{row.title} has ended")
        ended = self.store.get(row.id)
        assert ended.state == "succeeded", ended.error
        return ended

    def _served(self, model: str) -> Server:
        """The server of ``model``, which is put up where it is not."""
        ready = self._server(model)
        if ready is None:
            self.store.submit("serve", {"model": model}, title=model)
            ready = until(lambda: self._server(model), LONGEST_S, f"{model} is served")
        assert ready is not None
        return ready

    def _server(self, model: str) -> Server | None:
        found = [one for one in running_servers(self.store) if one.ready and one.answers_to(model)]
        return found[0] if found else None

    def _ask(self, model: str) -> str:
        asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 64}
        server = self._served(model)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"}
        request = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(asked).encode(), headers)
        with urllib.request.urlopen(request, timeout=LONGEST_S) as answer:
            return str(json.load(answer)["choices"][0]["message"]["content"])


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
