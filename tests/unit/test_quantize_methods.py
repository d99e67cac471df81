"""Which methods are offered for a model on this machine, why not the others, and what serves the results."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from backend import catalog
from backend.quantize import methods
from backend.quantize.kinds import KINDS, LMDEPLOY
from backend.quantize.methods import choices, servers
from backend.specs.quantize import Method
from backend.workspace import Workspace
from tests.support.planning import CPU, GPU, llama
from tests.support.quantizing import made_up, with_lmdeploy


def test_every_method_of_the_spec_is_a_kind_and_the_others_make_no_copy() -> None:
    assert {one.method for one in KINDS.values() if one.makes_a_copy} == set(get_args(Method))
    assert {one.method for one in KINDS.values() if not one.makes_a_copy} == {"bitsandbytes", "kv"}


def test_those_that_run_here_come_first_and_the_others_say_why(workspace: Workspace) -> None:
    found = choices(catalog.find(workspace, "starter"), CPU)
    assert [one.kind.method for one in found if one.problem is None] == ["gptq", "rtn", "int8", "fp8"]
    assert all(one.served_here and "transformers" in one.served_note for one in found[:4])
    why = {one.kind.method: one.problem for one in found[4:]}
    assert {name: problem.code for name, problem in why.items() if problem} == {
        "awq": "engine_missing_environment",
        "smooth_quant": "quantize_needs_gpu",
        "bitsandbytes": "quantize_makes_no_copy",
        "kv": "quantize_makes_no_copy",
    }
    assert "Deploy" in str(why["kv"].hint if why["kv"] else "")


def test_awq_is_offered_with_lmdeploy_and_says_that_serving_takes_a_gpu(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lmdeploy(monkeypatch, tmp_path / "lmdeploy")
    found = {one.kind.method: one for one in choices(catalog.find(workspace, "starter"), CPU)}
    assert found["awq"].problem is None
    assert not found["awq"].served_here
    assert "NVIDIA GPU" in found["awq"].served_note
    assert list(found)[:5] == ["gptq", "rtn", "int8", "fp8", "awq"]
    with_gpu = {one.kind.method: one for one in choices(catalog.find(workspace, "starter"), GPU)}
    assert with_gpu["smooth_quant"].problem is None


def test_a_model_that_cannot_be_made_smaller_has_the_same_reason_everywhere(
    workspace: Workspace, tmp_path: Path
) -> None:
    packed = catalog.find(workspace, llama(workspace, tmp_path, "awq"))
    assert {one.problem.code for one in choices(packed, CPU) if one.problem} == {"quantize_already"}


def test_llm_compressor_that_is_missing_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        methods.importlib.util, "find_spec", lambda name, *rest: None if name == "llmcompressor" else real(name, *rest)
    )
    found = {one.kind.method: one.problem for one in choices(catalog.find(workspace, "starter"), CPU)}
    assert found["gptq"] is not None
    assert (found["gptq"].code, "llmcompressor" in str(found["gptq"])) == ("quantize_no_engine", True)


@pytest.mark.parametrize(
    ("method", "group", "symmetric", "served"),
    [
        ("gptq", 128, False, True),
        ("gptq", 32, False, True),
        ("gptq", 64, True, False),
        ("gptq", 0, True, False),
        ("rtn", 128, True, True),
        ("awq", 128, False, True),
        ("awq", 64, False, True),
        ("int8", 0, False, False),
        ("fp8", 0, False, False),
        ("smooth_quant", 0, False, True),
    ],
)
def test_what_lmdeploy_serves_follows_its_sources(
    workspace: Workspace, method: str, group: int, symmetric: bool, served: bool
) -> None:
    card = catalog.find(workspace, "starter")
    assert (LMDEPLOY in servers(KINDS[method], card, group, symmetric)) is served


def test_the_largest_usual_group_that_fits_is_told(workspace: Workspace, tmp_path: Path) -> None:
    narrow = catalog.find(workspace, made_up(workspace, tmp_path / "narrow"))
    assert methods.fitting_groups(narrow) == [64, 32]
    assert methods.usual_group(KINDS["gptq"], narrow) == 64
    assert methods.usual_group(KINDS["int8"], narrow) == 0
    assert methods.fitting_groups(catalog.find(workspace, "starter")) == [128, 64, 32]


def test_a_list_for_a_page_takes_no_time(workspace: Workspace) -> None:
    card: Any = catalog.find(workspace, "starter")
    choices(card, CPU)
    began = time.process_time()
    for _round in range(10):
        choices(card, CPU)
    assert time.process_time() - began < 1.0
