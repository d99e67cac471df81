"""All GPUs of this machine and who is on them, in one look that is cheap enough for every second.

Covered: cards, and the MIG slices of cards; a card that fell off the bus stays in the list as lost until it is back; a card
that was reset is found again; no driver, or one that fails, is asked anew after a pause.
Not covered: a driver older than 450 names no processes; in a container a driver may give the numbers that processes have
outside of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backend.memory.nvml import Figures, Lost, Stale, ask, opened, reasons, shut, text
from backend.memory.sample import DeviceSample, ProcessUse

DISCOVER_S = 10.0
"""Handles, names, limits and slices are asked for this often, and at once where something went wrong."""
REOPEN_S = 30.0
"""While a card is lost the library is opened anew this often: only then does NVML look at the bus again."""
RETRY_S = 10.0
"""Pause after a driver that could not be opened, or failed at once."""

HIDDEN_FROM = 256 << 20
"""Memory that no named process holds and that is more than an idle card's: a CUDA context alone takes this much."""
HIDDEN_FROM_OLD = 1 << 30
"""The same for drivers before 510, which count what they keep for themselves (up to about 0.9 GiB) as used."""


@dataclass
class _Place:
    """A card or a slice as it was found last. handle: None where it is lost."""

    index: int
    uuid: str = ""
    name: str = ""
    handle: Any = None
    power_limit_w: float | None = None
    parent: str = ""
    slices: tuple[_Place, ...] = ()


class Cards:
    """All GPUs of this machine, to be looked at again and again. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: tuple[_Place, ...] = ()
        self._figures: Figures | None = None
        self._discover_at = self._reopen_at = self._retry_at = float("-inf")
        self._problem = ""
        self._answered = False

    def look(self) -> tuple[tuple[DeviceSample, ...], str]:
        """Every card, each followed by its slices, and why the driver could not be asked: "" where all is well or there is no
        driver. Processes have numbers and sizes only. It hangs where the driver does."""
        import pynvml

        now = self._clock()
        if now < self._retry_at:
            return (), self._problem
        try:
            with opened() as nvml:
                found = self._look(nvml, now)
            self._answered = True
            return found, ""
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
            self._problem = ""
        except pynvml.NVMLError as error:
            self._problem = str(error)
        # One that answered until now is opened anew at the next look.
        self._retry_at = now if self._answered else now + RETRY_S
        self._answered, self._discover_at = False, float("-inf")
        return (), self._problem

    def _look(self, nvml: Any, now: float) -> tuple[DeviceSample, ...]:
        if self._figures is None:
            self._figures = Figures(nvml)
        for last in (False, True):
            if now >= self._discover_at:
                self._discover(nvml, self._figures)
                self._discover_at = now + DISCOVER_S
            try:
                found = [sample for place in self._places for sample in self._card(self._figures, place, last)]
                break
            except Stale:
                self._discover_at = float("-inf")
        if any(sample.lost for sample in found):
            self._discover_at = float("-inf")
            if now >= self._reopen_at:
                self._reopen_at = now + REOPEN_S
                shut()
        return tuple(found)

    def _discover(self, nvml: Any, figures: Figures) -> None:
        """Find all places. One that was there and is not found any more is lost: a card does not leave."""
        before = {place.uuid: place for place in self._places if place.uuid}
        found = [self._find(nvml, figures, index) for index in range(int(nvml.nvmlDeviceGetCount()))]
        for place in found:
            before.pop(place.uuid, None)
        for place in found:
            was = next((was for was in before.values() if was.index == place.index), None)
            if place.handle is None and was is not None:
                place.uuid, place.name = was.uuid, was.name
                del before[was.uuid]
        gone = [_Place(was.index, was.uuid, was.name) for was in before.values()]
        self._places = tuple(sorted(found + gone, key=lambda place: place.index))

    def _find(self, nvml: Any, figures: Figures, index: int) -> _Place:
        handle = ask(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        uuid = text(ask(nvml, lambda: nvml.nvmlDeviceGetUUID(handle))) if handle is not None else ""
        if not uuid:
            return _Place(index)
        place = _Place(index, uuid, text(ask(nvml, lambda: nvml.nvmlDeviceGetName(handle))), handle)
        try:
            place.power_limit_w = figures.power_limit.of(handle)
        except Lost:
            return _Place(index, uuid, place.name)
        mode = ask(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
        if mode is not None and mode[0]:
            most = ask(nvml, lambda: int(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))) or 0
            slices = (self._find_slice(nvml, place, number) for number in range(most))
            place.slices = tuple(found for found in slices if found is not None)
        return place

    def _find_slice(self, nvml: Any, card: _Place, number: int) -> _Place | None:
        handle = ask(nvml, lambda: nvml.nvmlDeviceGetMigDeviceHandleByIndex(card.handle, number))
        uuid = text(ask(nvml, lambda: nvml.nvmlDeviceGetUUID(handle))) if handle is not None else ""
        if not uuid:
            return None  # slices may be numbered with gaps
        name = text(ask(nvml, lambda: nvml.nvmlDeviceGetName(handle)))
        return _Place(card.index, uuid, name, handle, parent=card.uuid)

    def _card(self, figures: Figures, place: _Place, last: bool) -> list[DeviceSample]:
        """The card and its slices. A process on a slice is told by both: it counts on the slice."""
        slices = [self._sample(figures, part, last, frozenset()) for part in place.slices]
        named = frozenset(process.pid for part in slices for process in part.processes)
        return [self._sample(figures, place, last, named, sum(_held(part.processes) for part in slices)), *slices]

    def _sample(
        self, figures: Figures, place: _Place, last: bool, elsewhere: frozenset[int], held_elsewhere: int = 0
    ) -> DeviceSample:
        lost = DeviceSample(place.index, place.uuid, place.name, parent=place.parent, lost=True)
        if place.handle is None:
            return lost
        handle = place.handle
        try:
            memory = figures.memory.of(handle, probe=not last)
            told = {
                process.pid: process for process in self._processes(figures, handle) if process.pid not in elsewhere
            }
            processes = tuple(told[pid] for pid in sorted(told))
            return DeviceSample(
                index=place.index,
                uuid=place.uuid,
                name=place.name,
                total=int(memory.total) if memory is not None else None,
                used=int(memory.used) if memory is not None else None,
                free=int(memory.free) if memory is not None else None,
                load=figures.load.of(handle),
                power_w=figures.power.of(handle),
                power_limit_w=place.power_limit_w,
                temperature_c=figures.temperature.of(handle),
                throttle=reasons(figures.throttle.of(handle) or 0),
                processes=processes,
                hidden=_hides(memory, processes, held_elsewhere),
                parent=place.parent,
            )
        except Lost:
            return lost

    def _processes(self, figures: Figures, handle: Any) -> Iterator[ProcessUse]:
        """Those that compute and those that draw. One that does both is told twice with the same size."""
        for figure in figures.processes:
            for process in figure.of(handle) or ():
                size = process.usedGpuMemory
                yield ProcessUse(int(process.pid), int(size) if size is not None else None)


def _held(processes: tuple[ProcessUse, ...]) -> int:
    return sum(process.size or 0 for process in processes)


def _hides(memory: Any, processes: tuple[ProcessUse, ...], held_elsewhere: int) -> bool:
    if memory is None or any(process.size is None for process in processes):
        return False
    unnamed = int(memory.used) - _held(processes) - held_elsewhere
    return unnamed >= (HIDDEN_FROM if hasattr(memory, "reserved") else HIDDEN_FROM_OLD)
