"""What a program and all it started hold of the memory, looked at several times a second.

On a GPU: what the driver says its processes hold; where the driver names no processes (in a container, say), the rise of the
leased cards since before the start. On the CPU: the resident memory of the processes, as ``ps`` counts it.
"""

from __future__ import annotations

import os
import statistics
import threading
from typing import NamedTuple

import psutil

from backend.memory.cards import Cards

EVERY_S = 0.2


class Use(NamedTuple):
    """Bytes since the last mark: steady (the median of the newer half of the looks) and peak."""

    steady: int
    peak: int


class Footprint(threading.Thread):
    """Watches the descendants of ``pid`` until :meth:`leave`; ``pid`` itself, which only watches over them, is not counted.

    on_gpu: the figures are of GPU memory. source: ``driver``, ``rise`` (of cards that were leased for it alone) or
    ``process``.
    """

    def __init__(self, pid: int, gpus: list[str], before: dict[str, int]) -> None:
        super().__init__(name="footprint", daemon=True)
        self._pid, self._gpus, self._before = pid, gpus, before
        self._cards = Cards()
        self._left = threading.Event()
        self._lock = threading.Lock()
        self._looks: list[int] = []
        self._last = 0
        self.on_gpu = bool(gpus)
        self.source = "driver" if gpus else "process"

    def run(self) -> None:
        while not self._left.wait(EVERY_S):
            self._note(self._look())

    def leave(self) -> None:
        """End the thread."""
        self._left.set()
        self.join(5.0)

    def mark(self) -> None:
        """Count from now on; what came before is forgotten."""
        with self._lock:
            self._looks.clear()

    def use(self) -> Use:
        """Since the last mark."""
        self._note(self._look())
        with self._lock:
            looks = list(self._looks)
        if not looks:
            return Use(self._last, self._last)
        return Use(int(statistics.median(looks[len(looks) // 2 :])), max(looks))

    def _note(self, size: int) -> None:
        if size:  # nothing to see: it is being started or has ended
            with self._lock:
                self._looks.append(size)
                self._last = size

    def _look(self) -> int:
        pids = _descendants(self._pid)
        if not self.on_gpu:
            return sum(_resident(pid) for pid in pids)
        devices = [device for device in self._cards.look()[0] if device.uuid in self._gpus]
        named = sum(use.size or 0 for device in devices for use in device.processes if use.pid in pids)
        if named:
            self.source = "driver"
            return named
        self.source = "rise"
        return sum(max(0, (device.used or 0) - self._before.get(device.uuid, 0)) for device in devices)


def used_on(gpus: list[str]) -> dict[str, int]:
    """UUID -> bytes in use now, of those of ``gpus`` that tell it."""
    if not gpus:
        return {}
    devices = Cards().look()[0]
    return {device.uuid: device.used for device in devices if device.uuid in gpus and device.used is not None}


def _descendants(pid: int) -> set[int]:
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except psutil.Error:
        return set()


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0  # it ended this moment
