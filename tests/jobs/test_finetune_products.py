"""Short products of matrices: only where the processor has units for them, only in a step, and set back whatever happens."""

from __future__ import annotations

import pytest
import torch
from transformers import Trainer

from jobs.finetuning import devices
from jobs.finetuning.devices import Place
from jobs.finetuning.learner import Learner
from jobs.finetuning.loading import Loaded

CPU = Place("cpu", "cpu", torch.float32, torch.float32, False)
LARGE, TOY = torch.nn.Linear(1024, 1024), torch.nn.Linear(8, 8)


@pytest.mark.parametrize("has", [True, False])
def test_only_a_processor_with_the_units_has_them(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": has})
    assert devices.has_short_products(CPU, LARGE) is has


def test_a_processor_that_is_asked_answers() -> None:
    assert isinstance(torch.cpu.get_capabilities()["architecture"], str)
    assert devices.has_short_products(CPU, LARGE) is bool(torch.cpu.get_capabilities().get("amx_bf16"))


def test_a_toy_a_gpu_and_other_numbers_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert devices.has_short_products(CPU, LARGE)
    assert not devices.has_short_products(CPU, TOY), "not worth it"
    assert not devices.has_short_products(Place("cuda", "gpu", torch.float32, torch.float32, False), LARGE)
    assert not devices.has_short_products(Place("cpu", "cpu", torch.bfloat16, torch.float32, False), LARGE)


@pytest.mark.parametrize(("short", "inside"), [(True, "medium"), (False, "highest")])
def test_a_step_has_them_where_the_model_was_loaded_so(
    short: bool, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    monkeypatch.setattr(Trainer, "training_step", lambda *_: found.append(torch.get_float32_matmul_precision()))
    learner = object.__new__(Learner)
    learner.loaded = Loaded(LARGE, frozenset(), True, short)
    learner.training_step(LARGE, {})
    assert (found, torch.get_float32_matmul_precision()) == ([inside], "highest")


def test_they_end_with_the_step_even_where_it_fails() -> None:
    before = torch.get_float32_matmul_precision()
    with devices.products(False):
        assert torch.get_float32_matmul_precision() == before
    with pytest.raises(ValueError, match="a step"):
        _failing()
    assert torch.get_float32_matmul_precision() == before


def _failing() -> None:
    with devices.products(True):
        assert torch.get_float32_matmul_precision() == "medium"
        raise ValueError("a step")
