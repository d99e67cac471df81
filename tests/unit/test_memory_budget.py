"""What a new job may count on: what is free now, less the neighbours' growth, less what our own jobs are about to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.errors import WorkspaceError
from backend.memory import budget
from backend.memory.budget import free_now, growth
from backend.memory.machine import Gpu, Machine
from backend.memory.sample import HOST, HostSample, JobUse, Sample, SeriesKey
from backend.queue.rows import JobRow
from backend.queue.store import Store
from tests.support.memory_record import Record

GIB = 1 << 30
MINUTE = 2  # cells of 30 s
LAPTOP = Machine("test", 2, 16 * GIB, 9 * GIB, None, None)
TWO = replace(LAPTOP, gpus=(Gpu(0, "GPU-a", "", 24 * GIB, 3 * GIB, 0.0), Gpu(1, "GPU-b", "", 24 * GIB, 20 * GIB, 0.0)))


def recorded(values: list[float | None], place: str = HOST) -> Record:
    return Record({SeriesKey(place, "neighbours"): values})


def flat(minutes: float, size: float = 2 * GIB) -> list[float | None]:
    return [size] * int(minutes * MINUTE)


def test_without_a_gpu_main_memory_counts_and_else_the_roomiest_card_or_the_one_that_was_chosen() -> None:
    laptop = free_now(LAPTOP, None)
    assert (laptop.place, laptop.free, laptop.free_after_growth, laptop.source) == (HOST, 9 * GIB, 9 * GIB, "unknown")
    assert not laptop.on_gpu
    roomiest = free_now(TWO, None)
    assert (roomiest.place, roomiest.index, roomiest.free, roomiest.total) == ("GPU-b", 1, 20 * GIB, 24 * GIB)
    assert free_now(TWO, None, "GPU-a").free == 3 * GIB
    assert free_now(TWO, None, HOST).free == 9 * GIB


def test_a_card_that_does_not_tell_is_no_budget_of_zero() -> None:
    silent = replace(TWO, gpus=(replace(TWO.gpus[0], free=None),))
    found = free_now(silent, recorded(flat(60), "GPU-a"))
    assert (found.free, found.free_after_growth) == (None, None)


def test_a_steady_neighbour_takes_nothing_off_and_one_that_grows_by_a_gib_in_ten_minutes_takes_that() -> None:
    assert growth(recorded(flat(120)), HOST, 0.0) == 0
    climbing: list[float | None] = [cell / (10 * MINUTE) * GIB for cell in range(120 * MINUTE)]
    assert growth(recorded(climbing), HOST, 0.0) == pytest.approx(GIB, rel=0.01)
    found = free_now(LAPTOP, recorded(climbing))
    assert found.source == "recorded"
    assert found.free_after_growth == pytest.approx(8 * GIB, rel=0.01)


def test_one_jump_in_six_hours_is_not_feared_but_one_every_hour_is() -> None:
    once = flat(350) + flat(10, 6 * GIB)
    assert growth(recorded(once), HOST, 0.0) == 0
    hourly = (flat(50) + flat(10, 5 * GIB)) * 6
    assert growth(recorded(hourly), HOST, 0.0) == 3 * GIB


def test_memory_that_is_given_back_is_no_growth() -> None:
    falling: list[float | None] = [(240 - cell) * GIB / 100 for cell in range(240)]
    assert growth(recorded(falling), HOST, 0.0) == 0


def test_nothing_is_said_about_growth_from_a_short_record_or_across_a_gap() -> None:
    assert growth(recorded(flat(15)), HOST, 0.0) is None
    assert growth(Record(), HOST, 0.0) is None
    # Two hours between which nobody looked: what happened in the gap is not known, and not a rise within ten minutes.
    gap: list[float | None] = [None] * (60 * MINUTE)
    assert growth(recorded(flat(60) + gap + flat(60, 9 * GIB)), HOST, 0.0) == 0


def test_growth_never_makes_less_than_nothing_and_a_broken_record_hides_nothing() -> None:
    wild = (flat(5, 0) + flat(5, 30 * GIB)) * 12
    assert free_now(LAPTOP, recorded(wild)).free_after_growth == 0

    class Broken(Record):
        def window(self, *_args: Any, **_more: Any) -> Any:
            raise WorkspaceError("workspace_damaged", "no", "")

        latest = window

    found = free_now(LAPTOP, Broken())
    assert (found.free_after_growth, found.source) == (9 * GIB, "unknown")


def starting(store: Store, phase: str = "load", leases: tuple[tuple[str, int], ...] = ()) -> JobRow:
    row = store.submit("drill", {})
    with store.write() as db:
        db.execute(
            "UPDATE jobs SET state = 'running', attempt = 1, progress = ? WHERE id = ?",
            (f'{{"phase": "{phase}"}}', row.id),
        )
        db.executemany(
            "INSERT INTO leases (resource, job_id, amount) VALUES (?, ?, ?)",
            [(name, row.id, amount) for name, amount in leases],
        )
    return store.get(row.id)


def test_what_a_job_that_is_being_started_was_given_is_promised_until_it_has_it(store: Store) -> None:
    row = starting(store, leases=(("gpu:GPU-b", 4096), ("cpu", 1)))
    assert free_now(TWO, None, store=store).promised == 4 * GIB
    assert free_now(TWO, None, "GPU-a", store=store).promised == 0
    taken = Sample(0.0, HostSample(16 * GIB, GIB), jobs=(JobUse(row.id, "GPU-b", 3 * GIB, "driver"),))
    found = free_now(TWO, Record(newest=taken), store=store)
    assert (found.promised, found.free_after_growth) == (GIB, 19 * GIB)


@pytest.mark.parametrize("phase", ["ready", "train"])
def test_a_job_that_works_has_what_it_needs(store: Store, phase: str) -> None:
    starting(store, phase, (("gpu:GPU-b", 4096),))
    assert free_now(TWO, None, store=store).promised == 0


def test_every_settled_phase_is_a_phase_that_people_can_read() -> None:
    from ui.words import PHASES

    assert set(budget.SETTLED) <= set(PHASES)


def test_a_server_that_is_replaced_gives_its_memory_back_first(store: Store) -> None:
    room = free_now(TWO, None)
    uses = (JobUse(7, "GPU-b", 3 * GIB, "driver"), JobUse(7, HOST, GIB, "process"), JobUse(8, "GPU-b", GIB, "driver"))
    record = Record(newest=Sample(0.0, HostSample(16 * GIB, GIB), jobs=uses))
    found = budget.without(room, 7, record)
    assert (found.free, found.returned) == (23 * GIB, 3 * GIB)
    assert budget.without(room, 9, record).free == room.free
    assert budget.without(room, 7, None) == room
