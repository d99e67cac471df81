"""What this machine has to give to jobs: GPUs by UUID, CPU slots, loopback ports; and the plan of who gets what next.

:func:`plan` is pure: rows, leases and inventory in, assignments and reasons for waiting out.
Order is first come, first served per kind of resource: a job that waits for a GPU lets later CPU jobs pass, but no later
GPU job, so that a large job is never starved by small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend.memory import machine
from backend.queue import ports
from backend.queue.ports import PORTS
from backend.queue.rows import JobRow

MIB = 1 << 20
Lease = dict[str, Any]


@dataclass(frozen=True)
class Card:
    """A GPU that can be leased; memory in MiB, ``free_mib`` as of now, neighbours' use included."""

    index: int
    uuid: str
    total_mib: int
    free_mib: int


def cards() -> list[Card]:
    """The GPUs that answer now. One that cannot say its memory or name (lost, or N/A) is not given to anybody."""
    found, _problem = machine.gpus()
    return [
        Card(gpu.index, gpu.uuid, gpu.total // MIB, gpu.free // MIB)
        for gpu in found
        if gpu.uuid and gpu.total is not None and gpu.free is not None
    ]


@dataclass
class Plan:
    """``starts``: job id -> leases to give it. ``waits``: job id -> ``{"code", "params"}``."""

    starts: dict[int, list[Lease]] = field(default_factory=dict)
    waits: dict[int, dict[str, Any]] = field(default_factory=dict)


def plan(
    queued: list[JobRow],
    live: list[JobRow],
    gpus: list[Card],
    cpu_slots: int,
    port_free: Callable[[int], bool] = ports.is_free,
) -> Plan:
    """Which queued jobs can start now, and why the others wait. ``queued`` in dispatch order."""
    result = Plan()
    given: list[tuple[int, Lease]] = [(row.id, lease) for row in live for lease in row.leases]
    holders = {row.id: row for row in live}
    first_waiting: dict[str, int] = {}
    for row in queued:
        need = row.resources
        leases: list[Lease] = []
        wait = _cpu(row, given, cpu_slots, holders, first_waiting, leases)
        wait = wait or _gpu(row, given, gpus, holders, first_waiting, leases, set(result.starts))
        if not wait and need.get("ports"):
            wait = _ports(need["ports"], given, port_free, leases)
        if wait:
            result.waits[row.id] = wait
            for kind in ("cpu", "gpu"):
                if _needs(need, kind) and wait["code"] not in ("cpu_never", "no_gpu", "gpu_never"):
                    first_waiting.setdefault(kind, row.id)
        else:
            result.starts[row.id] = leases
            holders[row.id] = row
            given += [(row.id, lease) for lease in leases]
    return result


def _needs(need: dict[str, int], kind: str) -> bool:
    return bool(need.get("cpu")) if kind == "cpu" else bool(need.get("gpus") or need.get("gpu_mib"))


def _wait(code: str, **params: Any) -> dict[str, Any]:
    return {"code": code, "params": params}


def _holder(job_id: int, holders: dict[int, JobRow]) -> dict[str, Any]:
    """Who holds it, and until about when (epoch s) if it has said so."""
    row = holders[job_id]
    eta, told = row.progress.get("eta_s"), row.progress.get("t")
    until = told + eta if isinstance(eta, (int, float)) and isinstance(told, (int, float)) else None
    return {"job": job_id, "title": row.title, "until": until}


def _cpu(
    row: JobRow,
    given: list[tuple[int, Lease]],
    slots: int,
    holders: dict[int, JobRow],
    first_waiting: dict[str, int],
    leases: list[Lease],
) -> dict[str, Any] | None:
    wanted = row.resources.get("cpu", 0)
    if not wanted:
        return None
    if wanted > slots:
        return _wait("cpu_never", needed=wanted, slots=slots)
    if "cpu" in first_waiting:
        return _wait("behind", job=first_waiting["cpu"])
    users = [(job, lease) for job, lease in given if lease["resource"] == "cpu"]
    if sum(lease["amount"] for _, lease in users) + wanted > slots:
        return _wait("cpu_busy", slots=slots, **_holder(users[0][0], holders))
    leases.append({"resource": "cpu", "amount": wanted})
    return None


def _gpu(
    row: JobRow,
    given: list[tuple[int, Lease]],
    gpus: list[Card],
    holders: dict[int, JobRow],
    first_waiting: dict[str, int],
    leases: list[Lease],
    starting: set[int],
) -> dict[str, Any] | None:
    whole, share = row.resources.get("gpus", 0), row.resources.get("gpu_mib", 0)
    if not whole and not share:
        return None
    if not gpus:
        return _wait("no_gpu")
    if whole > len(gpus) or share > max(g.total_mib for g in gpus):
        return _wait("gpu_never", needed=whole or 1, have=len(gpus), needed_mib=share)
    if "gpu" in first_waiting:
        return _wait("behind", job=first_waiting["gpu"])
    users: dict[str, list[tuple[int, Lease]]] = {g.uuid: [] for g in gpus}
    for job, lease in given:
        if lease["resource"].startswith("gpu:"):
            users.setdefault(lease["resource"][4:], []).append((job, lease))
    if whole:
        free = [g for g in gpus if not users[g.uuid]]
        if len(free) < whole:
            busy = next(g for g in gpus if users[g.uuid])
            return _wait("gpu_leased", gpu=busy.index, **_holder(users[busy.uuid][0][0], holders))
        chosen = sorted(free, key=lambda g: -g.free_mib)[:whole]
        leases += [{"resource": f"gpu:{g.uuid}", "amount": 0} for g in chosen]
        return None
    open_cards = [g for g in gpus if all(lease["amount"] for _, lease in users[g.uuid])]
    if not open_cards:
        busy = next(g for g in gpus if users[g.uuid])
        return _wait("gpu_leased", gpu=busy.index, **_holder(users[busy.uuid][0][0], holders))

    def room(gpu: Card) -> int:
        """Neither more than the card has left over its leases, nor more than is free on it now, less what jobs that start
        in this very round have been promised: they have not taken it yet."""
        promised = sum(lease["amount"] for job, lease in users[gpu.uuid] if job in starting)
        return min(gpu.total_mib - sum(lease["amount"] for _, lease in users[gpu.uuid]), gpu.free_mib - promised)

    best = max(open_cards, key=room)
    if room(best) < share:
        return _wait("gpu_memory", gpu=best.index, free_mib=max(0, room(best)), needed_mib=share)
    leases.append({"resource": f"gpu:{best.uuid}", "amount": share})
    return None


def _ports(
    count: int, given: list[tuple[int, Lease]], port_free: Callable[[int], bool], leases: list[Lease]
) -> dict[str, Any] | None:
    taken = {lease["resource"] for _, lease in given}
    found: list[Lease] = []
    for port in PORTS:
        if f"port:{port}" not in taken and port_free(port):
            found.append({"resource": f"port:{port}", "amount": 1})
            if len(found) == count:
                leases += found
                return None
    return _wait("port", first=PORTS.start, last=PORTS.stop - 1)
