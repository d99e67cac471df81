"""The knee of latency against load."""

from __future__ import annotations

from typing import Any

import pytest

from backend.bench.knee import Knee, from_dict, knee


def levels(*points: tuple[int, float], **more: Any) -> list[dict[str, Any]]:
    """(people, answers a second) of a closed loop; by Little's law the mean latency is people / answers a second."""
    return [{"concurrency": c, "columns": {"rps": rps, "latency_ave": c / rps}, **more} for c, rps in points]


def test_a_server_that_is_full_at_eight_has_its_knee_there() -> None:
    found = knee(levels((1, 1.0), (2, 2.0), (4, 4.0), (8, 7.6), (16, 8.0), (32, 8.1)))
    assert found is not None
    assert (found.concurrency, found.reason, found.rps) == (8, "found", 7.6)
    assert found.sentence().startswith("The knee is at 8 people at once: 7.6 answers a second, each after 1.05 s.")
    assert from_dict(found.to_dict()) == found


def test_twice_the_people_are_worth_it_from_1_41_times_the_answers_on() -> None:
    better, worse = knee(levels((4, 1.0), (8, 1.5))), knee(levels((4, 1.0), (8, 1.35)))
    assert better is not None
    assert worse is not None
    assert (better.concurrency, worse.concurrency) == (8, 4)


@pytest.mark.parametrize(
    ("points", "people", "reason", "words"),
    [
        (((1, 1.0), (2, 1.9), (4, 3.7)), 4, "not_reached", "Measure with more"),
        (((1, 1.0), (2, 1.0), (4, 1.0)), 1, "at_once", "1 at a time"),
    ],
)
def test_at_the_edges_it_says_that_it_is_no_knee(points: Any, people: int, reason: str, words: str) -> None:
    found = knee(reversed(levels(*points)))
    assert found is not None
    assert (found.concurrency, found.reason) == (people, reason)
    assert words in found.sentence()


def test_noise_does_not_move_it_to_more_people() -> None:
    found = knee(levels((8, 10.0), (16, 14.3), (32, 14.4)))  # 12.5 and 12.8 in power
    assert found is not None
    assert found.concurrency == 8


def test_one_load_has_no_knee_and_what_was_broken_off_does_not_count() -> None:
    assert knee(levels((4, 1.0))) is None
    assert knee([*levels((1, 1.0)), *levels((8, 50.0), complete=False)]) is None
    assert knee([*levels((1, 1.0)), {"concurrency": 2, "columns": {"rps": None, "latency_ave": None}}]) is None
    assert from_dict(None) is None
    assert from_dict({"other": 1}) is None
    assert isinstance(knee(levels((1, 1.0), (2, 2.0))), Knee)
