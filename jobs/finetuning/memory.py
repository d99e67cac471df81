"""How much memory a training holds, as it is shown and as the rehearsal measures it."""

from __future__ import annotations

import resource
from pathlib import Path

import torch


def peak_mib(kind: str) -> float:
    """The most so far, in MiB: that torch had allocated on the GPU; on the CPU, that the process held."""
    if kind == "cuda":
        return torch.cuda.max_memory_allocated() / (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_bytes(kind: str) -> int:
    """What it holds at this moment."""
    if kind == "cuda":
        return torch.cuda.memory_allocated()
    for row in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if row.startswith("VmRSS:"):
            return int(row.split()[1]) << 10
    return 0


def reset(kind: str) -> None:
    """Begin to look for the most anew. The kernel's own mark of a process can be put back, too, where it lets us."""
    if kind == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_bytes(kind: str) -> int:
    """The most since :func:`reset`, in bytes."""
    if kind == "cuda":
        return torch.cuda.max_memory_allocated()
    for row in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def held_bytes(kind: str) -> int:
    """The same with what torch's allocator keeps for later."""
    return torch.cuda.max_memory_reserved() if kind == "cuda" else peak_bytes(kind)
