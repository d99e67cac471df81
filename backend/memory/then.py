"""Who had the memory at one moment of the past, as one sample: the figures of that second, and the programs of the last whole
look before it.

Whole looks, with every program, are kept once a minute; what a job and a GPU took is kept for every second of the last day.
So the figures are of the moment itself, and only what other people's programs are called may be up to a minute older.
"""

from __future__ import annotations

from dataclasses import replace

from backend.memory.sample import HOST, DeviceSample, JobUse, Sample, SeriesKey, Source, Window
from backend.memory.series import MemoryStore

BACK_S = 15
"""So many seconds before the moment are looked through for a job that has just ended."""
OLD_S = 900
"""A look that was taken longer before says nothing of the moment."""

Cells = dict[SeriesKey, float]


def sample_at(memory: MemoryStore, t: float, job: int | None = None) -> Sample | None:
    """The sample of ``t`` (epoch seconds), or with ``job`` of the second shortly before it in which that job had most; None
    where nothing was recorded."""
    look = memory.at(t + 1)
    if look is None or t - look.t > OLD_S:
        return None
    window = memory.window(t - BACK_S, t + 1, points=BACK_S + 2)
    cell = _cell(window, job)
    if cell is None:
        return None
    told = {key: value for key, series in window.series.items() if (value := series.mean[cell]) is not None}
    sources: dict[tuple[int, str], Source] = {(use.job, use.place): use.source for use in look.jobs}
    jobs = tuple(
        JobUse(
            int(key.subject), key.place, round(size), sources.get((int(key.subject), key.place)) or _source(key.place)
        )
        for key, size in sorted(told.items())
        if key.name == "job" and key.subject.isdigit()
    )
    host = replace(look.host, ram_used=round(told.get(SeriesKey(HOST, "used"), look.host.ram_used)))
    host = replace(host, cpu=told.get(SeriesKey(HOST, "cpu")), swap_used=round(told.get(SeriesKey(HOST, "swap"), 0)))
    devices = tuple(_device(device, told) for device in look.devices)
    return replace(look, t=window.start + cell * window.step, host=host, devices=devices, jobs=jobs)


def _cell(window: Window, job: int | None) -> int | None:
    """The cell in which the job had most, since a program that ends gives back before it is gone; without the job the last
    cell with anything in it."""
    mine = [series.mean for key, series in window.series.items() if job is not None and _is(key, job)]
    sums = [(sum(value or 0 for value in cell), place) for place, cell in enumerate(zip(*mine, strict=True))]
    if sums and max(sums)[0] > 0:
        return max(sums)[1]
    used = [series.mean for key, series in window.series.items() if key.name == "used"]
    return max((cell for row in used for cell, value in enumerate(row) if value is not None), default=None)


def _is(key: SeriesKey, job: int) -> bool:
    return key.name == "job" and key.subject == str(job)


def _device(device: DeviceSample, told: Cells) -> DeviceSample:
    used = told.get(SeriesKey(device.uuid, "used"))
    if used is None:
        return device
    free = max(0, device.total - round(used)) if device.total is not None else None
    return replace(
        device,
        used=round(used),
        free=free,
        load=told.get(SeriesKey(device.uuid, "load")),
        power_w=told.get(SeriesKey(device.uuid, "power")),
        temperature_c=told.get(SeriesKey(device.uuid, "temperature")),
    )


def _source(place: str) -> Source:
    return "process" if place == HOST else "driver"
