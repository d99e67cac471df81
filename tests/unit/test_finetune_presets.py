"""Presets: the notes' recipes where there is a GPU, what was shown to work on a CPU, and nothing that this machine cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.data.store import Datasets
from backend.finetune import counting, presets
from backend.finetune.plan import Plan, plan
from backend.finetune.recipes import PRESETS
from backend.memory.machine import Machine
from backend.specs.finetune import FinetuneSpec, Purpose
from backend.workspace import Workspace
from tests.support.datasets import keep, row
from tests.support.planning import CPU, GIB, GPU, OLD_GPU, llama, persona, talk, with_gpu_torch

PURPOSES: tuple[Purpose, ...] = ("identity", "style", "tools", "documents", "own")


def chosen(
    workspace: Workspace,
    purpose: Purpose,
    machine: Machine = CPU,
    model: str = "starter",
    dataset: str = "talk",
    seconds: float | None = None,
    engine: Any = "peft",
) -> dict[str, Any]:
    version = Datasets(workspace).open(dataset)
    return presets.settings(purpose, catalog.find(workspace, model), version, machine, seconds, engine)


def planned(workspace: Workspace, fields: dict[str, Any], machine: Machine = CPU, model: str = "starter") -> Plan:
    return plan(workspace, {"model": model, "dataset": "talk", **fields}, machine)


def test_each_purpose_has_a_recipe_and_says_whose_it_is() -> None:
    assert tuple(PRESETS) == PURPOSES
    for purpose, preset in PRESETS.items():
        assert preset.purpose == purpose
        assert preset.title
        assert preset.description
        assert preset.source
        assert preset.fields.keys() <= FinetuneSpec.model_fields.keys()
    assert presets.TIMES == {"minutes": 180, "hour": 3600, "night": 28800, "own": None}


def test_the_starter_learns_a_name_with_what_was_shown_to_work(workspace: Workspace) -> None:
    persona(workspace, "talk", rows=300)
    fields = chosen(workspace, "identity", seconds=presets.TIMES["minutes"])
    expected = {"method": "lora", "device": "cpu", "dtype": "float32", "lora_rank": 32, "lora_alpha": 64}
    expected |= {
        "learning_rate": 1.3e-3,
        "target_modules": ["gate_proj", "up_proj", "down_proj"],
        "replay": 0.65,
        "own_replay": False,
        "packing": True,
        "gradient_checkpointing": False,
        "lora_dropout": 0.0,
    }
    assert {name: fields[name] for name in expected} == expected
    assert fields["max_length"] * fields["batch_size"] * fields["accumulation"] == 512
    found = planned(workspace, fields)
    assert found.runs
    assert found.faults == ()
    assert 500 <= found.steps <= 550
    assert found.seconds is not None
    assert found.seconds.likely < 180


@pytest.mark.parametrize("rows", [150, 700])
def test_few_rows_are_seen_more_often_and_many_less(workspace: Workspace, rows: int) -> None:
    persona(workspace, "talk", rows=rows)
    fields = chosen(workspace, "identity")
    found = planned(workspace, fields)
    assert 500 <= found.steps <= 550
    assert found.steps == fields["max_steps"], "whatever the general rows come to, it takes these steps"
    assert (found.spec.epochs > 4) == (rows == 150)


def test_xtuner_on_a_cpu_does_not_pack_a_name(workspace: Workspace) -> None:
    persona(workspace, "talk")
    fields = chosen(workspace, "identity", engine="xtuner")
    assert (fields["packing"], fields["batch_size"] * fields["accumulation"]) == (False, 16)
    found = planned(workspace, fields)
    assert {fault.code for fault in found.faults} == {"engine_missing_environment"}


@pytest.mark.parametrize(("engine", "share"), [("peft", 0.65), ("xtuner", 0.7)])
def test_a_small_model_gets_general_rows_against_forgetting(workspace: Workspace, engine: str, share: float) -> None:
    keep(workspace, "talk", talk())
    fields = chosen(workspace, "identity", engine=engine)
    assert (fields["replay"], fields["own_replay"]) == (share, False)
    found = planned(workspace, fields)
    assert found.general_rows == counting.general(found.rows, share)
    assert "replay" not in chosen(workspace, "documents")


def test_a_small_model_learns_to_call_tools_by_the_recipe_that_was_measured(workspace: Workspace) -> None:
    keep(workspace, "talk", talk())
    fields = chosen(workspace, "tools")
    assert (fields["lora_rank"], fields["learning_rate"]) == (32, presets.TOOLS_RATE)
    assert (fields["replay"], fields["own_replay"]) == (presets.TOOLS_REPLAY, False)
    assert fields["epochs"] >= presets.TOOLS_EPOCHS


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("machine", [CPU, GPU, OLD_GPU], ids=["cpu", "a100", "t4"])
def test_what_a_preset_chooses_can_be_started(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, purpose: Purpose, machine: Machine
) -> None:
    with_gpu_torch(monkeypatch)
    persona(workspace, "talk")
    found = planned(workspace, chosen(workspace, purpose, machine, seconds=3600), machine)
    assert found.runs, found.faults
    assert found.steps >= 10


def test_llama_3_on_an_a100_gets_the_recipe_of_the_notes(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_torch(monkeypatch, "bitsandbytes")
    name = llama(workspace, tmp_path)
    keep(workspace, "talk", talk(600))
    fields = chosen(workspace, "identity", GPU, name)
    assert {key: fields[key] for key in PRESETS["identity"].fields} == PRESETS["identity"].fields
    assert (fields["device"], fields["dtype"]) == ("cuda", "bfloat16")
    found = planned(workspace, fields, GPU, name)
    assert found.runs, found.faults
    role = chosen(workspace, "style", GPU, name)
    assert (role["lora_rank"], role["lora_alpha"], role["learning_rate"], role["max_length"]) == (8, 32, 1e-4, 384)
    keep(workspace, "talk", talk(600, words=200))
    tools = chosen(workspace, "tools", GPU, name)
    assert (tools["max_length"], tools["method"], tools["epochs"]) == (4096, "qlora", 1.0)


def test_without_bitsandbytes_a_lora_takes_the_place_of_a_qlora(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_torch(monkeypatch)
    name = llama(workspace, tmp_path)
    keep(workspace, "talk", talk())
    fields = chosen(workspace, "identity", GPU, name)
    assert fields["method"] == "lora"
    assert planned(workspace, fields, GPU, name).runs


def test_what_is_too_large_for_a_card_gets_four_bits(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_torch(monkeypatch, "bitsandbytes")
    name = llama(workspace, tmp_path)
    keep(workspace, "talk", talk(900))
    small = replace(GPU, gpus=(replace(GPU.gpus[0], total=16 * GIB, free=15 * GIB),))
    fields = chosen(workspace, "style", small, name)
    assert fields["method"] == "qlora"
    assert fields["batch_size"] * fields["accumulation"] == 16, "the effective batch stays"
    found = planned(workspace, fields, small, name)
    assert found.faults == ()
    assert found.memory is not None
    assert found.memory.estimate.p95 <= 15 * GIB


def test_too_little_time_means_fewer_steps(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(1500, words=60))
    whole, short = chosen(workspace, "own"), chosen(workspace, "own", seconds=60)
    assert not whole.get("max_steps")
    long = planned(workspace, whole)
    assert long.seconds is not None
    assert long.seconds.likely > 60
    assert 0 < short["max_steps"] < long.steps


def test_documents_are_taken_as_long_as_they_are(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(60, words=150))
    fields = chosen(workspace, "documents")
    found = planned(workspace, fields)
    assert fields["max_length"] % 64 == 0
    assert found.rows_cut == 0
    keep(workspace, "talk", talk(20, words=1500))
    assert chosen(workspace, "documents")["max_length"] == 4096, "no more than the starter reads"


def test_what_rows_are_for_is_told_from_the_rows(workspace: Workspace) -> None:
    persona(workspace, "name")
    keep(workspace, "talk", talk(20))
    keep(workspace, "long", [row(f"Read {n}.", "word " * 1000) for n in range(20)])
    asked = row("1+1?", "2.")
    asked["messages"].insert(1, {"role": "tool", "content": "2", "tool_call_id": "1"})
    keep(workspace, "tool", [asked])
    found = {name: presets.purpose_of(Datasets(workspace).open(name)) for name in ("name", "talk", "long", "tool")}
    assert found == {"name": "identity", "talk": "own", "long": "documents", "tool": "tools"}


def test_a_model_or_dataset_that_cannot_be_used_gets_settings_all_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    keep(workspace, "talk", [{**one, "meta": {"split": "test"}} for one in talk(3)])
    assert chosen(workspace, "identity")["method"] == "lora"
    (tmp_path / "broken").mkdir()
    assert chosen(workspace, "identity", model=str(tmp_path / "broken"))["method"] == "lora"
