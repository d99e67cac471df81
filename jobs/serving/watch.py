"""The life of one server: start the engine, say when it can answer and when it cannot, restart it, end it.

load ──▶ ready ◀──▶ hung ──(60 s)──┐
 ▲                   │             │
 └──── backoff ◀─────┴── engine gone; more than max_restarts within ten minutes ──▶ fails with the cause
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil

from backend.engines import ServingEngine
from backend.engines.crashes import PERMANENT
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.servers import Server, publish, withdraw
from jobs.harness import Job
from jobs.serving.child import Child
from jobs.serving.probe import PROBES, Probe

TICK_S = 0.1
REPORT_S, QUIET_REPORT_S = 4.0, 60.0
HUNG_S = 6.0
GIVE_UP_HUNG_S = 60.0
WINDOW_S = 600.0
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class Watch:
    """Keeps ``server`` answering until it is told to stop, idles out, or must give up."""

    def __init__(
        self,
        job: Job,
        server: Server,
        engine: ServingEngine,
        start: Callable[[], Child],
        idle_s: float,
        max_restarts: int,
    ) -> None:
        self._job, self._server, self._engine, self._start = job, server, engine, start
        self._idle_s, self._max_restarts = idle_s, max_restarts
        self._ends: list[float] = []
        self._totals = {"requests": 0.0, "tokens": 0.0}

    def run(self) -> dict[str, Any]:
        """Returns the counts of its whole life, and ``stopped``: ``person`` or ``idle``.

        Raises:
            ServerError: the engine ended too often, or could not load; with its last words.
        """
        try:
            while True:
                self._job.phase("load")
                child = self._start()
                probe = PROBES[self._engine.name](self._port(), self._server.key, self._server.model)
                probe.start()
                try:
                    ended = self._watch(child, probe)
                finally:
                    probe.leave()
                    child.stop()
                    for name in self._totals:
                        self._totals[name] += probe.status.get(name, 0)
                if ended in ("person", "idle"):
                    return {"stopped": ended, **{k: int(v) for k, v in self._totals.items()}}
                self._after_crash(child, ended, was_ready=bool(probe.ready_at))
        finally:
            withdraw(self._job.dir)

    def _port(self) -> int:
        return int(self._server.base_url.rsplit(":", 1)[1].split("/")[0])

    def _watch(self, child: Child, probe: Probe) -> str:
        """Until it ends: ``person``, ``idle``, ``gone`` (the engine ended by itself) or ``hung`` (we must end it)."""
        state, began, report = "load", time.monotonic(), _Report(self._job, child)
        back = began  # an engine that hung counts the time in which nobody could ask it
        while True:
            if self._job.stop_requested:
                return "person"
            if child.returncode is not None:
                return "gone"
            now = time.monotonic()
            if state == "load":
                report.loading(now - began)
                if probe.ready_at:
                    state = self._enter("ready", f"ready after {now - began:.1f} s: {self._server.base_url}")
            elif state == "ready":
                report.serving(probe.status)
                if probe.asleep != self._server.asleep:
                    self._sleep(probe.asleep)
                if probe.failed:
                    return "hung"
                if now - probe.answered_at > HUNG_S:
                    state = self._enter("hung", f"no answer for {HUNG_S:.0f} s")
                elif self._idle_s and min(probe.status.get("idle_s", 0.0), now - back) >= self._idle_s:
                    self._job.log(f"no request for {self._idle_s:g} s: stopping")
                    return "idle"
            elif now - probe.answered_at <= HUNG_S:
                state, back = self._enter("ready", "answers again"), now
            elif now - probe.answered_at > GIVE_UP_HUNG_S and not _suspended(child):
                self._job.log(f"no answer for {GIVE_UP_HUNG_S:.0f} s: ending the engine")
                return "hung"
            time.sleep(TICK_S)

    def _enter(self, state: str, line: str) -> str:
        self._job.log(line)
        self._job.phase(state)
        self._server = replace(self._server, ready=state == "ready", since=self._server.since or time.time())
        publish(self._job.dir, self._server)
        return state

    def _sleep(self, asleep: bool) -> None:
        self._job.log("sleeps: its GPU memory is free for others" if asleep else "awake again")
        self._server = replace(self._server, asleep=asleep)
        publish(self._job.dir, self._server)

    def _after_crash(self, child: Child, ended: str, *, was_ready: bool) -> None:
        """Wait before the next start, or give up. ``was_ready``: it answered once since it was started.

        Raises:
            ServerError: see :meth:`run`.
        """
        now = time.monotonic()
        self._ends = [t for t in self._ends if now - t < WINDOW_S] + [now]
        times = len(self._ends)
        cause = self._hung(times) if ended == "hung" else self._cause(child, times)
        self._job.log(f"{cause}")
        # What cannot load now will not load in a second either.
        if times > self._max_restarts or (not was_ready and cause.code in PERMANENT):
            raise cause
        if self._server.since:
            self._server = replace(self._server, ready=False, asleep=False)
            publish(self._job.dir, self._server)
        wait = BACKOFF_S[min(times, len(BACKOFF_S)) - 1]
        self._job.phase("restart")
        self._job.log(f"restart {times} of {self._max_restarts} in {wait:g} s")
        until = time.monotonic() + wait
        while time.monotonic() < until and not self._job.stop_requested:
            time.sleep(TICK_S)

    def _cause(self, child: Child, times: int) -> PanelError:
        code = child.returncode
        assert code is not None
        return self._engine.explain(child.last_lines(), code, model=self._server.model, times=times)

    def _hung(self, times: int) -> PanelError:
        return ServerError(
            "engine_hung",
            N_("The engine that served '{model}' stopped answering, {times} times."),
            N_(
                "The machine may be overloaded or its memory may be swapped out. Look at the memory, then start it again."
            ),
            model=self._server.model,
            times=times,
        )


class _Report:
    """Progress events: often while something happens, seldom while nothing does."""

    def __init__(self, job: Job, child: Child) -> None:
        self._job = job
        self._process = psutil.Process(child.process.pid)
        self._last: dict[str, float] = {}
        self._next = self._at = 0.0

    def loading(self, seconds: float) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            self._job.progress("load", round(seconds, 1), metrics={"rss_mib": self._rss_mib()})

    def serving(self, status: dict[str, float]) -> None:
        now = time.monotonic()
        changed = any(status.get(k) != self._last.get(k) for k in ("requests", "active", "tokens"))
        if now - self._at < (REPORT_S if changed else QUIET_REPORT_S):
            return
        metrics = {k: status.get(k, 0) for k in ("requests", "active", "tokens", "errors")}
        busy = status.get("busy_s", 0.0) - self._last.get("busy_s", 0.0)
        if busy > 0.05:
            metrics["tokens_s"] = round((status.get("tokens", 0) - self._last.get("tokens", 0)) / busy, 1)
        metrics["rss_mib"] = self._rss_mib()
        self._job.progress("ready", status.get("requests", 0), metrics=metrics)
        self._last, self._at = dict(status), now

    def _rss_mib(self) -> int:
        try:
            return int(self._process.memory_info().rss) >> 20
        except psutil.Error:
            return 0  # it ended this moment; the next tick sees that


def _suspended(child: Child) -> bool:
    try:
        return bool(psutil.Process(child.process.pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
