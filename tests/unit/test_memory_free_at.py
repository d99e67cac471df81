"""When memory will be free: only what a job says of its own end counts; servers and other people stay."""

from __future__ import annotations

from typing import Any

from backend.memory.free_at import FreeAt, Release, free_at
from backend.memory.sample import HOST, DeviceSample, HostSample, JobUse, Sample
from backend.queue.rows import JobRow

GIB = 2**30
NOW = 1_000_000.0
CARD = "GPU-1"


def row(job: int, *, state: str = "running", service: bool = False, **progress: Any) -> JobRow:
    return JobRow(
        id=job,
        verb="drill",
        title=f"job {job}",
        state=state,
        attempt=1,
        created=NOW - 60,
        started=NOW - 60,
        ended=None,
        elapsed=60.0,
        position=float(job),
        owner="",
        parent=None,
        service=service,
        auto_resumes=0,
        progress=progress,
    )


def sample(*uses: tuple[int, str, int], used: int | None = 60 * GIB, free: int | None = 20 * GIB) -> Sample:
    card = DeviceSample(0, CARD, total=80 * GIB, used=used, free=free)
    jobs = tuple(JobUse(job, place, size * GIB, "driver") for job, place, size in uses)
    return Sample(NOW, HostSample(ram_total=64 * GIB, ram_used=16 * GIB), (card,), jobs)


def test_each_job_gives_back_what_it_takes_when_it_says_that_it_is_done() -> None:
    rows = [row(1, t=NOW - 10, eta_s=610), row(2, t=NOW, eta_s=60)]
    found = free_at(sample((1, CARD, 30), (2, CARD, 10)), CARD, rows, NOW)
    assert found.releases == (Release(NOW + 60, 2, 10 * GIB, 30 * GIB), Release(NOW + 600, 1, 30 * GIB, 60 * GIB))
    assert found.last == found.releases[1]
    assert found.others == 20 * GIB
    assert found.staying == ()
    assert found.unknown == ()


def test_a_server_stays_and_a_job_that_says_nothing_is_unknown() -> None:
    rows = [row(1, service=True, t=NOW, eta_s=5), row(2, t=NOW), row(3, t=NOW, eta_s="NaN")]
    found = free_at(sample((1, CARD, 8), (2, CARD, 4), (3, CARD, 4)), CARD, rows, NOW)
    assert found == FreeAt((), (1,), (2, 3), 44 * GIB)
    assert found.last is None


def test_a_job_past_its_time_is_about_done_and_never_in_the_past() -> None:
    found = free_at(sample((1, CARD, 8)), CARD, [row(1, t=NOW - 500, eta_s=100)], NOW)
    assert found.releases == (Release(NOW, 1, 8 * GIB, 28 * GIB),)


def test_main_memory_and_other_cards_are_told_apart() -> None:
    rows = [row(1, t=NOW, eta_s=60), row(2, t=NOW, eta_s=90)]
    both = sample((1, CARD, 8), (1, HOST, 2), (2, HOST, 1))
    found = free_at(both, HOST, rows, NOW)
    assert [(release.job, release.free) for release in found.releases] == [(1, 50 * GIB), (2, 51 * GIB)]
    assert found.others == 13 * GIB
    assert free_at(both, "GPU-of-nobody", rows, NOW) == FreeAt()


def test_what_the_driver_does_not_tell_is_not_made_up() -> None:
    found = free_at(sample((1, CARD, 8), used=None, free=None), CARD, [row(1, t=NOW, eta_s=60)], NOW)
    assert found.releases == (Release(NOW + 60, 1, 8 * GIB, None),)
    assert found.others is None


def test_a_job_that_has_ended_since_the_sample_gives_it_back_now() -> None:
    found = free_at(sample((1, CARD, 8)), CARD, [row(1, state="succeeded", t=NOW, eta_s=900)], NOW)
    assert found.releases == (Release(NOW, 1, 8 * GIB, 28 * GIB),)
