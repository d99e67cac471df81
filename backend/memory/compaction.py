"""From seconds to blocks, and from a record that grows to one that does not. Every function runs inside a transaction of
the caller's, so that a kill in the middle changes nothing.
"""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence

from backend.memory.sample import SeriesKey
from backend.memory.tiers import (
    DAY,
    MINUTE,
    QUARTER,
    SECOND,
    SHIFT,
    TEN,
    TIERS,
    Rows,
    Tier,
    empty,
    narrow,
    pack,
    put,
    unpack,
)

FASTER = 4
"""So many times faster than it grows may the record be pruned for its age. Not all that is too old at once: a clock that is
wrong for an hour, by years, must not cost everything."""
SHRINK_ROWS = 2000
"""And so many blocks may go at a time because there are too many."""
SPARED = ((SECOND, 3600), (TEN, DAY), (MINUTE, 7 * DAY), (SECOND, 0), (QUARTER, 0), (TEN, 0), (MINUTE, 0))
"""What is given up first where the file is too large: the finest, but for its last seconds."""
MOST_MOMENTS = 100_000
LOOKS_APART_S, LOOKS_KEEP = 600, 30 * DAY
AHEAD_S = 2 * DAY


def pack_second(values: dict[int, float]) -> bytes:
    """A second of the tail: the numbers of the series, then their values in full."""
    return array("i", values.keys()).tobytes() + array("d", values.values()).tobytes()


def unpack_second(data: bytes) -> tuple[array[int], array[float]]:
    """What :func:`pack_second` was given."""
    count = len(data) // 12
    ids, values = array("i"), array("d")
    ids.frombytes(data[: 4 * count])
    values.frombytes(data[4 * count :])
    return ids, values


