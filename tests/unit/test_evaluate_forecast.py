"""How long an evaluation will take: reckoned from the times of a few questions, taken from the newest measurement, never guessed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from backend.evaluate import forecast
from backend.evaluate.records import Answer, Run
from backend.evaluate.store import open_runs
from backend.queue.store import Store
from backend.specs import parse
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace, write_json


def spec(**more: Any) -> EvaluateSpec:
    found = parse("evaluate", {"model": "nobody", **more})
    assert isinstance(found, EvaluateSpec)
    return found


def measured(store: Store, result: dict[str, Any], **more: Any) -> int:
    """A job that has ended well with ``result``."""
    row = store.submit("evaluate", spec(**more).model_dump(mode="json", exclude_defaults=True))
    write_json(store.job_dir(row.id) / "result.json", {"ok": True, "attempt": 1, "complete": True, **result})
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'succeeded', attempt = 1, ended = created WHERE id = ?", (row.id,))
    return row.id


def trial(store: Store, **more: Any) -> int:
    return measured(store, {"each_s": [1.9, 2.0, 2.1] * 3, "concurrency": 4, "memory_peak": 7}, trial=9, **more)


def test_without_a_measurement_there_is_no_number_but_the_count_of_questions(
    workspace: Workspace, store: Store
) -> None:
    found = forecast.seconds(workspace, store, spec())
    assert (found.questions, found.seconds, found.low, found.high, found.source) == (120, None, None, None, None)


def test_a_limit_and_chosen_subjects_count(workspace: Workspace) -> None:
    assert forecast.questions(workspace, spec(limit=3)) == 36
    assert forecast.questions(workspace, spec(limit=1000, subjects=["geography-en", "nature-zh"])) == 20


def test_a_trial_of_the_same_kind_gives_time_band_and_memory(workspace: Workspace, store: Store) -> None:
    job = trial(store)
    found = forecast.seconds(workspace, store, spec())
    assert (found.source, found.job, found.memory) == ("trial", job, {"memory_peak": 7})
    assert found.seconds == pytest.approx(120 * 2.0 / 4)
    assert found.low == pytest.approx(60 * 0.85)
    assert found.high == pytest.approx(60 * 1.15)


def test_the_start_of_a_program_of_its_own_comes_on_top(workspace: Workspace, store: Store) -> None:
    trial(store)
    found = forecast.seconds(workspace, store, spec(evaluator="opencompass"))
    assert (found.seconds, found.low, found.high) == pytest.approx((120, 71, 189))


@pytest.mark.parametrize("other", [{"model": "another"}, {"shots": 5}, {"answer_tokens": 9}, {"concurrency": 8}])
def test_a_trial_of_another_kind_says_nothing(workspace: Workspace, store: Store, other: dict[str, Any]) -> None:
    trial(store)
    assert forecast.seconds(workspace, store, spec(**other)).seconds is None


def test_a_trial_of_a_model_that_has_changed_says_nothing(workspace: Workspace, store: Store) -> None:
    measured(store, {"each_s": [1.0] * 9, "concurrency": 4, "fingerprint": "then"}, model="starter", trial=9)
    assert forecast.seconds(workspace, store, spec(model="starter")).seconds is None


def test_a_later_run_of_the_same_kind_counts_more_than_a_trial_and_an_earlier_one_less(
    workspace: Workspace, store: Store
) -> None:
    first = trial(store)
    job = measured(store, {"seconds": 90.0})
    runs = open_runs(workspace)
    made = spec()
    settings = {name: getattr(made, name) for name in ("shots", "answer_tokens", "concurrency", "base_url")}
    run = runs.begin(Run(0, "x", "tunedeck", "1", "nobody", "bundled", "v", job=job, began=1.0, settings=settings))
    runs.put_answers(run, [Answer("a", n, str(n), "q", "p", "B", "B", "B", "right") for n in range(60)])
    runs.end(run, "done")
    runs.close()
    found = forecast.seconds(workspace, store, spec())
    assert (found.source, found.job, found.seconds) == ("earlier run", job, 180.0)
    assert found.low == pytest.approx(180 * 0.75)
    assert found.high == pytest.approx(180 * 1.25)
    assert forecast.seconds(workspace, store, spec(evaluator="lm_eval")).job == first
    last = trial(store)
    assert forecast.seconds(workspace, store, spec()).job == last


def test_the_band_holds_what_really_came_nineteen_times_of_twenty() -> None:
    chance = random.Random(3)
    held = 0
    for _ in range(400):
        times = [chance.lognormvariate(0.0, 0.5) for _ in range(1000)]
        _seconds, low, high = forecast.reckon(1000, chance.sample(times, 10), 4, 4)
        held += low <= sum(times) / 4 <= high
    assert held >= 0.9 * 400  # ten values that are not normal


def test_a_trial_with_fewer_at_once_than_there_will_be_leaves_room_for_faster() -> None:
    seconds, low, high = forecast.reckon(160, [1.0] * 8, 8, 16)
    assert (seconds, low, high) == pytest.approx((20, 8.5, 23))
