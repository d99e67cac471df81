"""What happened, told from how the machine and the jobs looked before and look now.

recorder_began  recorder_ended  clock_jumped  disk_full  record_damaged      of the recorder itself
neighbour_came  neighbour_left  gpu_lost  gpu_back                           of a GPU (place: its UUID)
job_started  phase  checkpoint  job_ended  out_of_memory                     of a job (subject: its number)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from backend.memory.sample import HOST, DeviceSample, Moment, ProcessUse, Sample
from backend.queue.events import read_events
from backend.queue.rows import DONE, JobRow
from backend.queue.store import Store

MOST_NEIGHBOURS = 30
"""Comings and goings told in a minute: a program that starts others by the second would hide all else."""
NO_MEMORY = frozenset({"engine_out_of_memory", "engine_kv_cache_too_large"})
NO_MEMORY_IN_LOG = frozenset({"gpu_out_of_memory", "kv_cache_too_large", "machine_out_of_memory", "oom_killer"})
"""Errors of a job that mean it (:mod:`backend.engines.crashes`), and causes that its last words may show
(:mod:`backend.diagnosis`)."""
KILLED = frozenset({"job_killed", "engine_killed"})
FULL_SHARE = 0.95
"""A program that was killed when the main memory had just been as full as this was most likely killed for it."""
LOOK_BACK_S = 7 * 86400.0
MOST_ENDED = 200
LATELY_S = 15
EVENT_BYTES = 256 << 10


@dataclass
class MachineWatch:
    """Comings and goings on the GPUs."""

    known: dict[str, DeviceSample] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    neighbours: dict[tuple[str, int], ProcessUse] = field(default_factory=dict)
    new: dict[tuple[str, int], float] = field(default_factory=dict)
    told: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_NEIGHBOURS))
    first: bool = True

    def look(self, sample: Sample) -> list[Moment]:
        """What happened since the last look; of the first one only what is wrong."""
        if sample.problem:
            return []  # a driver that does not answer says nothing about who left
        here = {device.uuid: device for device in sample.devices if device.uuid}
        moments = self._losses(here, sample.t)
        for uuid, device in here.items():
            if not device.lost:
                moments += self._neighbours(device, sample.t)
                self.known[uuid] = device
        self.first = False
        return moments

    def _losses(self, here: dict[str, DeviceSample], t: float) -> list[Moment]:
        moments = []
        for uuid in here.keys() | self.known.keys():
            device, before = here.get(uuid), self.known.get(uuid)
            # A slice that is gone was taken apart; a card that is gone fell off the bus.
            gone = device.lost if device is not None else before is not None and not before.parent
            named = device if device is not None and device.name else before or device
            details = {"index": named.index, "name": named.name} if named is not None else None
            if gone and uuid not in self.lost:
                self.lost.add(uuid)
                moments.append(Moment(t, "gpu_lost", uuid, "", details))
            elif device is not None and not gone and uuid in self.lost:
                self.lost.discard(uuid)
                moments.append(Moment(t, "gpu_back", uuid, "", details))
        return moments

    def _neighbours(self, device: DeviceSample, t: float) -> list[Moment]:
        here = {(device.uuid, process.pid): process for process in device.processes}
        moments = []
        for key, process in here.items():
            if process.job is not None:
                # Told to be ours a second after it was first seen: it was never a neighbour.
                self.neighbours.pop(key, None)
                self.new.pop(key, None)
            elif self.first or key in self.neighbours:
                self.neighbours[key] = process
            elif key in self.new:
                self.neighbours[key] = process
                moments += self._tell(Moment(self.new.pop(key), "neighbour_came", device.uuid, *_who(process)))
            else:
                self.new[key] = t
        for key in [key for key in self.new if key[0] == device.uuid and key not in here]:
            del self.new[key]
        for key in [key for key in self.neighbours if key[0] == device.uuid and key not in here]:
            moments += self._tell(Moment(t, "neighbour_left", device.uuid, *_who(self.neighbours.pop(key))))
        return moments

    def _tell(self, moment: Moment) -> list[Moment]:
        if len(self.told) == MOST_NEIGHBOURS and moment.t - self.told[0] < 60:
            return []
        self.told.append(moment.t)
        return [moment]


def _who(process: ProcessUse) -> tuple[str, dict[str, object]]:
    details: dict[str, object] = {"user": process.user, "command": process.command, "size": process.size}
    return str(process.pid), {"pid": process.pid, **details}


class JobsWatch:
    """What the rows and the events of jobs tell. Told again after a restart, it is the same moments, which count once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._version = -1
        self._done = -1
        self._live: dict[int, JobRow] = {}
        self._ended: set[tuple[int, int]] = set()
        self._offsets: dict[int, int] = {}
        self._phases: dict[int, str] = {}
        self._full: deque[float] = deque(maxlen=LATELY_S)

    def look(self, sample: Sample) -> tuple[list[Moment], list[int]]:
        """(what happened since the last look, the jobs that have ended)."""
        self._full.append(sample.host.ram_used / max(1, sample.host.ram_total))
        moments: list[Moment] = []
        ended: list[int] = []
        version = self.store.version()
        if version != self._version:
            live = {row.id: row for row in self.store.live()}
            for row in live.values():
                before = self._live.get(row.id)
                if before is None or (before.attempt, before.started) != (row.attempt, row.started):
                    moments += _started(row)
            for row in self._just_ended(live, sample.t):
                moments += [*_started(row), *self._events(row.id, to_the_end=True)]
                moments += _ended(row, self._live.get(row.id), max(self._full))
                ended.append(row.id)
                self._offsets.pop(row.id, None)
                self._phases.pop(row.id, None)
            self._live, self._version = live, version
        for job in self._live:
            moments += self._events(job)
        return moments, ended

    def _just_ended(self, live: dict[int, JobRow], now: float) -> list[JobRow]:
        """Rows that have ended and were not told yet; at the first look those of the last days, which nobody may have seen."""
        counts = self.store.counts()
        done = sum(counts.get(state, 0) for state in DONE)
        gone = self._live.keys() - live.keys()
        if done == self._done and not gone:
            return []
        first, self._done = self._done < 0, done
        marks = ",".join("?" * len(gone))
        newest = f"id IN (SELECT id FROM jobs WHERE ended > ? ORDER BY id DESC LIMIT {MOST_ENDED})"
        since = now - (LOOK_BACK_S if first else LATELY_S)
        with self.store.read() as db:
            rows = self.store.rows(db, f"WHERE id IN ({marks}) OR {newest} ORDER BY id", (*gone, since))
        rows = [row for row in rows if row.done and row.started is not None]
        new = [row for row in rows if (row.id, row.attempt) not in self._ended]
        self._ended = {(row.id, row.attempt) for row in rows}
        return new

    def _events(self, job: int, *, to_the_end: bool = False) -> list[Moment]:
        """Phases and checkpoints from where the last look stopped."""
        moments: list[Moment] = []
        while True:
            offset = self._offsets.get(job, 0)
            events, after = read_events(self.store.job_dir(job), offset, EVENT_BYTES)
            self._offsets[job] = after
            for event in events:
                moments += self._told(job, event)
            if after == offset or not to_the_end:
                return moments

    def _told(self, job: int, event: dict[str, Any]) -> list[Moment]:
        t, phase, made = event.get("t"), event.get("phase"), event.get("artifact")
        if not isinstance(t, int | float):
            return []
        if isinstance(phase, str) and phase and phase != self._phases.get(job):
            self._phases[job] = phase
            return [Moment(float(t), "phase", "", str(job), {"phase": phase})]
        if isinstance(made, dict) and made.get("kind") == "checkpoint":
            return [
                Moment(float(t), "checkpoint", "", str(job), {"path": made.get("path"), "label": made.get("label")})
            ]
        return []


