"""Asking the engine how it is, from a thread of its own, so that a hung engine never delays a stop."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from backend.deploy import load

WARMUP_S = 300.0
ANSWER_S = 4.0
EVERY_S = 1.0
NOT_COUNTS = ("active", "computing", "idle_s")


class Probe(threading.Thread):
    """Watches one engine until :meth:`leave`. Ready means: /health answers, and a real completion of one token came back.

    ready_at, answered_at: ``time.monotonic()`` of readiness and of the last answer; 0.0 before. status: its newest
    counters (``requests``, ``tokens``, ``active``, ``idle_s`` …), less what readiness itself cost. failed: the engine
    answers, but says that it cannot compute any more. asleep: it has given its memory back until it is woken.
    """

    def __init__(self, port: int, key: str, model: str) -> None:
        super().__init__(name="engine-probe", daemon=True)
        self._port, self._key, self._model = port, key, model
        self._left = threading.Event()
        self._base: dict[str, float] = {}
        self.ready_at = 0.0
        self.answered_at = 0.0
        self.status: dict[str, float] = {}
        self.failed = False
        self.asleep = False

    def leave(self) -> None:
        """End the thread; a question on its way is not waited for."""
        self._left.set()

    def run(self) -> None:
        while not self._left.wait(0.1 if not self.ready_at else EVERY_S):
            try:
                self._ask_all()
            except (OSError, http.client.HTTPException, ValueError):
                continue  # not listening yet, or hung: answered_at tells since when

    def _ask_all(self) -> None:
        code, _ = self._ask("GET", "/health", ANSWER_S)
        self.failed = code == 503
        if code != 200:
            return
        if not self.ready_at:
            body = {"model": self._model, "prompt": "Hello", "max_tokens": 1}
            code, _ = self._ask("POST", "/v1/completions", WARMUP_S, body)
            if code != 200:
                return
            self._base = self._counters() or {}
        counters = self._counters()
        if counters is not None:
            self.status = {k: v if k in NOT_COUNTS else v - self._base.get(k, 0) for k, v in counters.items()}
            self.answered_at = time.monotonic()
            self.ready_at = self.ready_at or self.answered_at

    def _counters(self) -> dict[str, float] | None:
        """Our own engine's, which are already named as we name them; None where it does not tell them."""
        code, text = self._ask("GET", "/status", ANSWER_S)
        data = json.loads(text) if code == 200 else None
        return data if isinstance(data, dict) else None

    def _ask(self, method: str, path: str, timeout: float, body: Any = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


class MetricsProbe(Probe):
    """Watches an LMDeploy: it tells its counters as Prometheus text, has no word for idleness, and can sleep."""

    def __init__(self, port: int, key: str, model: str) -> None:
        super().__init__(port, key, model)
        self._moved_at = time.monotonic()
        self._last: dict[str, float] = {}

    def _counters(self) -> dict[str, float] | None:
        code, text = self._ask("GET", "/metrics", ANSWER_S)
        if code != 200:
            return None
        values = load.reading(load.parse(text))
        active = values.get("running", 0.0) + values.get("waiting", 0.0)
        counts = {name: values.get(name, 0.0) for name in ("requests", "tokens")}
        if active or counts != self._last:
            self._moved_at = time.monotonic()
        self._last = counts
        code, text = self._ask("GET", "/is_sleeping", ANSWER_S)
        self.asleep = code == 200 and bool(json.loads(text).get("is_sleeping"))
        return {**counts, "active": active, "idle_s": time.monotonic() - self._moved_at}


PROBES: dict[str, type[Probe]] = {"transformers": Probe, "lmdeploy": MetricsProbe}
