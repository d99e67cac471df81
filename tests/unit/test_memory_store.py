"""The record of memory in a real SQLite file: what goes in comes out, at every width, after kills, damage and wrong clocks."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend.errors import WorkspaceError
from backend.memory import compaction, wire
from backend.memory.sample import HOST, Moment, ProcessUse, Sample, Series, SeriesKey
from backend.memory.series import MemoryStore, open_memory
from backend.memory.tiers import DAY, SECOND, TIERS, Tier, empty, pack, unpack
from backend.workspace import ROOT, Workspace
from tests.support.seconds import GIB, START, busy, fill, gpu, sample

USED = SeriesKey(HOST, "used")


def plain(values: dict[int, int], start: float, step: float, count: int) -> Series:
    """What a window must say of ``values`` (second -> bytes), worked out the long way."""
    cells: list[list[int]] = [[] for _ in range(count)]
    for second, value in values.items():
        if 0 <= (at := int((second - start) // step)) < count:
            cells[at].append(value)
    return Series(
        tuple(sum(cell) / len(cell) if cell else None for cell in cells),
        tuple(float(min(cell)) if cell else None for cell in cells),
        tuple(float(max(cell)) if cell else None for cell in cells),
    )


def numbers(values: Sequence[float | None]) -> list[float]:
    """Gaps as a number that no memory has."""
    return [-1.0 if value is None else value for value in values]


def test_what_was_seen_is_there_second_by_second_and_what_was_not_is_a_gap(memory: MemoryStore) -> None:
    fill(memory, (0, 1, 2, 5, 6), lambda t: sample(t, int(t - START + 1) * GIB))
    window = memory.window(START - 0.5, START + 7.5, points=8)
    assert (window.start, window.step) == (START - 0.5, 1)
    assert window.series[USED].mean == (1 * GIB, 2 * GIB, 3 * GIB, None, None, 6 * GIB, 7 * GIB, None)


@pytest.mark.parametrize("seed", range(4))
def test_every_window_says_what_adding_up_by_hand_says(memory: MemoryStore, seed: int) -> None:
    """Three quarters of an hour with gaps, some seconds in blocks and some not; windows of every width, at odd places."""
    chance = random.Random(seed)
    values: dict[int, int] = {}
    second = 0
    while second < 2700:
        values[int(START) + second] = chance.randrange(60) * GIB + chance.randrange(1000) * (1 << 20)
        second += 1 if chance.random() < 0.99 else chance.randrange(2, 200)
    fill(memory, (s - int(START) for s in values), lambda t: sample(t, values[int(t)]))
    for points, length in ((300, 300), (600, 2700), (100, 2700), (20, 2700), (3, 2700), (7, 901), (1, 40000)):
        start = START + chance.randrange(2700 - min(length, 2600))
        window = memory.window(start, start + length, points, [USED])
        count = round((window.end - window.start) / window.step)
        assert window.start <= start < window.start + window.step
        assert count <= points + 2
        wanted, found = plain(values, window.start, window.step, count), window.series[USED]
        for name in ("low", "high"):
            assert numbers(getattr(found, name)) == pytest.approx(numbers(getattr(wanted, name)), rel=1e-6), (
                name,
                points,
            )
        assert [v is None for v in found.mean] == [v is None for v in wanted.mean]
        # A cell of a wide tier counts as much as its neighbour, also where it has a gap.
        for mean, low, high in zip(found.mean, found.low, found.high, strict=True):
            assert mean is None or (low is not None and high is not None and low * 0.999999 <= mean <= high * 1.000001)


def test_without_gaps_the_mean_is_the_mean(memory: MemoryStore) -> None:
    chance = random.Random(5)
    values = {int(START) + s: chance.randrange(60) * GIB for s in range(1500)}
    fill(memory, range(1500), lambda t: sample(t, values[int(t)]))
    for points in (1500, 150, 25):
        window = memory.window(START - 0.5, START + 1499.5, points, [USED])
        assert window.step == 1500 / points
        wanted = plain(values, window.start, window.step, points)
        assert numbers(window.series[USED].mean[:points]) == pytest.approx(numbers(wanted.mean), rel=1e-6)


def test_a_peak_of_one_second_is_still_there_in_a_window_of_a_year(memory: MemoryStore) -> None:
    fill(memory, range(200), lambda t: sample(t, 60 * GIB if t == START + 123 else 10 * GIB))
    fill(memory, range(21600, 40 * DAY, 21600), lambda t: sample(t, 10 * GIB))
    end = START + 40 * DAY
    for length in (40 * DAY, 365 * DAY):
        window = memory.window(end - length, end, 600, [USED])
        highs = [high for high in window.series[USED].high if high is not None]
        assert max(highs) == 60 * GIB, length
        assert sum(high > 11 * GIB for high in highs) == 1
        assert len(window.series[USED].high) <= 602
    # The seconds themselves are gone after a day, the tens after a month; there are more of them here than at one a second.
    with memory.write() as db:
        for _ in range(400):
            compaction.prune(db, end - end % (4 * DAY), memory.limit_bytes, changed=7)
        oldest = dict(db.execute("SELECT step, min(start) FROM blocks GROUP BY step").fetchall())
    assert oldest[1] >= end - 6 * DAY
    assert oldest[10] >= end - 35 * DAY
    assert oldest[60] <= START
    assert memory.window(START, START + 200, 200, [USED]).series[USED].high[2] == 60 * GIB, "the minute tells it"


def test_a_window_that_moves_on_keeps_its_cells(memory: MemoryStore) -> None:
    fill(memory, range(900), lambda t: sample(t, int(t) % 97 * GIB // 2))
    first, second = (memory.window(START + at, START + at + 602, 86, [USED]) for at in (0, 13))
    assert first.step == second.step == 7
    shift = round((second.start - first.start) / first.step)
    assert first.series[USED].mean[shift:86] == second.series[USED].mean[: 86 - shift]


def test_only_the_series_that_were_asked_for_or_all_that_have_something(memory: MemoryStore) -> None:
    fill(memory, range(400), lambda t: sample(t, devices=[gpu(0), gpu(1)], jobs={7: GIB} if t < START + 50 else {}))
    wanted = [SeriesKey("GPU-1", "used"), SeriesKey("GPU-9", "used")]
    assert set(memory.window(START, START + 400, keys=wanted).series) == {wanted[0]}
    names = {(key.place, key.name, key.subject) for key in memory.window(START, START + 400).series}
    assert {(HOST, "job", "7"), (HOST, "neighbours", ""), ("GPU-0", "power", ""), (HOST, "disk", "")} <= names
    assert (HOST, "job", "7") not in {
        (k.place, k.name, k.subject) for k in memory.window(START + 320, START + 400).series
    }
    assert SeriesKey("GPU-0", "temperature") in memory.keys(START, START + 400)


def test_what_the_driver_does_not_tell_is_a_gap_and_a_lost_card_has_no_figures(memory: MemoryStore) -> None:
    silent = gpu(0, None, power_w=None, load=None, temperature_c=None)
    fill(memory, range(3), lambda t: sample(t, devices=[silent, gpu(1, lost=t > START + 1)]))
    window = memory.window(START - 0.5, START + 2.5, 3)
    assert SeriesKey("GPU-0", "used") not in window.series
    assert window.series[SeriesKey("GPU-1", "used")].mean == (10 * GIB, 10 * GIB, None)


def test_neighbours_are_what_is_not_ours_by_the_driver_or_by_what_is_left() -> None:
    processes = (
        ProcessUse(1, 3 * GIB, "anna", "x"),
        ProcessUse(2, 2 * GIB, "me", "y", 7),
        ProcessUse(3, GIB, "anna", "z"),
    )
    known = wire.flat(sample(START, devices=[gpu(0, 10 * GIB, processes)]))
    assert known[SeriesKey("GPU-0", "neighbours")] == 4 * GIB
    assert known[SeriesKey("GPU-0", "user", "anna")] == 4 * GIB
    hidden = wire.flat(replace(sample(START, devices=[gpu(0, 10 * GIB, processes[1:2], hidden=True)], jobs={7: GIB})))
    assert hidden[SeriesKey("GPU-0", "neighbours")] == 10 * GIB
    assert hidden[SeriesKey(HOST, "neighbours")] == 7 * GIB


def test_the_newest_sample_comes_back_whole_and_a_past_one_to_the_minute(memory: MemoryStore) -> None:
    assert memory.latest() is None
    fill(memory, range(130), lambda t: busy(t, int(t)))
    assert memory.latest() == busy(START + 129, int(START) + 129)
    assert memory.at(START - 100) is None
    seen = memory.at(START + 100)
    assert seen is not None
    assert START + 40 <= seen.t <= START + 100
    assert len(seen.devices[3].processes) == 8


def test_a_sample_of_another_version_is_read_as_far_as_it_is_known(memory: MemoryStore) -> None:
    memory.append(sample(START, devices=[gpu(0)]))
    with memory.write() as db:
        data = json.loads(zlib.decompress(db.execute("SELECT data FROM latest").fetchone()[0]))
        data["devices"][0]["colour"] = "green"
        del data["devices"][0]["throttle"]
        db.execute("UPDATE latest SET data = ?", (zlib.compress(json.dumps(data).encode()),))
    assert memory.latest() == sample(START, devices=[gpu(0)])


def test_a_job_has_its_peak_to_the_byte_and_what_it_usually_took(memory: MemoryStore) -> None:
    def look(t: float) -> Sample:
        second = int(t - START)
        return sample(
            t, jobs={7: 5_000_000_001 if second == 130 else 1_000_000 * second if second < 100 else 3_000_000_007}
        )

    fill(memory, range(350), look)
    before = memory.peaks(7)
    assert [(p.place, p.peak, p.t, p.source) for p in before] == [(HOST, 5_000_000_001, int(START) + 130, "process")]
    assert before[0].steady == pytest.approx(3_000_000_007, rel=1e-6)
    fill(memory, range(650, 652), sample)
    assert memory.peaks(7)[0].peak == 5_000_000_001, "also from the blocks"
    assert memory.jobs() == [7]
    assert memory.peaks(8) == []
    early = memory.peaks(7, int(START) + 50)
    assert [(p.place, p.peak, p.t) for p in early] == [(HOST, pytest.approx(50_000_000, rel=1e-6), int(START) + 50)]
    assert memory.peaks(7, START + 1000) == memory.peaks(7)
    assert memory.peaks(7, START - 10) == []
    series = memory.job_series(7, 700).series
    assert set(series) == {SeriesKey(HOST, "job", "7")}
    told = [v for v in series[SeriesKey(HOST, "job", "7")].mean if v is not None]
    assert len(told) == 350, "from its first second to its last"


def test_what_a_job_took_outlives_its_seconds(memory: MemoryStore) -> None:
    fill(memory, range(60), lambda t: sample(t, jobs={7: int(t - START) * GIB // 10}))
    memory.settle(7)
    kept = memory.peaks(7)
    with memory.write() as db:
        db.execute("DELETE FROM tail")
        db.execute("DELETE FROM blocks")
    assert memory.peaks(7) == kept
    assert kept[0].peak == 59 * GIB // 10
    assert kept[0].steady == pytest.approx(44.5 * GIB / 10, rel=0.02)


def test_a_moment_told_twice_is_one_and_of_too_many_the_newest_come(memory: MemoryStore) -> None:
    for _ in range(2):
        memory.add_moment(Moment(START, "phase", "", "7", {"phase": "load 加载"}))
    assert memory.moments(START, START + 1) == [Moment(START, "phase", "", "7", {"phase": "load 加载"})]
    assert memory.moments(START - 5, START) == []
    for second in range(1, 5):
        memory.add_moment(Moment(START + second, "phase", "", "7"))
    assert [m.t - START for m in memory.moments(START, START + 9, limit=2)] == [3, 4]


def test_every_card_that_was_ever_here_is_known(memory: MemoryStore) -> None:
    fill(memory, range(0, 700, 100), lambda t: sample(t, devices=[gpu(1), *([gpu(0)] if t < START + 250 else [])]))
    zero, one = memory.devices()
    assert (zero.uuid, zero.index, zero.total) == ("GPU-0", 0, 80 * GIB)
    assert zero.first_seen == START
    assert zero.last_seen < one.last_seen


def test_a_clock_that_was_set_back_tells_seconds_twice_and_the_last_word_counts(memory: MemoryStore) -> None:
    fill(memory, range(700), lambda t: sample(t, 10 * GIB))
    fill(memory, range(100, 200), lambda t: sample(t, 20 * GIB))
    fill(memory, range(700, 1300), lambda t: sample(t, 10 * GIB))
    means = memory.window(START - 0.5, START + 699.5, 700, [USED]).series[USED].mean
    assert means[:700] == (*[10 * GIB] * 100, *[20 * GIB] * 100, *[10 * GIB] * 500)
    assert max(v or 0 for v in memory.window(START, START + 1200, 12, [USED]).series[USED].high) == 20 * GIB


def test_an_hour_of_a_clock_that_is_years_ahead_does_not_cost_the_record(memory: MemoryStore) -> None:
    fill(memory, range(0, 2 * DAY, 1800), sample)
    years = 10 * 365 * DAY
    fill(memory, range(years + 13500, years + 13500 + 3600, 60), lambda t: sample(t, 50 * GIB))
    fill(memory, range(2 * DAY, 2 * DAY + 1200, 60), sample)
    found = memory.window(START, START + 2 * DAY, 48, [USED]).series[USED]
    assert sum(value is not None for value in found.mean) >= 47
    assert max(v or 0 for v in found.high) == 8 * GIB, "nothing of the false years is drawn here"
    with memory.read() as db:
        tens = db.execute("SELECT count(*) FROM blocks WHERE step = 10 AND start < ?", (START + 2 * DAY,)).fetchone()[0]
    assert tens >= 48 * 7 * 3 // 4
    with memory.write() as db:
        for _ in range(20):
            compaction.prune(db, (START // (180 * DAY) + 1) * 180 * DAY, memory.limit_bytes)
        assert db.execute("SELECT max(start) FROM blocks").fetchone()[0] < START + 3 * DAY, "in time they are gone"


def test_the_file_stays_within_its_limit_and_the_finest_goes_first(workspace: Workspace) -> None:
    memory = MemoryStore(workspace.memory_db, limit_bytes=600_000)
    for second in range(0, 8 * 3600, 30):
        memory.append(busy(START + second, second, gpus=2, processes=4))
    assert 500_000 < memory.size_bytes() <= 600_000 + 50_000
    assert workspace.memory_db.stat().st_size <= 800_000
    window = memory.window(START, START + 8 * 3600, 8, [USED])
    assert [v is not None for v in window.series[USED].mean[:8]] == [True] * 8, "all of it can still be drawn"
    with memory.read() as db:
        oldest = dict(db.execute("SELECT step, min(start) FROM blocks GROUP BY step").fetchall())
    assert oldest[1] > START + 4 * 3600
    assert oldest[60] <= START


def test_a_record_that_is_far_too_large_shrinks_step_by_step(memory: MemoryStore) -> None:
    fill(memory, range(0, 4 * 3600, 60), lambda t: busy(t, int(t), gpus=2, processes=4))
    before = memory.size_bytes()
    memory.limit_bytes = before * 3 // 4
    fill(memory, range(4 * 3600, 4 * 3600 + 3000, 300), lambda t: busy(t, int(t), gpus=2, processes=4))
    assert memory.size_bytes() <= before * 3 // 4 + 20_000 < before


def test_a_damaged_file_is_put_beside_and_recording_goes_on(workspace: Workspace) -> None:
    workspace.memory_db.write_bytes(b"not a database at all " * 500)
    memory = open_memory(workspace)
    now = time.time()
    memory.append(sample(now))
    assert memory.latest() == sample(now)
    (kept,) = workspace.root.glob("memory.db.damaged-*")
    assert kept.read_bytes().startswith(b"not a database")
    (told,) = memory.moments(0, 1e12)
    assert (told.kind, told.details) == ("record_damaged", {"kept": str(kept)})


def test_damage_that_shows_while_it_is_open_costs_one_second(workspace: Workspace) -> None:
    memory, page = open_memory(workspace), open_memory(workspace)
    now = int(time.time()) + 0.5
    for second in range(400):
        memory.append(busy(now - 400 + second, second))
    memory.close()
    with sqlite3.connect(workspace.memory_db) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with workspace.memory_db.open("r+b") as file:
        for number in range(1, workspace.memory_db.stat().st_size // 4096):
            file.seek(4096 * number)
            file.write(b"\xff" * 4096)
    errors = []
    for second in range(4):
        try:
            memory.append(sample(now + second))
        except WorkspaceError as error:
            errors.append(error.code)
    assert errors in ([], ["workspace_damaged"])
    assert [m.kind for m in memory.moments(0, 1e12)] == ["record_damaged"]
    assert len(list(workspace.root.glob("memory.db.damaged-*[0-9a-f]"))) == 1
    assert page.latest() == sample(now + 3), "who had it open follows"


def test_a_block_in_which_a_bit_fell_over_is_a_gap_and_no_more(memory: MemoryStore) -> None:
    fill(memory, range(700), sample)
    with memory.write() as db:
        db.execute("UPDATE blocks SET data = x'00' WHERE step = 10")
    fill(memory, range(700, 1300), sample)
    found = memory.window(START - 0.5, START + 1199.5, 120, [USED])
    assert [value is None for value in found.series[USED].mean] == [True] * 60 + [False] * 60
    assert len([v for v in memory.window(START, START + 1199, 1199, [USED]).series[USED].mean if v is not None]) >= 1199


def test_a_record_of_a_newer_tunedeck_is_left_alone(workspace: Workspace) -> None:
    open_memory(workspace).close()
    with sqlite3.connect(workspace.memory_db) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(WorkspaceError, match="newer TuneDeck") as caught:
        open_memory(workspace)
    assert caught.value.code == "workspace_newer"
    assert not list(workspace.root.glob("*.damaged*"))


def test_a_record_that_was_deleted_is_begun_anew(workspace: Workspace, memory: MemoryStore) -> None:
    fill(memory, range(3), sample)
    for path in workspace.root.glob("memory.db*"):
        path.unlink()
    fill(memory, range(3, 6), sample)
    means = memory.window(START - 0.5, START + 5.5, 6, [USED]).series[USED].mean
    assert [value is not None for value in means] == [False, False, False, True, True, True]


def test_nobody_else_on_the_machine_can_read_it(workspace: Workspace, memory: MemoryStore) -> None:
    memory.append(sample(START))
    assert {path.stat().st_mode & 0o777 for path in workspace.root.glob("memory.db*")} == {0o600}


def test_pages_read_while_the_recorder_writes(memory: MemoryStore) -> None:
    problems: list[BaseException] = []
    done = threading.Event()

    def page() -> None:
        while not done.is_set():
            try:
                window = memory.window(START, START + 900, 90, [USED])
                memory.latest()
                assert all(v == 8 * GIB for row in window.series.values() for v in row.mean if v is not None)
            except BaseException as error:  # noqa: BLE001 - told by the test
                problems.append(error)
                return
        memory.close()

    readers = [threading.Thread(target=page) for _ in range(3)]
    for reader in readers:
        reader.start()
    fill(memory, range(900), sample)
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []


APPENDS = """
import sys
from pathlib import Path
from backend.memory.series import MemoryStore
from tests.support.seconds import START, busy
memory = MemoryStore(Path(sys.argv[1]))
for second in range(100_000):
    memory.append(busy(START + second, second, gpus=2, processes=4))
    print(second, flush=True)
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_said_to_be_there(workspace: Workspace) -> None:
    command = [sys.executable, "-c", APPENDS, str(workspace.memory_db)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    with process.stdout as lines:
        for line in lines:
            told = int(line)
            if told == 1190:  # about to make the fourth block; what it still says is read, too
                process.kill()
    process.wait(timeout=20)
    memory = open_memory(workspace)
    means = memory.window(START - 0.5, START + told + 0.5, told + 1, [USED]).series[USED].mean
    assert [at for at, value in enumerate(means[: told + 1]) if value is None] == []
    with memory.read() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    memory.append(sample(START + told + 60))
    after = memory.window(START - 0.5, START + told + 60.5, told + 61, [USED]).series[USED].mean
    assert sum(value is None for value in after[: told + 61]) in (58, 59), "what nobody saw is a gap"


def test_a_failed_write_leaves_no_number_that_stands_for_nothing(memory: MemoryStore) -> None:
    memory.append(sample(START))
    with memory.read() as db:
        db.execute("CREATE TEMP TRIGGER no BEFORE INSERT ON tail BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        with pytest.raises(WorkspaceError):
            memory.append(sample(START + 1, devices=[gpu(0)]))
        db.execute("DROP TRIGGER no")
    memory.append(sample(START + 2, devices=[gpu(0)]))
    found = memory.window(START - 0.5, START + 2.5, 3, [SeriesKey("GPU-0", "used")])
    assert found.series[SeriesKey("GPU-0", "used")].mean == (None, None, 10 * GIB)


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: f"{tier.step}s")
def test_a_block_comes_back_as_it_was(tier: Tier) -> None:
    rows = empty(tier)
    chance = random.Random(1)
    for row in rows:
        for at in range(0, len(row), 3):
            row[at] = chance.random() * 80 * GIB
    again = unpack(pack(rows), tier)
    assert [row.tobytes() for row in again] == [row.tobytes() for row in rows]
    with pytest.raises(ValueError):
        unpack(zlib.compress(b"too short"), tier)


def test_names_of_which_nothing_is_left_are_forgotten(memory: MemoryStore) -> None:
    fill(memory, range(0, 1200, 60), lambda t: sample(t, jobs={int(t - START): GIB}))
    with memory.write() as db:
        db.execute("DELETE FROM blocks WHERE series IN (SELECT id FROM series WHERE name = 'job')")
        compaction.forget_unused_series(db)
        left = [row[0] for row in db.execute("SELECT subject FROM series WHERE name = 'job'")]
        assert 0 < len(left) <= SECOND.span // 60, "those of the last minutes, which stand in no block yet"
