"""What a person should look at now: a memory that is nearly full, one that will be, a lost GPU, a record with holes.

    nearly_full        place: a GPU or HOST; details: used, total
    leak               subject: "job:12", "user:anna", "neighbours"; details: per_hour, since, grown, full_at (None: not soon)
    gpu_lost           details: index, name
    recorder_stopped   details: last (None: nothing was ever recorded)
    disk_full          details: since

Figures are bytes and epoch seconds. Nothing is said of memory while the record is old: then that is what is wrong.
"""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from backend.errors import FULL_BYTES
from backend.i18n import _
from backend.memory.recorder import LEAST_FREE_BYTES, status
from backend.memory.sample import HOST, Sample, Series, SeriesKey
from backend.memory.series import MemoryStore
from backend.workspace import Workspace

Code = Literal["nearly_full", "leak", "gpu_lost", "recorder_stopped", "disk_full"]

STALE_S = 20.0
FULL_SHARE = 0.95
FULL_FOR_S = 15.0
"""A program that asks for much and gives it back at once is no reason to be called."""
LOOK_BACK_S = (3600.0, 12 * 3600.0)
"""A fast leak shows within the hour, a slow one within the night."""
POINTS = 120
LEAST_POINTS = 30
"""A quarter of an hour has to be seen before anything is called a leak."""
SETTLE_S = 60.0
"""A new phase loads and allocates at its beginning."""
LEAST_GROWTH_BYTES = 256 << 20
LEAST_GROWTH_SHARE = 0.01
RISING_SHARE = 0.8
"""Of all pairs of points the later one is higher: of noise half are, of a line all."""
MOST_IN_ONE_STEP = 0.4
"""Of the growth; more is a second model, a larger batch, a longer conversation: a step, not a leak."""
KEPT_S = 30.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to look at. t: since when it is so, as far as is known, epoch seconds."""

    code: Code
    t: float
    place: str = ""
    subject: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def title(alert: Alert, place: str, who: str) -> str:
    """What is wrong, in a few words. place, who: where it is and whose memory grows, as they are called there."""
    if alert.code == "nearly_full":
        return _("{place} is nearly full").format(place=place)
    if alert.code == "leak":
        return _("{who} takes more and more").format(who=who)
    if alert.code == "gpu_lost":
        return _("{place} is lost").format(place=place)
    if alert.code == "disk_full":
        return _("The disk is full: memory is not recorded")
    return _("Memory is not recorded")


@dataclass(frozen=True, slots=True)
class Growth:
    """A series that grows steadily. per_s: bytes a second; grown: since the series or its phase settled."""

    per_s: float
    grown: float
    since: float
    last: float


_leaks: dict[str, tuple[float, list[Alert]]] = {}
_lock = threading.Lock()


def now(memory: MemoryStore, t: float | None = None) -> list[Alert]:
    """The alerts of the moment ``t`` (None: now), the gravest first. Cheap enough for every refresh of a page.

    Raises:
        WorkspaceError: the record cannot be read.
    """
    at = time.time() if t is None else t
    sample = memory.latest()
    record = _record(memory, sample, at)
    if sample is None or at - sample.t > STALE_S:
        return record
    lost = [
        Alert("gpu_lost", sample.t, device.uuid, "", {"index": device.index, "name": device.name})
        for device in sample.devices
        if device.lost
    ]
    return [*lost, *record, *_full(memory, sample), *_growing(memory, sample)]


def _record(memory: MemoryStore, sample: Sample | None, at: float) -> list[Alert]:
    told = status(Workspace(memory.path.parent))
    last = sample.t if sample is not None else None
    no_room = _free(memory) < LEAST_FREE_BYTES if told is None else told.problem == "workspace_full"
    if no_room:
        since = told.since if told is not None else at
        return [Alert("disk_full", since, "", "", {"since": since})]
    if last is None or at - last > STALE_S:
        return [Alert("recorder_stopped", last or at, "", "", {"last": last})]
    return []


def _free(memory: MemoryStore) -> int:
    try:
        return shutil.disk_usage(memory.path.parent).free
    except OSError:
        return FULL_BYTES * 1024


def _full(memory: MemoryStore, sample: Sample) -> list[Alert]:
    """Where nearly nothing has been free for a while."""
    host = sample.host
    places: list[tuple[str, int | None, int | None]] = [(HOST, host.ram_used, host.ram_total)]
    # A card that is shared out in slices is full where they are.
    sliced = {device.parent for device in sample.devices if device.parent}
    places += [(d.uuid, d.used, d.total) for d in sample.devices if d.uuid and not d.lost and d.uuid not in sliced]
    suspects = [
        (p, used, total) for p, used, total in places if total and used is not None and used >= FULL_SHARE * total
    ]
    if not suspects:
        return []
    keys = [SeriesKey(place, "used") for place, _, _ in suspects]
    recent = memory.window(sample.t - FULL_FOR_S, sample.t + 1, int(FULL_FOR_S) + 1, keys)
    found = []
    for (place, used, total), key in zip(suspects, keys, strict=True):
        assert total is not None
        lows = [value for value in recent.series[key].low if value is not None] if key in recent.series else []
        if len(lows) > FULL_FOR_S / 2 and min(lows) >= FULL_SHARE * total:
            found.append(Alert("nearly_full", sample.t - FULL_FOR_S, place, "", {"used": used, "total": total}))
    return found


def _growing(memory: MemoryStore, sample: Sample) -> list[Alert]:
    """Leaks; worked out every few seconds, however many pages ask."""
    name = str(memory.path)
    with _lock:
        kept = _leaks.get(name)
        if kept is not None and 0 <= sample.t - kept[0] < KEPT_S:
            return kept[1]
    found = leaks(memory, sample)
    with _lock:
        _leaks[name] = (sample.t, found)
    return found


def leaks(memory: MemoryStore, sample: Sample) -> list[Alert]:
    """Every job, every other user and the neighbours whose memory has grown steadily for the last hour or the last hours."""
    keys = [SeriesKey(use.place, "job", str(use.job)) for use in sample.jobs]
    for device in sample.devices:
        users = {process.user for process in device.processes if process.user and process.job is None}
        keys += [SeriesKey(device.uuid, "user", user) for user in sorted(users)]
        if not users and device.uuid:
            keys.append(SeriesKey(device.uuid, "neighbours"))
    keys.append(SeriesKey(HOST, "neighbours"))
    phases = _phases(memory, sample.t)
    found: dict[SeriesKey, Alert] = {}
    for look_back in LOOK_BACK_S:
        window = memory.window(sample.t - look_back, sample.t, POINTS, keys)
        for key, series in window.series.items():
            total, free = _room(sample, key.place)
            if key in found or not total:
                continue
            since = phases.get(key.subject, 0.0) + SETTLE_S if key.name == "job" else 0.0
            least = max(LEAST_GROWTH_BYTES, LEAST_GROWTH_SHARE * total)
            grown = growth(series, window.start, window.step, since, least)
            if grown is not None:
                found[key] = _leak(key, grown, sample.t, free)
    return list(found.values())


def _leak(key: SeriesKey, grown: Growth, t: float, free: int | None) -> Alert:
    full_at = t + free / grown.per_s if free is not None else None
    details = {
        "per_hour": round(grown.per_s * 3600),
        "since": grown.since,
        "grown": round(grown.grown),
        "full_at": full_at if full_at is not None and full_at - t < 7 * 86400 else None,
    }
    return Alert("leak", grown.since, key.place, f"{key.name}:{key.subject}" if key.subject else key.name, details)


def growth(series: Series, start: float, step: float, since: float = 0.0, least: float = 0.0) -> Growth | None:
    """How steadily a series grows, or None where it does not: it is flat (less than ``least`` in all), it wavers, it jumped
    once, or it has stopped.

    The slope is the median of the slopes of all pairs (Theil 1950, Sen 1968), which a few wild points do not move. The
    lowest value of each cell counts: memory that is given back between two steps of a training is no leak.
    """
    points = [
        (start + place * step, value)
        for place, value in enumerate(series.low)
        if value is not None and start + place * step >= since
    ]
    if len(points) < LEAST_POINTS:
        return None
    grown = statistics.median(v for _, v in points[-3:]) - statistics.median(v for _, v in points[:3])
    if grown <= least:
        return None
    slopes, rising, even = [], 0, 0
    for place, (t, value) in enumerate(points):
        for later, other in points[place + 1 :]:
            slopes.append((other - value) / (later - t))
            rising += other > value
            even += other == value
    slope = statistics.median(slopes)
    if slope <= 0 or rising + even / 2 < RISING_SHARE * len(slopes):
        return None
    # Of three neighbours the middle one: a single wild point is no step.
    smooth = [statistics.median(v for _, v in points[at : at + 3]) for at in range(len(points) - 2)]
    largest = max(b - a for a, b in pairwise(smooth))
    if largest > MOST_IN_ONE_STEP * grown:
        return None
    # What has come to rest is not a leak, however it got there.
    third = points[-(len(points) // 3) :]
    lately = third[-1][1] - third[0][1]
    if lately < 0.3 * slope * (third[-1][0] - third[0][0]):
        return None
    return Growth(slope, grown, points[0][0], points[-1][1])


def _phases(memory: MemoryStore, end: float) -> dict[str, float]:
    """When each job began its present phase, as far as the last hours tell."""
    told = memory.moments(end - max(LOOK_BACK_S), end + 1)
    return {moment.subject: moment.t for moment in told if moment.kind in ("job_started", "phase")}


def _room(sample: Sample, place: str) -> tuple[int | None, int | None]:
    """(total, free) bytes of a place."""
    if place == HOST:
        return sample.host.ram_total, sample.host.ram_total - sample.host.ram_used
    device = next((device for device in sample.devices if device.uuid == place), None)
    return (device.total, device.free) if device is not None else (None, None)
