"""Runs that have been recorded: job rows, their folders, and seconds of memory in a real record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from backend.memory.sample import HOST, DeviceSample, HostSample, JobUse, Sample, Source
from backend.memory.series import MemoryStore
from backend.queue.store import Store

GIB = 1 << 30
GPU = "GPU-11111111-2222"
FIRST = 1_700_000_000.0
"""When the first run of a test starts; each later one starts where the one before ended."""
LMDEPLOY = "/envs/lmdeploy/bin/python shim.py serve api_server /models/m --server-port=1 --backend=turbomind"


class Runs:
    """Makes runs one after the other, so that the record grows as a real one does."""

    def __init__(self, store: Store, memory: MemoryStore, now: float = FIRST) -> None:
        self.store, self.memory, self.now = store, memory, now

    def add(
        self,
        title: str,
        host: Sequence[float | None] = (),
        gpu: Sequence[float | None] = (),
        *,
        verb: str = "serve",
        spec: dict[str, Any] | None = None,
        state: str = "cancelled",
        events: Sequence[dict[str, Any]] = (),
        log: str = "",
        plan: dict[str, Any] | None = None,
        resources: dict[str, int] | None = None,
        source: Source = "driver",
        gpus: Sequence[str] = (GPU,),
    ) -> int:
        """A run that took ``host`` and ``gpu`` GiB (on each of ``gpus``), a value a second, None where nothing was recorded.

        events: ``t`` counts from its start. log: of its first attempt. plan: what our own server was told.
        """
        began, seconds = self.now, max(len(host), len(gpu))
        ended = None if state == "running" else began + seconds
        with self.store.write() as db:
            cursor = db.execute(
                "INSERT INTO jobs (verb, title, state, attempt, created, started, ended, position, service, resources) "
                "VALUES (?, ?, ?, 1, ?, ?, ?, 1, ?, ?)",
                (verb, title, state, began, began, ended, verb == "serve", json.dumps(resources or {})),
            )
            job = int(cursor.lastrowid or 0)
        folder = self.store.job_dir(job)
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({"id": job, "verb": verb, "title": title}))
        (folder / "spec.json").write_text(json.dumps(spec or {}))
        (folder / "attempt-1.log").write_text(f"[check]\n{log}\n[load]\n")
        lines = [json.dumps({**event, "t": began + event["t"]}) for event in events]
        (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
        if plan is not None:
            (folder / "serving.json").write_text(json.dumps(plan))
        for second in range(seconds):
            self._append(job, began + second, _at(host, second), _at(gpu, second), source, gpus)
        self.now += seconds + 10
        return job

    def _append(
        self, job: int, t: float, host: float | None, gpu: float | None, source: Source, gpus: Sequence[str]
    ) -> None:
        if host is None and gpu is None:
            return  # the recorder was away
        uses = [JobUse(job, HOST, int(host * GIB), "process")] if host is not None else []
        uses += [JobUse(job, uuid, int(gpu * GIB), source) for uuid in gpus if gpu is not None]
        cards = tuple(
            DeviceSample(number, uuid, "NVIDIA A100-SXM4-40GB", 40 * GIB, int((gpu or 0) * GIB), None)
            for number, uuid in enumerate(gpus)
            if gpu is not None
        )
        self.memory.append(Sample(t, HostSample(64 * GIB, 8 * GIB), cards, tuple(uses)))


def served(load_s: float = 4.0, tokens: int = 800, rate: float = 40.0, *, busy: bool = True) -> list[dict[str, Any]]:
    """What a server says that could answer after ``load_s`` and then wrote ``tokens`` at ``rate`` tokens/s."""
    first = {"t": load_s + 0.2, "phase": "ready", "step": 0, "metrics": {"requests": 0, "tokens": 0}}
    wrote: dict[str, Any] = {"requests": 3, "tokens": tokens} | ({"tokens_s": rate} if busy else {})
    took = min(8.0, tokens / rate) if not busy else 4.0
    after = {"t": load_s + 0.2 + took, "phase": "ready", "step": 3, "metrics": wrote}
    return [{"t": 0.1, "phase": "load"}, {"t": load_s, "phase": "ready"}, first, after]


def _at(values: Sequence[float | None], second: int) -> float | None:
    return values[second] if second < len(values) else None
