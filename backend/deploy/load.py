"""How loaded the running model servers are, from their own counters (``GET /metrics``, Prometheus text).

One :class:`Loads` serves all sessions of a panel: however many tabs look, a server is asked at most every
:data:`EVERY_S` seconds. Rates are differences of counters over the last half minute, so they need two looks; nothing is
asked while nobody looks.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.servers import Server

EVERY_S = 1.5
WINDOW_S = 30.0
FORGET_S = 300.0
ANSWER_S = 1.0
"""A server that computes answers its counters in milliseconds; one that hangs must not hold a page up."""
SILENT_S = 10.0
"""So long one that did not answer is left alone."""
MAX_BYTES = 1 << 20

NAMES: dict[str, tuple[str, ...]] = {
    "running": ("tunedeck_requests_running", "lmdeploy:num_requests_running"),
    "waiting": ("tunedeck_requests_waiting", "lmdeploy:num_requests_waiting"),
    "requests": ("tunedeck_requests_total", "lmdeploy:request_success_total"),
    "tokens": ("tunedeck_generation_tokens_total", "lmdeploy:generation_tokens_total"),
    "kv_used": ("lmdeploy:gpu_cache_usage_perc",),
}
"""What we want to know -> what the engines call it. Where an engine does not say, nothing is made up."""
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^\n]*\})?\s+(\S+)")


@dataclass(frozen=True)
class Load:
    """One look at a server. None: it does not say, or not yet.

    running, waiting: requests now. requests: answered or under way since it started. kv_used: share of the KV cache, 0 to
    1. requests_s, tokens_s: over the last ``over_s`` seconds.
    """

    running: float | None = None
    waiting: float | None = None
    requests: float | None = None
    tokens: float | None = None
    kv_used: float | None = None
    requests_s: float | None = None
    tokens_s: float | None = None
    over_s: float = 0.0


def parse(text: str) -> dict[str, float]:
    """Name -> value of Prometheus text, summed over labels; what cannot be read is left out."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        try:
            value = float(match[2])
        except ValueError:
            continue
        if value == value:  # not NaN
            found[match[1]] = found.get(match[1], 0.0) + value
    return found


def reading(values: Mapping[str, float]) -> dict[str, float]:
    """The part of ``values`` that :data:`NAMES` asks for, under our names."""
    found = {}
    for ours, theirs in NAMES.items():
        known = [values[name] for name in theirs if name in values]
        if known:
            found[ours] = known[0]
    return found


class Loads:
    """The loads of all servers of one panel. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, str], list[tuple[float, dict[str, float]]]] = {}
        self._silent: dict[tuple[int, str], float] = {}

    def of(self, server: Server) -> Load | None:
        """The load of ``server`` now; None where it does not answer its counters."""
        key = (server.job_id, server.base_url)
        with self._lock:
            now = self._clock()
            for gone in [k for k, looks in self._seen.items() if now - looks[-1][0] > FORGET_S]:
                del self._seen[gone]
            seen = self._seen.get(key, [])
            if not seen or now - seen[-1][0] >= EVERY_S:
                if now - self._silent.get(key, -SILENT_S) < SILENT_S:
                    return None
                found = ask(server)
                if found is None:
                    self._silent[key] = now
                    return None
                self._silent.pop(key, None)
                if seen and any(found.get(name, 0) < seen[-1][1].get(name, 0) for name in ("requests", "tokens")):
                    seen = []  # it was restarted: its counters began anew
                seen = [*(look for look in seen if now - look[0] <= WINDOW_S), (now, found)]
                self._seen[key] = seen
            return _load(seen)


def _load(seen: list[tuple[float, dict[str, float]]]) -> Load:
    now, last = seen[-1]
    then, first = seen[0]
    over = now - then
    rates = {
        f"{name}_s": (last[name] - first[name]) / over
        for name in ("requests", "tokens")
        if over > 0 and name in last and name in first
    }
    known: dict[str, float | None] = {name: last.get(name) for name in NAMES}
    if known["requests"] is not None:
        # Less the completion with which it showed that it can answer (jobs/serving/probe.py): nobody asked for that.
        known["requests"] = max(0.0, known["requests"] - 1)
    return Load(**known, **rates, over_s=over)


def ask(server: Server) -> dict[str, float] | None:
    """The counters of ``server``, or None where it does not tell them in time."""
    parts = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {server.key}"})
        answer = connection.getresponse()
        text = answer.read(MAX_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return reading(parse(text)) if answer.status == 200 else None
