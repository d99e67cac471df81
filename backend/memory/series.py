"""The record of this machine's memory: who used it, second by second for a day, minute by minute for a year.

    memory = open_memory(workspace)
    memory.window(start, end)       any part of the past, as many points as a chart needs
    memory.latest()                 now, with every process
    memory.peaks(job)               what a job took

Written by the recorder alone (:mod:`recorder`), read by everybody. The choice of SQLite and the layout:
docs/decisions/0008-memory-store.md. A gap is None, never a guess.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from collections.abc import Collection
from pathlib import Path

from backend.memory import compaction, windows, wire
from backend.memory.database import MemoryDatabase
from backend.memory.sample import DeviceSample, KnownDevice, Moment, Peak, Sample, SeriesKey, Source, Window
from backend.memory.tiers import DAY, MINUTE, SECOND
from backend.workspace import Workspace

LIMIT_BYTES = 512 << 20


def open_memory(workspace: Workspace) -> MemoryStore:
    """The record of ``workspace``; an empty one is made where there is none.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, or full.
    """
    return MemoryStore(workspace.memory_db)


class MemoryStore(MemoryDatabase):
    """One record; safe to share between threads. limit_bytes: what it may take on the disk; the oldest fine data goes first."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.replaced()
        super().__init__(path)

    def replaced(self) -> None:
        self._numbers: dict[SeriesKey, int] = {}
        self._sources: dict[tuple[int, str], Source] = {}
        self._devices: dict[str, tuple[int, str, int | None]] = {}
        self._look, self._block, self._day = -1, -1, -1

    # --- writing

    def append(self, sample: Sample) -> None:
        """Add one second. What was added is there after a kill; a power cut may cost the last seconds.

        Raises:
            WorkspaceError: ``workspace_full`` and others; then nothing of it was added.
        """
        second = int(sample.t)
        whole, values = wire.dump(sample), wire.flat(sample)
        try:
            with self.write() as db:
                numbered = {self._number(db, key): value for key, value in values.items()}
                db.execute("INSERT OR REPLACE INTO tail VALUES (?, ?)", (second, compaction.pack_second(numbered)))
                db.execute("INSERT OR REPLACE INTO latest VALUES (1, ?)", (whole,))
                if second // 60 != self._look:
                    db.execute("INSERT OR REPLACE INTO looks VALUES (?, ?)", (second, whole))
                self._note_jobs(db, sample)
                self._note_devices(db, sample)
                if second // SECOND.span != self._block:
                    self._tidy(db, second)
        except BaseException:
            self.replaced()  # what was numbered in a transaction that failed is not in the file
            raise
        self._look, self._block, self._day = second // 60, second // SECOND.span, second // DAY

    def _number(self, db: sqlite3.Connection, key: SeriesKey) -> int:
        number = self._numbers.get(key)
        if number is None:
            what = (key.place, key.name, key.subject)
            db.execute("INSERT OR IGNORE INTO series (place, name, subject) VALUES (?, ?, ?)", what)
            found = db.execute("SELECT id FROM series WHERE place = ? AND name = ? AND subject = ?", what).fetchone()
            self._numbers[key] = number = int(found[0])
        return number

    def _note_jobs(self, db: sqlite3.Connection, sample: Sample) -> None:
        for use in sample.jobs:
            if self._sources.get((use.job, use.place)) != use.source:
                db.execute(
                    "INSERT INTO uses (job, place, source, first, last, peak, peak_t) VALUES (?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET source = excluded.source",
                    (use.job, use.place, use.source, sample.t, sample.t, use.size, sample.t),
                )
                self._sources[use.job, use.place] = use.source

    def _note_devices(self, db: sqlite3.Connection, sample: Sample) -> None:
        for device in sample.devices:
            about = (device.index, device.name, device.total)
            if device.uuid and not device.lost and self._devices.get(device.uuid) != about:
                self._note_device(db, device, sample.t)
                self._devices[device.uuid] = about

    def _note_device(self, db: sqlite3.Connection, device: DeviceSample, t: float) -> None:
        db.execute(
            "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = excluded.number,"
            " name = excluded.name, total = excluded.total, last_seen = excluded.last_seen",
            (device.uuid, device.index, device.name, device.total, t, t),
        )

    def _tidy(self, db: sqlite3.Connection, second: int) -> None:
        """Every five minutes, and at the start: full blocks, what is too old, what changes seldom."""
        db.execute("INSERT OR IGNORE INTO meta VALUES ('began', ?)", (second,))
        changed = compaction.compact(db, second)
        compaction.prune(db, second, self.limit_bytes, changed)
        # The beginning moves on when its year is over.
        db.execute(
            "UPDATE meta SET value = max(value, coalesce((SELECT min(start) FROM blocks WHERE step = ?), value))"
            " WHERE key = 'began'",
            (MINUTE.step,),
        )
        db.execute(
            "UPDATE devices SET last_seen = coalesce((SELECT max(blocks.start + ?) FROM series JOIN blocks ON"
            " blocks.series = series.id AND blocks.step = 1 WHERE place = uuid AND name = 'used'), last_seen)",
            (SECOND.span,),
        )
        if second // DAY != self._day:
            compaction.forget_unused_series(db)
            self._numbers.clear()

    def settle(self, job: int) -> None:
        """Keep what a job that has ended took, before the fine data goes."""
        for peak in self.peaks(job):
            with self.write() as db:
                db.execute(
                    "UPDATE uses SET steady = ?, peak_t = iif(? > peak, ?, peak_t), peak = max(peak, ?)"
                    " WHERE job = ? AND place = ?",
                    (peak.steady, peak.peak, peak.t, peak.peak, job, peak.place),
                )

    def add_moment(self, moment: Moment) -> None:
        """Note what happened; the same moment told again is one."""
        details = None if moment.details is None else json.dumps(moment.details, ensure_ascii=False, default=str)
        with self.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO moments (t, kind, place, subject, details) VALUES (?, ?, ?, ?, ?)",
                (moment.t, moment.kind, moment.place, moment.subject, details),
            )

    # --- looking

    def latest(self) -> Sample | None:
        """The newest sample, with every process; None before the first. How old it is, its ``t`` says."""
        with self.read() as db:
            row = db.execute("SELECT data FROM latest").fetchone()
        return wire.load(row[0]) if row else None

    def at(self, t: float) -> Sample | None:
        """The last whole sample at or before ``t``: a minute old at most within the last day, ten within a month."""
        with self.read() as db:
            row = db.execute("SELECT data FROM looks WHERE t <= ? ORDER BY t DESC LIMIT 1", (t,)).fetchone()
        return wire.load(row[0]) if row else None

    def window(self, start: float, end: float, points: int = 600, keys: Collection[SeriesKey] | None = None) -> Window:
        """The past between ``start`` and ``end`` as at most about ``points`` cells. keys: the series wanted; None: all.

        The grid's own ``start`` and ``step`` count: they lie on whole multiples of a tier's, so that a window that moves
        on does not flicker. Series without any value in it are missing.
        """
        with self.read() as db:
            return windows.read(db, start, end, points, keys)

    def keys(self, start: float, end: float) -> list[SeriesKey]:
        """The series that have something between ``start`` and ``end``, give or take a block of the tier that fits."""
        with self.read() as db:
            tier = windows.choose(db, start, max(1.0, (end - start) / 600))
            return sorted(windows.names_of(db, tier, start, end, None).values())

    def moments(self, start: float, end: float, limit: int = 2000) -> list[Moment]:
        """What happened from ``start`` to before ``end``, oldest first; of too many the newest."""
        with self.read() as db:
            rows = db.execute(
                "SELECT t, kind, place, subject, details FROM moments WHERE t >= ? AND t < ? ORDER BY t DESC, id DESC"
                " LIMIT ?",
                (start, end, limit),
            ).fetchall()
        return [
            Moment(t, kind, place, subject, json.loads(told) if told else None)
            for t, kind, place, subject, told in reversed(rows)
        ]

    def jobs(self) -> list[int]:
        """The numbers of all jobs that were recorded."""
        with self.read() as db:
            return [row[0] for row in db.execute("SELECT DISTINCT job FROM uses ORDER BY job")]

    def peaks(self, job: int, until: float | None = None) -> list[Peak]:
        """What a job took, a figure for each place; empty where it was not recorded. until: only what it took up to then."""
        found = []
        for place, (source, first, last, peak, when, steady) in self._uses(job).items():
            if until is not None and until < last:
                found += self._part(job, place, source, first, until) if until >= first else []
                continue
            usual = self._steady(job, place, first, last) if steady is None else steady
            found.append(Peak(job, place, peak, peak if usual is None else int(usual), when, source))
        return found

    def job_series(self, job: int, points: int = 600, start: float | None = None, end: float | None = None) -> Window:
        """All places of one job from its first to its last sample, or a part of that."""
        uses = self._uses(job).items()
        if not uses:
            now = time.time() if start is None else start
            return Window(now, now, 1.0, {})
        begin = min(first for _, (_, first, *_) in uses) if start is None else start
        until = max(last for _, (_, _, last, *_) in uses) + 1 if end is None else end
        return self.window(begin, until, points, [SeriesKey(place, "job", str(job)) for place, _ in uses])

    def devices(self) -> list[KnownDevice]:
        """GPUs that were ever seen here, by their number."""
        with self.read() as db:
            rows = db.execute(
                "SELECT uuid, number, name, total, first_seen, last_seen FROM devices ORDER BY number, uuid"
            ).fetchall()
        return [KnownDevice(*row) for row in rows]

    def size_bytes(self) -> int:
        """What the record takes of its file."""
        with self.read() as db:
            return compaction.used_bytes(db)

    def _uses(self, job: int) -> dict[str, tuple[Source, float, float, int, float, int | None]]:
        """place -> (source, first, last, peak, when, steady), the seconds that stand in no block yet included."""
        with self.read() as db:
            found = {
                row[0]: tuple(row)[1:]
                for row in db.execute(
                    "SELECT place, source, first, last, peak, peak_t, steady FROM uses WHERE job = ?", (job,)
                )
            }
            tail = compaction.uses_of_tail(db) if found else []
        for number, place, first, last, peak, when in tail:
            if number == job and place in found:
                source, begin, until, most, then, steady = found[place]
                if peak > most:
                    most, then = peak, when
                found[place] = (source, min(begin, first), max(until, last), most, then, steady)
        return found

    def _part(self, job: int, place: str, source: Source, first: float, until: float) -> list[Peak]:
        """What a job took at ``place`` from ``first`` up to ``until``: one, or none where there is no sample."""
        with self.read() as db:
            values = compaction.values_of(db, SeriesKey(place, "job", str(job)), first, until)
        return [Peak(job, place, int(max(values)), int(statistics.median(values)), until, source)] if values else []

    def _steady(self, job: int, place: str, first: float, last: float) -> float | None:
        """The median over the second half of its life."""
        with self.read() as db:
            values = compaction.values_of(db, SeriesKey(place, "job", str(job)), (first + last) / 2, last)
        return statistics.median(values) if values else None
