"""From people and memory to the settings of a server: what is planned, what it takes, and when it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import ModelCard, card
from backend.deploy import fixes, planning
from backend.deploy.fixes import less_memory
from backend.deploy.planning import GIB, Wish, plan
from backend.engines import ENGINES, crashes
from backend.errors import SpecError
from backend.memory.machine import Gpu, Machine
from backend.workspace import Workspace
from jobs.serving.memory import serving_dtype
from tests.support import models
from ui.deploy import ended as deploy_ended

CPU = Machine(host="test", cores=2, ram_total=8 * GIB, ram_free=4 * GIB, disk_total=None, disk_free=None)
GPU = Machine(
    host="test",
    cores=2,
    ram_total=64 * GIB,
    ram_free=60 * GIB,
    disk_total=None,
    disk_free=None,
    gpus=(Gpu(0, "GPU-0", "test", 24 * GIB, 3 * GIB, 0.0), Gpu(1, "GPU-1", "test", 24 * GIB, 20 * GIB, 0.0)),
)


@pytest.fixture
def starter(workspace: Workspace) -> ModelCard:
    return catalog.find(workspace, "starter")


def wish(found: ModelCard, **how: Any) -> Wish:
    return Wish(found, "transformers", **how)


def test_one_person_gets_the_whole_context_and_one_answer_at_a_time(starter: ModelCard) -> None:
    made = plan(wish(starter), CPU)
    assert made.problem is None
    assert (made.context, made.together, made.on_gpu) == (4096, False, False)
    assert made.options["continuous_batching"] == "off"
    assert "context_length" not in made.options
    assert made.low < made.high < CPU.ram_free
    assert made.budget == CPU.ram_free


def test_many_people_are_answered_together_unless_there_is_no_room_or_somebody_says_otherwise(
    starter: ModelCard,
) -> None:
    many = plan(wish(starter, people=8), CPU)
    assert (many.together, many.options["continuous_batching"]) == (True, "on")
    assert many.term("kv_cache") > plan(wish(starter), CPU).term("kv_cache")
    assert not plan(wish(starter, people=8, memory_gib=0.5), CPU).together
    assert not plan(wish(starter, people=8, more={"continuous_batching": "off"}), CPU).together
    assert plan(wish(starter, people=1, more={"continuous_batching": "on"}), CPU).together


def test_less_memory_makes_conversations_shorter_and_what_comes_out_keeps_within_it(starter: ModelCard) -> None:
    made = plan(wish(starter, memory_gib=0.46), CPU)
    assert made.problem is None
    assert 256 <= made.context < 4096
    assert made.options["context_length"] == made.context
    assert made.high <= 0.46 * GIB
    assert plan(wish(starter, more={"context_length": 512}), CPU).context == 512


def test_too_little_memory_is_refused_with_both_figures(starter: ModelCard) -> None:
    refused = plan(wish(starter, memory_gib=0.2), CPU).problem
    assert refused is not None
    assert refused.code == "serve_memory_too_small"
    assert "needs at least 0.4 GiB, and may take 0.2 GiB" in str(refused)
    promised = plan(wish(starter, memory_gib=16), Machine("test", 2, GIB, GIB // 4, None, None)).problem
    assert promised is not None
    assert promised.code == "not_enough_memory"


def test_a_short_context_of_the_models_own_or_by_choice_is_no_lack_of_memory(
    starter: ModelCard, tmp_path: Path
) -> None:
    short = plan(wish(card(models.folder(tmp_path / "short"))), CPU)
    assert (short.context, short.problem) == (128, None)
    chosen = plan(wish(starter, more={"context_length": 100}), CPU)
    assert (chosen.context, chosen.problem) == (100, None)


def test_all_settings_that_are_wrong_are_named_at_once(starter: ModelCard) -> None:
    made = plan(wish(starter, more={"threads": -1, "max_restarts": 101}), CPU)
    assert isinstance(made.problem, SpecError)
    assert {problem["field"] for problem in made.problem.problems} == {"threads", "max_restarts"}


def test_where_there_are_gpus_the_roomiest_counts(starter: ModelCard) -> None:
    made = plan(wish(starter), GPU)
    assert (made.on_gpu, made.free, made.options["device"]) == (True, 20 * GIB, "cuda")
    back = plan(wish(starter, more={"device": "cpu"}), GPU)
    assert (back.on_gpu, back.free) == (False, GPU.ram_free)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_estimate_widens_numbers_where_the_server_does(tmp_path: Path, dtype: str, device: str) -> None:
    folder = models.folder(tmp_path / "model", width=64, num_key_value_heads=2)
    stored = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}[dtype]
    matrix = {f"model.layers.0.{part}.weight": (stored, [64, 64]) for part in ("q_proj", "v_proj")}
    models.weights(folder / "model.safetensors", {"model.embed_tokens.weight": (stored, [64, 64]), **matrix})
    found = card(folder)
    made = plan(wish(found), GPU if device == "cuda" else CPU)
    times = made.term("weights") / found.size_bytes
    assert times == pytest.approx(2 if serving_dtype(found, device) != dtype else 1, rel=0.03)


def test_lmdeploy_gets_the_memory_as_its_kv_cache(starter: ModelCard) -> None:
    made = plan(Wish(starter, "lmdeploy", people=16, memory_gib=8.0), GPU)
    assert made.options["max_batch_size"] == 16
    assert made.high == pytest.approx(8 * GIB, rel=0.01)
    assert made.options["kv_cache_gib"] == pytest.approx(made.term("kv_cache") / GIB, abs=0.01)
    assert made.high <= 8 * GIB
    free = plan(Wish(starter, "lmdeploy"), GPU)
    assert "kv_cache_gib" not in free.options
    assert free.high < 20 * GIB


def test_a_model_that_no_engine_serves_says_why_and_a_broken_one_what_is_broken(
    starter: ModelCard, tmp_path: Path
) -> None:
    adapter, broken = card(models.adapter(tmp_path / "lora", "starter")), card(tmp_path / "nothing")
    found = planning.refused([starter, adapter, broken])
    assert list(found) == ["lora", "nothing"]
    assert found["lora"].code == "adapter_base_missing"  # a card alone knows no list
    assert found["nothing"] is broken.problem


def test_the_engines_are_those_of_the_catalogue_of_engines(starter: ModelCard) -> None:
    assert list(planning.engines_for(starter)) == list(ENGINES)
    assert planning.engines_for(starter)["transformers"] is None


def test_a_failure_leads_to_the_attempt_that_is_likely_to_do_better(starter: ModelCard) -> None:
    mine = {"model": "m", "name": "n", "engine": "lmdeploy", "tp": 2, "dtype": "float16", "adapters": ["a"]}
    assert fixes.fix("engine_no_cuda", mine, None) == (
        "transformers",
        {"model": "m", "name": "n", "engine": "transformers", "dtype": "float16"},
    )
    assert fixes.fix("engine_adapter_bad", mine, None) == ("no_adapters", {**mine, "adapters": ()})
    found = fixes.fix("engine_out_of_memory", mine, starter)
    assert found is not None
    assert (found[0], found[1]["context_length"]) == ("less_memory", 2048)
    # What would change nothing is not offered.
    assert fixes.fix("engine_parser_unknown", mine, None) is None
    assert fixes.fix("engine_no_cuda", {"engine": "transformers"}, None) is None
    assert fixes.fix("engine_crashed", mine, None) is None


def test_every_failure_that_has_a_fix_exists() -> None:
    known = {reason.code for reason in (*crashes.CAUSES, *crashes.REASONS)}
    asked = {code for codes in fixes.FIXES.values() for code in codes if code.startswith("engine_")}
    assert asked - known - {"engine_killed"} == set()
    assert set(fixes.FIXES) == {"less_memory", "transformers", *fixes.RESETS} == set(deploy_ended.FIXES)


def test_less_memory_halves_what_the_server_had(starter: ModelCard) -> None:
    assert less_memory({}, starter) == {"context_length": 2048, "continuous_batching": "off"}
    assert less_memory({"context_length": 300}, None)["context_length"] == 256
    mine = {"engine": "lmdeploy", "kv_cache_gib": 4.0, "context_length": 8192}
    assert less_memory(mine, starter) == {"context_length": 4096, "kv_cache_gib": 2.0}
    assert less_memory({"engine": "lmdeploy"}, starter)["cache_max_entry_count"] == 0.4
