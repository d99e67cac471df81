"""The cards as NVML sees them. A machine without a driver has none; a field that NVML cannot give is None, not a crash."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pynvml

MIB = 1 << 20


@dataclass(frozen=True)
class Gpu:
    """One card. Memory in MiB as of now, neighbours' use included."""

    index: int
    uuid: str
    name: str
    total_mib: int
    free_mib: int


def gpus() -> list[Gpu]:
    """All cards that answer now, by NVML index; none where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            # A card that fell off the bus raises; the others are still good.
            with contextlib.suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                found.append(
                    Gpu(
                        index=index,
                        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
                        name=_text(pynvml.nvmlDeviceGetName(handle)),
                        total_mib=int(memory.total) // MIB,
                        free_mib=int(memory.free) // MIB,
                    )
                )
        return found
    except pynvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