def _started(row: JobRow) -> list[Moment]:
    if row.started is None:
        return []
    details: dict[str, object] = {"verb": row.verb, "title": row.title, "attempt": row.attempt}
    return [Moment(row.started, "job_started", "", str(row.id), details)]


def _ended(row: JobRow, before: JobRow | None, full: float) -> list[Moment]:
    assert row.ended is not None
    code = str(row.error.get("code", ""))
    details: dict[str, object] = {"verb": row.verb, "title": row.title, "state": row.state, "code": code}
    moments = [Moment(row.ended, "job_ended", "", str(row.id), details)]
    why = _no_memory(row, code, full)
    if why is not None:
        leases = [lease["resource"] for lease in (before.leases if before else ()) if "gpu:" in lease["resource"]]
        on_gpu = leases and why.pop("where") != HOST
        place = leases[0].removeprefix("gpu:") if on_gpu else HOST
        why.pop("where", None)
        moments.append(Moment(row.ended, "out_of_memory", place, str(row.id), {"code": code, **why}))
    return moments


def _no_memory(row: JobRow, code: str, full: float) -> dict[str, Any] | None:
    """Why the job is said to have run out of memory: its own words, or what speaks for it. None where nothing does."""
    if row.state not in ("failed", "lost"):
        return None
    params = row.error.get("params") or {}
    said = str((row.error.get("evidence") or {}).get("text") or params.get("line") or "")
    if code in KILLED:
        if full < FULL_SHARE:
            return None
        return {"text": said, "where": HOST, "suspected": True}
    from backend.diagnosis import diagnose_lines

    # A traceback's own words stand in the sentence of the error; the log's last line may be its last line.
    lines = [f"{params['kind']}: {params.get('problem', '')}"] if params.get("kind") else []
    found = next((f for f in diagnose_lines([*lines, said]) if f.code in NO_MEMORY_IN_LOG), None)
    if found is None and code not in NO_MEMORY:
        return None
    main = found is not None and found.code in ("machine_out_of_memory", "oom_killer")
    return {"text": said or (found.text if found else ""), "where": HOST if main else ""}
