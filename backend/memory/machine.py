"""What this machine is and what it has left: cores, memory, GPUs, disk. One frozen snapshot per call.

Cores and memory are those that this process may use: a container's limits count, not the host's. What a driver cannot
tell (``N/A`` in nvidia-smi) is None here: a value like any other, never an exception. Bytes throughout; no torch.

Sources: NVML API reference (nvmlDeviceGetMemoryInfo), kernel docs cgroup-v2 (memory.max, memory.current, cpu.max).
"""

from __future__ import annotations

import math
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from backend.memory.nvml import ask, opened, text

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Gpu:
    """One GPU. index: NVML's; uuid: stable across restarts; total, free: bytes; load: 0 to 1 over the last second;
    capability: compute capability, ``(8, 0)``; empty where the driver does not tell."""

    index: int
    uuid: str
    name: str
    total: int | None
    free: int | None
    load: float | None
    capability: tuple[int, ...] = ()


@dataclass(frozen=True)
class Machine:
    """host: its name. cores: that may be used, maybe a fraction rounded up. ram, disk: bytes. gpus: may be empty.

    gpu_problem: why the driver could not be asked although it is installed; empty where all is well or there is none.
    """

    host: str
    cores: int
    ram_total: int
    ram_free: int
    disk_total: int | None
    disk_free: int | None
    gpus: tuple[Gpu, ...] = ()
    gpu_problem: str = ""


def snapshot(folder: Path | None = None) -> Machine:
    """The machine now; ``folder`` names the disk to look at (default: none). Takes about a millisecond."""
    total, free = ram()
    disk_total, disk_free = disk(folder)
    found, problem = gpus()
    return Machine(
        host=socket.gethostname(),
        cores=cores(),
        ram_total=total,
        ram_free=free,
        disk_total=disk_total,
        disk_free=disk_free,
        gpus=found,
        gpu_problem=problem,
    )


def cores(groups: Sequence[Path] | None = None) -> int:
    """Cores that this process may use: affinity, and the tightest share of its control groups, rounded up."""
    allowed = len(os.sched_getaffinity(0))
    for group in control_groups() if groups is None else groups:
        quota, _, period = first_line(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            allowed = min(allowed, max(1, math.ceil(int(quota) / int(period))))
    return allowed


def ram(groups: Sequence[Path] | None = None) -> tuple[int, int]:
    """(total, free) bytes of memory; free counts what the kernel gives back at once (caches)."""
    whole = psutil.virtual_memory()
    total, free = whole.total, whole.available
    for group in control_groups() if groups is None else groups:
        limit, used = first_line(group / "memory.max"), first_line(group / "memory.current")
        if not limit.isdigit() or not used.isdigit():
            continue
        # Cached files count as used by the group although they are given back under pressure.
        stat = group / "memory.stat"
        taken = max(0, int(used) - statistic(stat, "inactive_file") - statistic(stat, "active_file"))
        total, free = min(total, int(limit)), min(free, max(0, int(limit) - taken))
    return total, free


def gpus() -> tuple[tuple[Gpu, ...], str]:
    """All GPUs that the driver shows, and why it could not be asked. No driver is not a problem: then there is none.

    The driver's library stays open between calls (opening it can take a second), and is opened anew after an error.
    """
    import pynvml

    try:
        with opened() as nvml:
            return tuple(_gpu(nvml, index) for index in range(int(nvml.nvmlDeviceGetCount()))), ""
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return (), ""
    except pynvml.NVMLError as error:
        return (), str(error)


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = ask(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if handle is None:  # a card that fell off the bus still has its place in the list
        return Gpu(index, "", "", None, None, None)
    memory = ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    load = ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return Gpu(
        index=index,
        uuid=ask(nvml, lambda: text(nvml.nvmlDeviceGetUUID(handle))) or "",
        name=ask(nvml, lambda: text(nvml.nvmlDeviceGetName(handle))) or "",
        total=int(memory.total) if memory is not None else None,
        free=int(memory.free) if memory is not None else None,
        load=load / 100 if load is not None else None,
        capability=ask(nvml, lambda: tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))) or (),
    )


def control_groups() -> list[Path]:
    """This process's control group (v2) and those around it; in a container the root is its own."""
    own = next((line[3:] for line in lines(Path("/proc/self/cgroup")) if line.startswith("0::")), "/")
    group = CGROUP / own.lstrip("/")
    return [g for g in (group, *group.parents) if g == CGROUP or CGROUP in g.parents]


def disk(folder: Path | None) -> tuple[int | None, int | None]:
    """(total, free) bytes of the disk that ``folder`` lies on; None where it cannot be told."""
    if folder is None:
        return None, None
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.total, usage.free


def first_line(file: Path) -> str:
    """The first line of a file of the kernel; "" where it cannot be read."""
    return next(iter(lines(file)), "").strip()


def statistic(file: Path, name: str) -> int:
    """The number behind ``name`` in a file such as memory.stat; 0 where there is none."""
    return next((int(line.split()[1]) for line in lines(file) if line.startswith(name + " ")), 0)


def lines(file: Path) -> list[str]:
    """All lines of a file of the kernel; none where it cannot be read."""
    try:
        return file.read_text().splitlines()
    except OSError:  # no cgroup v2 here, or none that we may read
        return []
