"""Threads of a training on a processor: the fewest that are quick, tried without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from jobs.finetuning import devices, thread_count
from jobs.finetuning.devices import Place
from jobs.finetuning.learner import Learner, arguments
from jobs.finetuning.loading import Loaded
from jobs.finetuning.packing import Collate, Joined


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(devices, "threads", lambda: 2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    folder = ROOT / "models" / "starter"
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["up_proj"], lora_dropout=0.5))
    loaded = Loaded(model.eval(), frozenset({"position_ids", "logits_to_keep"}), True)
    ids = np.arange(100, 164)
    row = Joined(ids, np.arange(64), np.where(np.arange(64) < 32, -100, ids))
    spec = FinetuneSpec(model=str(folder), dataset="none", batch_size=2, gradient_checkpointing=False)
    home, place = tmp_path_factory.mktemp("job"), Place("cpu", "cpu", torch.float32, torch.float32, False)
    rows: Any = [row, row, row]
    return Learner(home, loaded, arguments(home, spec, place, 1, 0), rows, None, Collate(0), folder, 1, [])


@pytest.mark.parametrize(
    ("seconds", "chosen", "tried"),
    [
        ({2: 0.5, 1: 0.3}, 1, [2, 1]),
        ({2: 0.3, 1: 0.34}, 1, [2, 1]),
        ({2: 0.3, 1: 0.5}, 2, [2, 1]),
        ({6: 0.3, 3: 0.3, 1: 0.9}, 3, [6, 3, 1]),
        ({8: 0.3, 4: 0.6}, 8, [8, 4]),
        ({8: 3.0, 4: 3.1, 2: 6.0}, 4, [8, 4, 2]),
        ({8: 30.0}, 8, [8]),
        ({1: 0.3}, 1, [1]),
    ],
)
def test_the_fewest_are_taken_of_which_twice_as_many_are_hardly_faster(
    seconds: dict[int, float], chosen: int, tried: list[int]
) -> None:
    found = thread_count.fewest(max(seconds), lambda count: seconds[count])
    assert (found[0], list(found[1])) == (chosen, tried)


def test_one_disturbance_decides_nothing() -> None:
    told = {2: iter([0.3, 5.0, 0.3]), 1: iter([0.6, 0.6, 0.1])}
    assert thread_count.fewest(2, lambda count: next(told[count])) == (2, {2: 0.3, 1: 0.6})


def test_what_takes_long_is_tried_once() -> None:
    told = {2: iter([3.0]), 1: iter([5.0])}
    assert thread_count.fewest(2, lambda count: next(told[count])) == (2, {2: 3.0, 1: 5.0})


def test_it_is_tried_with_the_model_and_nothing_of_it_changes(
    starter: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {name: one.detach().clone() for name, one in starter.loaded.model.named_parameters()}
    monkeypatch.setattr(thread_count, "ONCE_S", 60.0)  # other tests use the cores, too
    monkeypatch.setattr(thread_count, "LONG_S", 60.0)
    passes: list[bool] = []
    hook = starter.loaded.model.register_forward_pre_hook(lambda model, _given: passes.append(model.training))
    torch.manual_seed(7)
    random = torch.random.get_rng_state()
    said: list[str] = []
    chosen = thread_count.choose(starter, said.append)
    hook.remove()
    assert torch.get_num_threads() == chosen
    assert (len(passes), set(passes)) == (1 + 2 * thread_count.TRIES, {True}), "as in a step"
    assert said[0].startswith(f"{chosen} of 2 threads: a batch takes ")
    assert torch.equal(torch.random.get_rng_state(), random)
    assert (starter.seen, starter.state.global_step) == (0, 0)
    assert not starter.loaded.model.training
    assert all(one.grad is None for one in starter.loaded.model.parameters())
    assert all(torch.equal(one, weights[name]) for name, one in starter.loaded.model.named_parameters())


def test_it_is_not_tried_where_a_person_has_said_it(starter: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = torch.get_num_threads()
    assert thread_count.choose(starter, pytest.fail) == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("cores", "numbers"), [(1, 100_000_000), (2, 1_000)])
def test_it_is_not_tried_on_one_core_or_with_a_large_model(
    cores: int, numbers: int, starter: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "threads", lambda: cores)
    monkeypatch.setattr(thread_count, "TRIED", numbers)
    assert thread_count.choose(starter, pytest.fail) == cores


def test_it_is_not_tried_where_memory_is_saved(starter: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter.args, "gradient_checkpointing", True)
    assert thread_count.choose(starter, pytest.fail) == 2


def test_rehearsal_and_training_choose_once_and_a_gpu_never(starter: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Learner] = []
    monkeypatch.setattr(thread_count, "choose", lambda learner, _say: asked.append(learner) or 1)
    places = {kind: Place(kind, kind, torch.float32, torch.float32, False) for kind in ("cuda", "cpu")}
    told: dict[str, Any] = {
        kind: SimpleNamespace(place=place, threads=0, job=SimpleNamespace(log=pytest.fail))
        for kind, place in places.items()
    }
    for kind in ("cuda", "cpu", "cpu"):
        thread_count.settle(told[kind], starter)
    assert asked == [starter]
