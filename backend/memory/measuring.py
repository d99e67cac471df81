"""The figures of one job: what its model takes on disk, what it took of memory, how long it loaded, how fast it was.

The rate of a server comes from what it wrote about itself while it ran (``events.jsonl``), so it is known when it has
ended, too. Of an engine that tells how long it was busy it is tokens over that time; of another one (LMDeploy) tokens over
the seconds between two reports that both fall into a time of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend import catalog
from backend.errors import PanelError
from backend.memory.figures import Figure, missing
from backend.memory.runs import TRAINING
from backend.memory.sample import HOST, Peak
from backend.queue.events import read_events
from backend.queue.rows import JobRow
from backend.queue.store import Store

CLOSE_S = 9.0
"""Reports of a server that works come every four seconds; what lies further apart has a pause in it."""
LEAST_TOKENS = 16
MAKES = (*TRAINING, "convert", "download", "quantize")
"""Jobs that leave a model."""


def figures(store: Store, row: JobRow, peaks: Sequence[Peak]) -> dict[str, Figure]:
    """All of FIGURES for ``row``, whose memory is ``peaks``."""
    events = _events(store.job_dir(row.id))
    return {
        "disk": _disk(store, row),
        **memory(peaks, row),
        "load": _load(row, events),
        "tokens_s": _speed(row, events),
    }


def memory(peaks: Sequence[Peak], row: JobRow | None) -> dict[str, Figure]:
    host = [peak for peak in peaks if peak.place == HOST]
    cards = [peak for peak in peaks if peak.place != HOST]
    if cards:
        gpu = _both(cards)
    elif row is not None and (row.resources.get("gpus") or row.resources.get("gpu_mib")):
        gpu = (missing("gpu_hidden" if peaks else "no_samples"),) * 2
    else:
        gpu = (missing("no_gpu" if peaks else "no_samples"),) * 2
    ram = _both(host) if host else (missing("no_samples"),) * 2
    return {"gpu_peak": gpu[0], "gpu_steady": gpu[1], "ram_peak": ram[0], "ram_steady": ram[1]}


def _both(peaks: Sequence[Peak]) -> tuple[Figure, Figure]:
    """(peak, steady). Several GPUs of one run are at their most together: it splits its model over them."""
    source = peaks[0].source
    return Figure(sum(peak.peak for peak in peaks), source), Figure(sum(peak.steady for peak in peaks), source)


def _disk(store: Store, row: JobRow) -> Figure:
    try:
        if row.verb == "serve":
            card = catalog.find(store.workspace, str(store.spec(row.id).get("model") or "")).served
        else:
            made = [each for each in store.artifacts(row.id) if each.get("kind") in ("model", "adapter")]
            if not made:
                return missing("nothing_made" if row.verb in MAKES else "no_model")
            card = catalog.card(str(made[-1].get("path", "")))
    except (PanelError, OSError):
        return missing("model_gone")
    return Figure(card.size_bytes, "files") if card.size_bytes else missing("model_gone")


def _events(job_dir: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    offset = 0
    while True:
        events, after = read_events(job_dir, offset)
        found += [event for event in events if isinstance(event.get("t"), int | float)]
        if after == offset:
            return found
        offset = after


def _load(row: JobRow, events: Sequence[dict[str, Any]]) -> Figure:
    if row.started is None:
        return missing("not_ready" if row.service else "no_step")
    newest = [event for event in events if event["t"] >= row.started - 1]
    if row.service:
        at = next((event["t"] for event in newest if event.get("phase") == "ready"), None)
        return (
            Figure(max(0.0, at - row.started), "ready") if at else missing("not_ready" if row.live else "never_ready")
        )
    steps = (event["t"] for event in newest if event.get("phase") == "train" and (event.get("step") or 0) > 0)
    at = next(steps, None)
    if at is not None:
        return Figure(max(0.0, at - row.started), "first_step")
    return missing("no_step" if row.verb in TRAINING else "no_loading")


def _speed(row: JobRow, events: Sequence[dict[str, Any]]) -> Figure:
    if not row.service:
        told = [rate for event in events if (rate := _metric(event, "tokens_s"))]
        if told:
            return Figure(told[-1], "metric")
        return missing("not_told" if row.verb in TRAINING else "no_tokens")
    reports = [event for event in events if event.get("phase") == "ready" and isinstance(event.get("metrics"), dict)]
    tokens = busy = spaced = spaced_s = 0.0
    before: dict[str, Any] | None = None
    for report in reports:
        now = _metric(report, "tokens")
        last = _metric(before, "tokens") if before else 0.0
        grown = now - last if now >= last else now  # fewer: it was started anew, and counts from nothing
        rate = _metric(report, "tokens_s")
        if grown and rate:
            tokens, busy = tokens + grown, busy + grown / rate
        if before and grown and now >= last and 0 < report["t"] - before["t"] <= CLOSE_S:
            spaced, spaced_s = spaced + grown, spaced_s + report["t"] - before["t"]
        before = report
    if tokens >= LEAST_TOKENS:
        return Figure(tokens / busy, "busy")
    if spaced >= LEAST_TOKENS:
        return Figure(spaced / spaced_s, "counted")
    asked = any(_metric(report, "tokens") or _metric(report, "requests") for report in reports)
    return missing("too_short" if asked else "nobody_asked")


def _metric(event: dict[str, Any], name: str) -> float:
    metrics = event.get("metrics")
    value = metrics.get(name) if isinstance(metrics, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0