def compact(db: sqlite3.Connection, now: int) -> int:
    """Put the tail's seconds into blocks, but for those of the block that ``now`` is in. Returns how many blocks changed."""
    current = now // SECOND.span
    blocks: dict[int, dict[int, array[float]]] = defaultdict(dict)
    for t, data in db.execute("SELECT t, data FROM tail WHERE t / ? <> ?", (SECOND.span, current)):
        block = blocks[t // SECOND.span]
        for series, value in zip(*unpack_second(data), strict=True):
            if series not in block:
                block[series] = empty(SECOND)[0]
            block[series][t % SECOND.span] = value
    _note_uses(db, current)
    for number, columns in blocks.items():
        for series, seconds in columns.items():
            _add(db, series, number * SECOND.span, seconds)
    db.execute("DELETE FROM tail WHERE t / ? <> ?", (SECOND.span, current))
    return sum(map(len, blocks.values()))


def _add(db: sqlite3.Connection, series: int, start: int, seconds: array[float]) -> None:
    """Five minutes of one series, into a block of each tier."""
    # A clock that was set back tells these seconds twice: what was told last counts.
    whole = _update(db, SECOND, series, start, [(value,) for value in seconds])
    for tier in (TEN, MINUTE):
        minutes = _update(db, tier, series, start, narrow(whole, tier.step))
    # The hours are made from the minutes around them, which hold all of them.
    start -= start % MINUTE.span
    for tier in (QUARTER, SHIFT):
        _update(db, tier, series, start, narrow(minutes, tier.step // MINUTE.step))


def _update(
    db: sqlite3.Connection, tier: Tier, series: int, start: int, cells: Iterable[Sequence[float]]
) -> list[array[float]]:
    """Write ``cells`` from ``start`` on into the block of ``tier`` that holds them; returns the whole block."""
    begin = start - start % tier.span
    found = db.execute(
        "SELECT id, data FROM blocks WHERE step = ? AND series = ? AND start = ?", (tier.step, series, begin)
    ).fetchone()
    rows = _unpacked(found[1], tier) if found else empty(tier)
    put(rows, (start - begin) // tier.step, cells)
    if found:
        db.execute("UPDATE blocks SET data = ? WHERE id = ?", (pack(rows), found[0]))
    else:
        db.execute(
            "INSERT INTO blocks (step, series, start, data) VALUES (?, ?, ?, ?)",
            (tier.step, series, begin, pack(rows)),
        )
    return rows


Use = tuple[int, str, float, float, int, float]
"""(job, place, first, last, peak, when it was)."""


def uses_of_tail(db: sqlite3.Connection, but: int = -1) -> list[Use]:
    """What the tail says of jobs; seconds of the block ``but`` are left out."""
    keys = {
        row[0]: (int(row[2]), row[1]) for row in db.execute("SELECT id, place, subject FROM series WHERE name = 'job'")
    }
    found: dict[int, list[float]] = {}
    for t, data in db.execute("SELECT t, data FROM tail WHERE t / ? <> ? ORDER BY t", (SECOND.span, but)):
        for series, value in zip(*unpack_second(data), strict=True):
            if series not in keys:
                continue
            use = found.setdefault(series, [t, t, -1.0, t])
            use[1] = t
            if value > use[2]:
                use[2:] = value, t
    return [(*keys[series], first, last, int(peak), when) for series, (first, last, peak, when) in found.items()]


def _note_uses(db: sqlite3.Connection, current: int) -> None:
    for job, place, first, last, peak, when in uses_of_tail(db, current):
        db.execute(
            "UPDATE uses SET first = min(first, ?), last = max(last, ?), peak_t = iif(? > peak, ?, peak_t),"
            " peak = max(peak, ?) WHERE job = ? AND place = ?",
            (first, last, peak, when, peak, job, place),
        )


def values_of(db: sqlite3.Connection, key: SeriesKey, start: float, end: float) -> list[float]:
    """The values of one series from ``start`` to ``end``, of the finest tier that was kept for as long."""
    found = db.execute(
        "SELECT id FROM series WHERE place = ? AND name = ? AND subject = ?", (key.place, key.name, key.subject)
    ).fetchone()
    if found is None:
        return []
    tier = SECOND if end - start < DAY / 2 else TEN if end - start < 15 * DAY else MINUTE
    for finest in TIERS[TIERS.index(tier) :]:
        values = _values_of(db, finest, found[0], start, end)
        if values:
            return values
    return []


def _values_of(db: sqlite3.Connection, tier: Tier, series: int, start: float, end: float) -> list[float]:
    values = []
    for begin, data in db.execute(
        "SELECT start, data FROM blocks WHERE step = ? AND series = ? AND start > ? AND start <= ?",
        (tier.step, series, start - tier.span, end),
    ):
        row = _unpacked(data, tier)[0]
        cells = range(max(0, int(start - begin) // tier.step), min(tier.cells, int(end - begin) // tier.step + 1))
        values += [row[at] for at in cells if row[at] == row[at]]
    for (data,) in db.execute("SELECT data FROM tail WHERE t >= ? AND t <= ?", (int(start), end)):
        values += [value for number, value in zip(*unpack_second(data), strict=True) if number == series]
    return values


def _unpacked(data: bytes, tier: Tier) -> Rows:
    try:
        return unpack(data, tier)
    except (ValueError, zlib.error):
        return empty(tier)  # a bit fell over: what it held is gone, recording goes on


def prune(db: sqlite3.Connection, now: float, limit_bytes: int, changed: int = 0) -> None:
    """Forget a little of what is too old, and what is too much. changed: series that just got a block of seconds."""
    for tier in TIERS:
        if now % tier.span < SECOND.span:  # about once while a block of it is filled
            _forget(db, tier, f"start < {now - tier.keep - tier.span}", FASTER * (1 + changed))
            # Seconds that a wrong clock put into the future would stay until they are past.
            _forget(db, tier, f"start > {now + AHEAD_S}", FASTER * (1 + changed))
    _shrink(db, now, limit_bytes)
    _thin_looks(db, int(now))
    for table, name, time, rows in (("moments", "id", "t", 50), ("uses", "job, place", "last", 5)):
        old = f"SELECT {name} FROM {table} WHERE {time} < ? OR {time} > ? LIMIT ?"
        db.execute(f"DELETE FROM {table} WHERE ({name}) IN ({old})", (now - MINUTE.keep, now + AHEAD_S, rows))
    db.execute(
        "DELETE FROM moments WHERE id IN (SELECT id FROM moments ORDER BY t LIMIT"
        " max(0, (SELECT count(*) FROM moments) - ?))",
        (MOST_MOMENTS,),
    )


def _shrink(db: sqlite3.Connection, now: float, limit_bytes: int) -> None:
    left = SHRINK_ROWS
    for tier, spared in SPARED:
        while left > 0 and used_bytes(db) > limit_bytes:
            gone = _forget(db, tier, f"start < {now - spared - tier.span}", 100)
            if not gone:
                break
            left -= gone


def used_bytes(db: sqlite3.Connection) -> int:
    """What the record takes of its file; the rest is free for what comes next."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def forget_unused_series(db: sqlite3.Connection) -> None:
    """Names of which nothing is left: of jobs and people of long ago."""
    here = {series for (data,) in db.execute("SELECT data FROM tail") for series in unpack_second(data)[0]}
    gone = db.execute("SELECT id FROM series WHERE id NOT IN (SELECT series FROM blocks)").fetchall()
    db.executemany("DELETE FROM series WHERE id = ?", [(row[0],) for row in gone if row[0] not in here])


def _forget(db: sqlite3.Connection, tier: Tier, where: str, rows: int) -> int:
    """Delete up to ``rows`` blocks of ``tier``, the oldest first. Returns how many there were."""
    return db.execute(
        f"DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE step = ? AND {where} ORDER BY start LIMIT ?)",
        (tier.step, rows),
    ).rowcount


def _thin_looks(db: sqlite3.Connection, now: int) -> None:
    old = "SELECT t FROM looks WHERE t < ? OR t > ? LIMIT 20"
    db.execute(f"DELETE FROM looks WHERE t IN ({old})", (now - LOOKS_KEEP, now + AHEAD_S))
    # Of those older than a day the first of each ten minutes stays; only what has just become a day old is looked at.
    begin, edge = now - 2 * DAY, now - DAY - LOOKS_APART_S
    kept = "SELECT min(t) FROM looks WHERE t BETWEEN ? AND ? GROUP BY t / ?"
    many = f"SELECT t FROM looks WHERE t BETWEEN ? AND ? AND t NOT IN ({kept}) LIMIT 20"
    db.execute(f"DELETE FROM looks WHERE t IN ({many})", (begin, edge, begin, edge, LOOKS_APART_S))
