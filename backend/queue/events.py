"""``events.jsonl``: what a job says while it runs, one JSON object a line, in one shape for every verb.

    {"t": 1790000000.1, "phase": "train", "step": 10, "total": 1920, "eta_s": 660, "metrics": {"loss": 2.99}}
    {"t": 1790000001.0, "artifact": {"kind": "model", "path": "/…/merged", "label": "starter-me"}}

The job appends with one ``write`` per line; readers go by byte offset and skip a line that is not whole or not JSON, so
a process killed in mid-line costs that line only. Standard library only: the supervisor and the engines' shims use it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "events.jsonl"
OF_BYTES = ("mb_per_s", "files", "files_total")


class EventWriter:
    """Appends events of one job. Safe against a torn last line of an earlier attempt: starts on a fresh line."""

    def __init__(self, job_dir: Path) -> None:
        self._fd = os.open(job_dir / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def write(self, **event: Any) -> None:
        """Append one event; ``t`` (epoch seconds) is added.

        Raises:
            OSError: the disk is full or gone.
        """
        line = json.dumps({"t": round(time.time(), 3), **event}, ensure_ascii=True, allow_nan=False, default=str)
        os.write(self._fd, line.encode() + b"\n")

    def phase(self, phase: str) -> None:
        """A new phase of the job began: ``load``, ``train``, ``save`` …"""
        self.write(phase=phase)

    def progress(
        self,
        phase: str,
        step: float,
        total: float | None = None,
        eta_s: float | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Where the job stands: ``step`` of ``total``, seconds left, and figures such as ``loss``, ``lr``, ``tokens_s``."""
        event: dict[str, Any] = {"phase": phase, "step": step}
        if total is not None:
            event["total"] = total
        if eta_s is not None:
            event["eta_s"] = round(eta_s, 1)
        if metrics:
            # JSON has no NaN, and a NaN loss is exactly what a person must see.
            event["metrics"] = {k: v if v - v == 0 else str(v) for k, v in metrics.items()}
        self.write(**event)

    def artifact(self, kind: str, path: Path | str, label: str = "") -> None:
        """Something the job made and a person may use: ``model``, ``adapter``, ``checkpoint``, ``report``, ``file``."""
        self.write(artifact={"kind": kind, "path": str(path), "label": label})

    def close(self) -> None:
        os.close(self._fd)


def read_events(job_dir: Path, offset: int = 0, limit: int = 4 << 20) -> tuple[list[dict[str, Any]], int]:
    """Whole events from byte ``offset`` on, and the offset to go on from; at most ``limit`` bytes are read."""
    try:
        with (job_dir / FILE).open("rb") as file:
            file.seek(offset)
            data = file.read(limit)
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    if not whole and len(data) == limit:  # one line longer than the limit is not an event of ours
        return [], offset + limit
    events = []
    for line in data[:whole].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a kill; the next line is whole again
        if isinstance(event, dict):
            events.append(event)
    return events, offset + whole


def merge_progress(progress: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """``progress`` (the row's last known state) after ``events``: latest phase, step, total, ETA, newest metrics. What was
    told of bytes (a rate, files) ends with its phase; a loss is still the last one when the next phase begins."""
    merged = dict(progress)
    for event in events:
        phase = event.get("phase")
        if phase and phase != merged.get("phase"):
            for key in ("step", "total", "eta_s"):
                merged.pop(key, None)
            if "metrics" in merged:
                merged["metrics"] = {name: value for name, value in merged["metrics"].items() if name not in OF_BYTES}
        for key in ("t", "phase", "step", "total", "eta_s"):
            if event.get(key) is not None:
                merged[key] = event[key]
        if isinstance(event.get("metrics"), dict):
            merged["metrics"] = {**merged.get("metrics", {}), **event["metrics"]}
    return merged
