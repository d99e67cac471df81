"""Asking the engine how it is, from a thread of its own, so that a hung engine never delays a stop."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

WARMUP_S = 300.0
ANSWER_S = 4.0
EVERY_S = 1.0


class Probe(threading.Thread):
    """Watches one engine until :meth:`leave`. Ready means: /health answers, and a real completion of one token came back.

    ready_at, answered_at: ``time.monotonic()`` of readiness and of the last answer; 0.0 before. status: its newest
    counters, less what readiness itself cost. failed: the engine answers, but says that it cannot compute any more.
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
            _, self._base = self._ask("GET", "/status", ANSWER_S)
        code, counters = self._ask("GET", "/status", ANSWER_S)
        if code == 200:
            self.status = {
                k: v - self._base.get(k, 0) if k not in ("active", "computing", "idle_s") else v
                for k, v in counters.items()
            }
            self.answered_at = time.monotonic()
            self.ready_at = self.ready_at or self.answered_at

    def _ask(self, method: str, path: str, timeout: float, body: Any = None) -> tuple[int, dict[str, float]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Authorization": f"Bearer {self._key}"})
            answer = connection.getresponse()
            data = json.loads(answer.read())
            return answer.status, data if isinstance(data, dict) else {}
        finally:
            connection.close()
