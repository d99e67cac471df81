"""A sample as it lies on disk: whole, as JSON, or flat, as the value of each series at its second."""

from __future__ import annotations

import json
import zlib
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

from backend.memory.sample import HOST, DeviceSample, HostSample, JobUse, ProcessUse, Sample, SeriesKey

PARTS: dict[type, dict[str, type]] = {
    Sample: {"host": HostSample, "devices": DeviceSample, "jobs": JobUse},
    DeviceSample: {"processes": ProcessUse},
}
"""Where a dataclass holds others."""


def dump(sample: Sample) -> bytes:
    """The whole sample, deflated."""
    return zlib.compress(
        json.dumps(plain(sample), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"), 1
    )


def load(data: bytes) -> Sample:
    """What :func:`dump` was given. Fields that another version wrote and this one does not know are left out."""
    sample = _build(Sample, json.loads(zlib.decompress(data)))
    assert isinstance(sample, Sample)
    return sample


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON values: :func:`dataclasses.asdict` copies deeply, and this is done every second."""
    kind: Any = type(value)
    names, get = _getter(kind)
    found = dict(zip(names, get(value), strict=True))
    for name in PARTS.get(kind, ()):
        part = found[name]
        found[name] = [plain(each) for each in part] if isinstance(part, tuple) else plain(part)
    return found


def flat(sample: Sample) -> dict[SeriesKey, float]:
    """The value of each series; what the driver does not tell has none."""
    found: dict[SeriesKey, float] = {}
    host = sample.host

    def tell(place: str, name: str, value: float | None, subject: str = "") -> None:
        if value is not None:
            key = SeriesKey(place, name, subject)
            found[key] = found[key] + value if subject and key in found else float(value)

    ours: dict[str, int] = {}
    for use in sample.jobs:
        tell(use.place, "job", use.size, str(use.job))
        ours[use.place] = ours.get(use.place, 0) + use.size
    tell(HOST, "used", host.ram_used)
    tell(HOST, "total", host.ram_total)
    tell(HOST, "swap", host.swap_used)
    tell(HOST, "cpu", None if host.cpu is None else round(host.cpu, 3))
    if host.disk_total is not None and host.disk_free is not None:
        tell(HOST, "disk", host.disk_total - host.disk_free)
    tell(HOST, "neighbours", max(0, host.ram_used - ours.get(HOST, 0)))
    for device in sample.devices:
        if not device.uuid or device.lost:
            continue
        tell(device.uuid, "used", device.used)
        tell(device.uuid, "total", device.total)
        tell(device.uuid, "load", device.load)
        # Half a watt and a degree are noise; without it a block is a third of its size.
        tell(device.uuid, "power", None if device.power_w is None else round(device.power_w))
        tell(device.uuid, "temperature", device.temperature_c)
        tell(device.uuid, "neighbours", _neighbours(device, ours.get(device.uuid, 0)))
        for process in device.processes:
            if process.user and process.job is None:  # what is ours is told by job
                tell(device.uuid, "user", process.size, process.user)
    return found


def _neighbours(device: DeviceSample, ours: int) -> int | None:
    """Bytes on the device that no job of ours has: as the driver tells of each process, else what is left over."""
    if not device.hidden and all(process.size is not None for process in device.processes):
        return sum(process.size or 0 for process in device.processes if process.job is None)
    return None if device.used is None else max(0, device.used - ours)


def _build(kind: type, data: dict[str, Any]) -> Any:
    parts = PARTS.get(kind, {})
    values = {}
    for name in _getter(kind)[0]:
        if name not in data:
            continue
        value = data[name]
        if name in parts:
            part = parts[name]
            value = tuple(_build(part, each) for each in value) if isinstance(value, list) else _build(part, value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return kind(**values)


@cache
def _getter(kind: Any) -> tuple[tuple[str, ...], Any]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names)
