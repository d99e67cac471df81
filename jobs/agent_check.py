"""Check how a model calls tools: ``python -m jobs.agent_check SPEC.json``.

server  the model's server is found, or started and waited for
ask     each form of calling tools, and in it each of the small tasks (:mod:`backend.agent.checks_tasks`)

``checked.json`` in the job's folder holds what is scored; a second attempt asks the rest, unless the model has changed meanwhile. A form is kept with the
model (:mod:`backend.agent.checks`) as soon as all its tasks are scored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from backend.agent import checks
from backend.agent.calls import Protocol
from backend.agent.checks import Checked, Score
from backend.agent.checks_judging import Came, judged
from backend.agent.checks_tasks import Task
from backend.agent.checks_tools import TOOLS
from backend.agent.options import Options
from backend.agent.records import Turn
from backend.agent.tools import Context
from backend.queue.store import open_store
from backend.specs.agent_check import AgentCheckSpec
from backend.workspace import Workspace, open_workspace, read_json, write_json
from jobs.agent.asking import Asks, Interrupted, ServerModel
from jobs.agent.book import MemoryBook
from jobs.agent.loop import run_turn
from jobs.harness import Job, Stopped, main

FILE = "checked.json"
REFUSED = ("request_refused", "server_failed", "context_length_exceeded")
"""Errors of a server that say something about the form it was asked in; all others end the check."""
MOST_STEPS, MOST_SECONDS, MOST_TOKENS = 6, 300, 400


def run(job: Job) -> dict[str, Any]:
    """The program.

    Raises:
        PanelError: the model cannot be served, or its server is gone; what was scored is kept.
    """
    spec = job.spec_as(AgentCheckSpec)
    workspace = open_workspace()
    store = open_store(workspace)
    try:
        job.phase("server")
        model = ServerModel(store, workspace, spec.model, start=True)
        model.ready(lambda: job.stop_requested)
        check = _Check(job, spec, workspace)
        job.phase("ask")
        record = check.all(model)
    except Interrupted:
        raise Stopped from None
    finally:
        store.close()
    job.log(checks.sentence(record))
    scores = {name: checks.counts(score) for name, score in record.protocols.items()}
    return {"complete": True, "model": record.model, "use": checks.best(record), "protocols": scores}


class _Check:
    """A check while it goes on."""

    def __init__(self, job: Job, spec: AgentCheckSpec, workspace: Workspace) -> None:
        self.job, self.spec, self.workspace = job, spec, workspace
        self.tasks = checks.chosen(spec.limit)
        self.fingerprint = checks.fingerprint(workspace, spec.model)
        self.came: dict[str, dict[str, Came]] = {name: {} for name in spec.protocols}
        self._read()
        self.total = len(self.tasks) * len(spec.protocols)
        self.before, self.began = self.done, time.monotonic()

    @property
    def done(self) -> int:
        return sum(map(len, self.came.values()))

    def all(self, model: Asks) -> Checked:
        """Ask what is not scored yet; the record of the model, which is kept.

        Raises:
            Stopped; PanelError.
        """
        record = Checked(self.spec.model, self.fingerprint, time.time())
        self._tell()
        for protocol in self.spec.protocols:
            scored = self.came[protocol]
            for task in self.tasks:
                self.job.check_stop()
                if task.id not in scored:
                    scored[task.id] = self._one(model, protocol, task)
                    self._write()
                    self._tell()
            score = Score(tuple(scored[task.id] for task in self.tasks))
            self.job.log(f"{protocol}: {json.dumps(checks.counts(score))}")
            now = Checked(self.spec.model, self.fingerprint, time.time(), {protocol: score})
            record = checks.keep(self.workspace, now)
        return record

    def _one(self, model: Asks, protocol: Protocol, task: Task) -> Came:
        options = Options(
            protocol=protocol,
            tools=task.tools,
            lang=task.lang,
            max_tokens=MOST_TOKENS,
            most_steps=MOST_STEPS,
            most_seconds=MOST_SECONDS,
        )
        turn = Turn(0, "", task.text, "running", self.spec.model, options, time.time(), protocol)
        book = MemoryBook(stopped=lambda: self.job.stop_requested)
        context = Context(self.workspace, self.job.dir)
        outcome = run_turn(book, model, [TOOLS[name] for name in task.tools], (), turn, protocol, context)
        if outcome.state == "stopped":
            raise Stopped
        if outcome.error is not None and outcome.error.code not in REFUSED:
            raise outcome.error
        came = judged(task, book.steps, outcome.answer, outcome.problem, outcome.error)
        self.job.log(f"{protocol} {task.id}: {_in_words(came)}")
        return came

    def _tell(self) -> None:
        done, asked = self.done, self.done - self.before
        left = (time.monotonic() - self.began) / asked * (self.total - done) if asked else None
        self.job.progress("ask", done, self.total, left)

    def _read(self) -> None:
        known = read_json(self.job.dir / FILE)
        if not isinstance(known, dict) or known.get("fingerprint") != self.fingerprint:
            return
        found: Mapping[str, Any] = known["came"]
        for name in self.came:
            self.came[name] = {each["task"]: checks.came_from(each) for each in found.get(name, ())}

    def _write(self) -> None:
        came = {name: checks.came_dicts(tuple(found.values())) for name, found in self.came.items()}
        write_json(self.job.dir / FILE, {"fingerprint": self.fingerprint, "came": came})


def _in_words(came: Came) -> str:
    calls = ", ".join(f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})" for call in came.calls)
    why = f" ({came.problem.code})" if came.problem else f" ({came.error['code']})" if came.error else ""
    word = "passed" if came.passed else "called right" if came.called else "wrong call"
    return f"{word}: {calls or 'no call'}; {came.answer[:200]!r}{why}"


if __name__ == "__main__":
    raise SystemExit(main("agent_check", run))
