"""One moment of the past as a sample: the figures of that second, the programs of the last whole look."""

from __future__ import annotations

import time

import pytest

from backend.memory.sample import HOST, Sample
from backend.memory.series import MemoryStore
from backend.memory.then import sample_at
from tests.support.memory_samples import GIB, card, process, record, still, use

BEGIN = time.time() // 60 * 60 - 600
"""On a whole minute, so that the first look is a whole one."""


def growing(t: float) -> Sample:
    """A job that takes a tenth of a GiB more each second until second 40, and ends in the next one; somebody else is there
    from second 20 on."""
    passed = t - BEGIN
    people = (process(9, 8.0, "ada"),) if passed >= 20 else ()
    jobs = [use(1, 1 + passed / 10), use(1, 2 + passed / 10, "GPU-0", "lease")] if passed <= 40 else []
    jobs = [use(1, 0.1)] if 40 < passed <= 41 else jobs
    return still(t, [card(0, 20 + passed / 10, processes=people)], jobs, used=10 + passed / 10)


def test_the_figures_are_of_that_second_and_the_programs_of_the_last_look(memory: MemoryStore) -> None:
    record(memory, BEGIN + 50, 50, growing)
    found = sample_at(memory, BEGIN + 30)
    assert found is not None
    assert found.t == pytest.approx(BEGIN + 30, abs=1)
    assert found.host.ram_used == pytest.approx(13 * GIB, abs=0.11 * GIB)
    assert [(use.job, use.place, use.source) for use in found.jobs] == [(1, "GPU-0", "lease"), (1, HOST, "process")]
    assert found.jobs[0].size == pytest.approx(5 * GIB, abs=0.11 * GIB)
    (device,) = found.devices
    assert device.used == pytest.approx(23 * GIB, abs=0.11 * GIB)
    assert device.used is not None
    assert device.free == 80 * GIB - device.used
    assert device.processes == ()  # she came after the look of that minute


def test_of_a_job_that_has_just_ended_the_second_counts_in_which_it_had_most(memory: MemoryStore) -> None:
    record(memory, BEGIN + 50, 50, growing)
    found = sample_at(memory, BEGIN + 45, job=1)
    assert found is not None
    assert found.t == pytest.approx(BEGIN + 40, abs=1)
    assert {use.job for use in found.jobs} == {1}
    alone = sample_at(memory, BEGIN + 45)
    assert alone is not None
    assert alone.jobs == ()


def test_where_nothing_was_recorded_there_is_nothing(memory: MemoryStore) -> None:
    assert sample_at(memory, BEGIN) is None
    record(memory, BEGIN + 50, 50, growing)
    assert sample_at(memory, BEGIN - 5) is None
    assert sample_at(memory, BEGIN + 200) is None
    assert sample_at(memory, BEGIN + 200, job=1) is None
