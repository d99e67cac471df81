"""The ground on a real card: it is seen, leased by UUID, waited for in words, and serves the starter model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backend.memory import machine
from backend.queue.resources import Card, cards
from tests.support.jobs import Queue
from tests.support.server import ServeJob
from tests.support.wait import until


def test_nvml_and_nvidia_smi_tell_the_same_card(card: Card) -> None:
    query = ["nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    uuids = [line.split(", ")[0] for line in lines]
    totals = [int(line.split(", ")[1]) for line in lines]
    assert [c.uuid for c in cards()] == uuids
    assert abs(card.total_mib - totals[0]) <= 1
    assert machine.snapshot().gpu_problem == ""


def test_a_whole_card_is_leased_by_uuid_and_the_next_job_says_who_has_it(queue: Queue, card: Card) -> None:
    count = len(cards())
    first = queue.drill(steps=600, cpu=0, gpus=count)
    queue.step(first.id, 2)
    assert queue.child(first.id).environ()["CUDA_VISIBLE_DEVICES"].split(",")[0].startswith("GPU-")
    second = queue.drill(steps=1, cpu=0, gpus=1)
    wait = until(lambda: queue.store.get(second.id).wait, what="the second job says why it waits")
    assert (wait["code"], wait["params"]["job"]) == ("gpu_leased", first.id)
    queue.store.cancel(first.id)
    queue.reach(second.id, "succeeded")
    assert queue.leases() == []


def test_a_share_larger_than_what_is_free_waits_with_figures(queue: Queue, card: Card) -> None:
    wanted = max(c.free_mib for c in cards()) + 256
    if wanted > card.total_mib:
        pytest.skip("nothing else is on the card: a share can be refused only as too large for ever")
    job = queue.drill(steps=1, cpu=0, gpu_mib=wanted)
    wait = until(lambda: queue.store.get(job.id).wait, what="the job says why it waits")
    assert wait["code"] == "gpu_memory"
    assert wait["params"]["needed_mib"] == wanted
    queue.store.cancel(job.id)


def test_the_starter_model_is_served_on_the_card_and_leaves_nothing_on_it(tmp_path: Path, card: Card) -> None:
    before = card.free_mib
    job = ServeJob(tmp_path / "serve", model="starter", device="cuda")
    try:
        job.ready()
        assert "TuneDeck" in job.client().say("Hello")
        assert cards()[card.index].free_mib < before - 100, "the model is on the card"
    finally:
        job.end()
    until(lambda: cards()[card.index].free_mib >= before - 64, 30, "the card's memory is given back")
