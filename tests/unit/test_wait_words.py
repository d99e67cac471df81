"""Every reason for waiting reads as a sentence with its figures, in both languages."""

from __future__ import annotations

import dataclasses
import string
from typing import Any

import pytest

from backend.queue.resources import Card, plan
from backend.queue.rows import JobRow
from backend.queue.store import Store
from ui import wait_words

NOW = 1_790_000_000.0


def queued(store: Store, **wait: Any) -> JobRow:
    return dataclasses.replace(store.submit("drill", {}), wait=wait)


def test_a_leased_gpu_is_named_with_the_job_that_has_it_and_until_when(store: Store) -> None:
    row = queued(store, code="gpu_leased", params={"gpu": 0, "job": 12, "title": "x", "until": NOW + 600})
    said = wait_words.sentence(row, now=NOW)
    assert said.startswith("GPU 0 is leased by job 12 until about ")
    assert said[-6:-4].isdigit()


@pytest.mark.parametrize("until", [None, NOW - 1])
def test_an_estimate_that_is_missing_or_has_passed_is_not_said(store: Store, until: float | None) -> None:
    row = queued(store, code="gpu_leased", params={"gpu": 0, "job": 12, "title": "x", "until": until})
    assert wait_words.sentence(row, now=NOW) == "GPU 0 is leased by job 12."


def test_memory_is_said_in_gib(store: Store) -> None:
    row = queued(store, code="gpu_memory", params={"gpu": 1, "free_mib": 512, "needed_mib": 20480})
    assert wait_words.sentence(row) == "It needs 20.0 GiB of GPU memory; GPU 1 has 0.5 GiB left."


def test_a_job_that_nobody_has_looked_at_yet_says_that_it_starts_soon(store: Store) -> None:
    assert wait_words.sentence(queued(store)) == "It starts as soon as it can."


def test_an_unknown_reason_is_shown_rather_than_hidden(store: Store) -> None:
    assert wait_words.sentence(queued(store, code="moon_phase", params={})) == "It waits: moon_phase."


CPU = {"cpu": 1, "gpus": 0}
GPU = Card(uuid="GPU-a", index=0, total_mib=1000, free_mib=1000)


@pytest.mark.parametrize(
    ("specs", "gpus", "code"),
    [
        ([CPU, CPU], [], "cpu_busy"),
        ([{"cpu": 9}], [], "cpu_never"),
        ([{"cpu": 0, "gpus": 1}], [], "no_gpu"),
        ([{"cpu": 0, "gpus": 2}], [GPU], "gpu_never"),
        ([{"cpu": 0, "gpu_mib": 2000}], [GPU], "gpu_never"),
        ([{"cpu": 0, "gpus": 1}, {"cpu": 0, "gpus": 1}], [GPU], "gpu_leased"),
        ([{"cpu": 0, "gpu_mib": 800}, {"cpu": 0, "gpu_mib": 800}], [GPU], "gpu_memory"),
        ([{"cpu": 0, "gpus": 1}, {"cpu": 0, "gpus": 1}, {"cpu": 0, "gpus": 1}], [GPU], "behind"),
    ],
)
def test_what_the_dispatcher_notes_fills_every_place_of_its_sentence(
    store: Store, specs: list[dict[str, int]], gpus: list[Card], code: str
) -> None:
    rows = [store.submit("drill", spec) for spec in specs]
    waits = plan(rows, [], gpus, cpu_slots=1).waits
    wait = waits[rows[-1].id]
    assert wait["code"] == code
    said = wait_words.sentence(dataclasses.replace(rows[-1], wait=wait))
    assert code not in said
    assert "{" not in said
    assert not [name for _, name, _, _ in string.Formatter().parse(said) if name]


def test_only_what_no_waiting_helps_is_a_warning(store: Store) -> None:
    assert wait_words.hopeless(queued(store, code="no_gpu", params={}))
    assert not wait_words.hopeless(queued(store, code="cpu_busy", params={"slots": 1, "job": 1, "until": None}))
