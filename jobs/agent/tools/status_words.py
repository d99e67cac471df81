"""How the panel stands, in short English lines for a model; and nothing in them that is nobody's business."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, TypeGuard

from backend.doctor import masking
from backend.errors import PanelError
from backend.memory.free_at import free_at
from backend.memory.sample import HOST, DeviceSample, Sample
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import running_servers
from backend.workspace import Workspace

_PATH = re.compile(r"(?<![\w:/.~-])~?/[^\s'\"<>|:;,()]+")
_FIGURES = ("loss", "val_loss", "tokens_s", "mb_per_s")
_WAITS = {
    "cpu_busy": "all CPU slots are taken by others, such as job {job}",
    "cpu_never": "it needs {needed} CPU slots and the settings allow {slots}: it cannot start",
    "gpu_leased": "GPU {gpu} is taken by job {job}",
    "gpu_memory": "not enough free memory on GPU {gpu}",
    "gpu_never": "no GPU of this machine is enough for it: it cannot start",
    "no_gpu": "this machine has no GPU: it cannot start",
    "port": "all ports are in use",
    "behind": "job {job} comes first",
    "paused": "the queue is paused",
}


def jobs(live: list[JobRow], waiting: list[JobRow], ended: list[JobRow], counts: dict[str, int], now: float) -> str:
    """What runs, what waits, what failed lately."""
    lines = [f"Jobs: {', '.join(f'{count} {state}' for state, count in counts.items()) or 'none'}."]
    busy = [row for row in live if not row.service]
    lines += _section("Running", [_running(row, now) for row in busy])
    lines += _section("Waiting", [_waiting(row, now) for row in waiting], counts.get("queued", 0))
    lines += _section("Failed lately", [_failed(row, now) for row in ended])
    return "\n".join(lines)


def servers(store: Store, now: float) -> str:
    """The model servers that run."""
    found, known = [], running_servers(store)
    for server in known:
        state = "asleep" if server.asleep else "ready" if server.ready else "not ready"
        more = [
            f"job {server.job_id}",
            server.engine,
            f"context {server.context_length:,} tokens" if server.context_length else "",
        ]
        more.append(f"can do: {', '.join(server.capabilities)}")
        more.append(f"adapters: {', '.join(server.adapters)}" if server.adapters else "")
        more.append(f"since {span(now - server.since)}" if server.since else "")
        found.append(f"{server.model}: {state}; {'; '.join(part for part in more if part)}")
    there = {server.job_id for server in known}
    found += [f"{_name(row)}: starting" for row in store.live() if row.service and row.id not in there]
    return "\n".join(_section("Model servers", found) or ["Model servers: none run."])


def memory(sample: Sample, live: list[JobRow], now: float) -> str:
    """Main memory and GPUs: how much is taken, by whom, and when some of it comes back."""
    host = sample.host
    lines = [f"Main memory: {gib(host.ram_used)} of {gib(host.ram_total)} taken."]
    lines += _takers(sample, HOST, live, now)
    for device in sample.devices:
        kind = "a slice of GPU" if device.parent else "GPU"
        lines.append(f"{kind} {device.index} ({device.name}): {_state(device)}")
        lines += _takers(sample, device.uuid, live, now) + _others(device)
    if sample.problem:
        lines.append(f"GPUs cannot be asked: {sample.problem}")
    elif not sample.devices:
        lines.append("This machine has no GPU.")
    return "\n".join(lines)


def safe(text: str, workspace: Workspace) -> str:
    """``text`` without secrets, and without where things lie outside of the workspace: of a path its last name stays."""
    root = str(workspace.root)

    def shorter(found: re.Match[str]) -> str:
        path = found[0]
        if path == root or path.startswith(f"{root}/"):
            return "workspace" + path.removeprefix(root)
        return f"…/{PurePath(path).name}"

    return _PATH.sub(shorter, masking.scrub(text, masking.known(os.environ)))


def span(seconds: float) -> str:
    """A time in one unit, as people say it."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit or (name == "min" and seconds >= 60):
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0, seconds):.0f} s"


def gib(size: int | None) -> str:
    return "?" if size is None else f"{size / (1 << 30):.1f} GiB"


def _section(title: str, lines: list[str], total: int = 0) -> list[str]:
    more = [f"  … and {total - len(lines)} more"] if total > len(lines) else []
    return [f"{title}:", *(f"  {line}" for line in lines), *more] if lines else []


def _name(row: JobRow) -> str:
    return f"job {row.id} ({row.verb}) '{' '.join(row.title.split())[:120]}'"


def _running(row: JobRow, now: float) -> str:
    told = row.progress
    parts = [row.state if row.state != "running" else str(told.get("phase") or "running")]
    step, total = told.get("step"), told.get("total")
    if _number(step) and _number(total) and total > 0:
        parts.append(f"{step:g} of {total:g} ({100 * step / total:.0f} %)")
    if _number(told.get("eta_s")) and _number(told.get("t")):
        parts.append(f"about {span(told['t'] + told['eta_s'] - now)} left")
    if row.started:
        parts.append(f"runs for {span(now - row.started)}")
    figures = told.get("metrics") or {}
    parts += [f"{name} {figures[name]:.4g}" for name in _FIGURES if _number(figures.get(name))]
    if row.health:
        parts.append({"stopped": "suspended by a signal", "quiet": "silent for long"}.get(row.health, row.health))
    return f"{_name(row)}: {', '.join(parts)}"


def _waiting(row: JobRow, now: float) -> str:
    code, params = str(row.wait.get("code", "")), dict(row.wait.get("params") or {})
    try:
        why = _WAITS.get(code, code or "it starts as soon as it can").format(**params)
    except (KeyError, IndexError, ValueError):
        why = code
    until = params.get("until")
    return f"{_name(row)}: {why}" + (f", for about {span(until - now)} more" if _number(until) and until > now else "")


def _failed(row: JobRow, now: float) -> str:
    when = f" {span(now - row.ended)} ago" if row.ended else ""
    why = ""
    if row.error:
        error = PanelError.from_dict(row.error)
        why = f": {' '.join(str(error).split())[:300]} ({error.code})"
    return f"{_name(row)} {row.state}{when}{why}"


def _takers(sample: Sample, place: str, live: Iterable[JobRow], now: float) -> list[str]:
    known = {row.id: row for row in live}
    lines = []
    for use in sorted((use for use in sample.jobs if use.place == place), key=lambda use: -use.size):
        row = known.get(use.job)
        lines.append(f"  {gib(use.size)}: {_name(row) if row is not None else f'job {use.job}'}")
    coming = free_at(sample, place, known.values(), now)
    for release in coming.releases[:3]:
        free = f", then {gib(release.free)} are free" if release.free is not None else ""
        lines.append(f"  In about {span(release.t - now)} job {release.job} gives back {gib(release.size)}{free}.")
    return lines


def _others(device: DeviceSample) -> list[str]:
    """What is not a job of ours, by the user it belongs to; not what it is."""
    sizes: dict[str, int] = {}
    for process in device.processes:
        if process.job is None:
            sizes[process.user or "?"] = sizes.get(process.user or "?", 0) + (process.size or 0)
    lines = [f"  {gib(size)}: other programs of user {user}" for user, size in sorted(sizes.items())]
    return [*lines, "  and programs that the driver does not name"] if device.hidden else lines


def _state(device: DeviceSample) -> str:
    if device.lost:
        return "lost; it does not answer"
    load = "" if device.load is None else f", {device.load:.0%} busy"
    return f"{gib(device.used)} of {gib(device.total)} taken, {gib(device.free)} free{load}"


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
