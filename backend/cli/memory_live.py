"""``python -m backend memory live``: the machine now, as the recorder saw it last, or by a look of our own where none runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from backend.cli import output
from backend.i18n import _
from backend.memory import alerts, wire
from backend.memory.sample import HOST, DeviceSample, Sample
from backend.memory.series import MemoryStore, open_memory
from backend.queue.store import open_store
from backend.workspace import Workspace, open_workspace

FRESH_S = 5.0
GIB = 1 << 30


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("live", help=_("Show who uses the memory now: GPUs, main memory, jobs, alerts."))(live)


def live(as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False) -> None:
    workspace = open_workspace()
    memory = open_memory(workspace)
    sample, recorded = look(workspace, memory)
    told = alerts.now(memory)
    data = {
        "recorded": recorded,
        "age_s": round(time.time() - sample.t, 1),
        **wire.plain(sample),
        "alerts": [wire.plain(alert) for alert in told],
    }
    output(data, as_json, "\n".join(lines(sample, told)))


def look(workspace: Workspace, memory: MemoryStore) -> tuple[Sample, bool]:
    """The newest sample, and whether the recorder made it; without one that is fresh, a look now."""
    latest = memory.latest()
    if latest is not None and time.time() - latest.t < FRESH_S:
        return latest, True
    from backend.memory.reader import Reader

    reader = Reader(workspace, open_store(workspace))
    try:
        return reader.read(time.time()), False
    finally:
        reader.close()


def lines(sample: Sample, told: list[alerts.Alert]) -> list[str]:
    """The sample for a person."""
    host = sample.host
    text = [f"{_('Main memory'):<28}{_of(host.ram_used, host.ram_total)}"]
    text += [f"  {_job(use.job, use.size, use.source)}" for use in sample.jobs if use.place == HOST]
    for device in sample.devices:
        text.append(f"{f'GPU {device.index}  {device.name}':<28}{_state(device)}")
        text += [f"  {_job(use.job, use.size, use.source)}" for use in sample.jobs if use.place == device.uuid]
        text += [
            f"  {process.user or '?'}  {_gib(process.size)}  {process.command}"
            for process in device.processes
            if process.job is None
        ]
    if sample.problem:
        text.append(sample.problem)
    return [*text, *("! " + _what(alert, sample) for alert in told)]


def _state(device: DeviceSample) -> str:
    if device.lost:
        return _("lost")
    load = "" if device.load is None else f"  {device.load:.0%}"
    return _of(device.used, device.total) + load


def _what(alert: alerts.Alert, sample: Sample) -> str:
    """The alert in words, and how fast something grows."""
    index = next((device.index for device in sample.devices if device.uuid == alert.place), alert.details.get("index"))
    place = _("Main memory") if alert.place == HOST else _("GPU {index}").format(index="?" if index is None else index)
    kind, _colon, name = alert.subject.partition(":")
    who = {"job": f"#{name}", "user": name}.get(kind) or _("What is not ours")
    grows = alert.details.get("per_hour")
    rate = "" if grows is None else "  " + _("{gib:+.1f} GiB an hour").format(gib=grows / GIB)
    return alerts.title(alert, place, who) + rate


def _job(job: int, size: int, source: str) -> str:
    return _("Job {job}").format(job=job) + f"  {_gib(size)}  ({source})"


def _of(used: int | None, total: int | None) -> str:
    return f"{_gib(used)} / {_gib(total)}"


def _gib(size: int | None) -> str:
    return "?" if size is None else f"{size / GIB:.1f} GiB"
