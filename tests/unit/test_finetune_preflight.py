"""What would stop a training late, or make it learn nothing, is told before it is started: one sentence, with a way out."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import Lineage
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.errors import SpecError
from backend.finetune import files, preflight
from backend.finetune.faults import Fault
from backend.finetune.files import Checkpoint
from backend.finetune.plan import Plan, again, plan
from backend.workspace import ROOT, Workspace, write_json
from tests.support import models
from tests.support.datasets import keep, row
from tests.support.planning import CPU, GPU, OLD_GPU, llama, spec, talk, with_gpu_torch
from tests.support.token_models import INST, tokens_only


@pytest.fixture
def talked(workspace: Workspace) -> Workspace:
    keep(workspace, "talk", talk())
    return workspace


def made(workspace: Workspace, **fields: Any) -> Plan:
    return plan(workspace, spec(**fields), CPU)


def fault(found: Plan, code: str) -> Fault:
    """The one with this code."""
    return next(one for one in found.faults if one.code == code)


def codes(found: Plan, *, fatal: bool | None = None) -> list[str]:
    return [one.code for one in found.faults if fatal is None or one.fatal is fatal]


def copied(workspace: Workspace, folder: Path, **config: Any) -> str:
    """The starter's folder copied and changed, on the list."""
    shutil.copytree(ROOT / "models" / "starter", folder)
    if config:
        import json

        whole = json.loads((folder / "config.json").read_text())
        models.write(folder / "config.json", {**whole, **config})
    return catalog.add(workspace, folder).name


def test_a_folder_that_is_no_model_is_named_at_once(talked: Workspace, tmp_path: Path) -> None:
    began = time.process_time()
    found = plan(talked, spec(str(tmp_path / "nowhere")), CPU)
    assert time.process_time() - began < 1
    assert codes(found, fatal=True) == ["model_folder_missing"] or not found.runs
    assert str(tmp_path / "nowhere") in found.faults[0].message
    empty = tmp_path / "empty"
    empty.mkdir()
    assert not plan(talked, spec(str(empty)), CPU).runs


def test_a_model_that_went_after_it_was_chosen_is_told(talked: Workspace, tmp_path: Path) -> None:
    name = copied(talked, tmp_path / "copy")
    assert made(talked, model=name).runs
    shutil.rmtree(tmp_path / "copy")
    assert not made(talked, model=name).runs


def test_an_adapter_is_no_base_and_its_base_is_one_press_away(talked: Workspace, tmp_path: Path) -> None:
    models.adapter(tmp_path / "lora", "starter", shapes=models.lora_shapes())
    catalog.add(talked, tmp_path / "lora")
    found = made(talked, model="lora")
    assert "is an adapter, which is taught together with its base: starter" in fault(found, "finetune_adapter").message
    assert fault(found, "finetune_adapter").ways[0].fields == {"model": "starter"}


def test_a_quantized_model_leads_back_to_what_it_was_made_of(talked: Workspace, tmp_path: Path) -> None:
    name = llama(talked, tmp_path, "awq")
    found = made(talked, model=name)
    assert "quantized with awq" in fault(found, "model_quantized_untrainable").message
    catalog.write_lineage(tmp_path / "llama3-8bawq", Lineage(base="starter"))
    assert fault(made(talked, model=name), "model_quantized_untrainable").ways[0].fields == {"model": "starter"}


def test_a_base_in_4_bits_learns_a_lora_and_nothing_else(
    talked: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_torch(monkeypatch, "bitsandbytes")
    name = llama(talked, tmp_path, "nf4")
    assert plan(talked, spec(name, method="qlora"), GPU).runs
    found = plan(talked, spec(name, method="full"), GPU)
    assert fault(found, "finetune_full_quantized").ways[0].fields == {"method": "lora"}


def test_a_model_that_does_not_write_text_is_refused(talked: Workspace, tmp_path: Path) -> None:
    name = copied(talked, tmp_path / "copy", architectures=["BertForMaskedLM"])
    assert "BertForMaskedLM" in fault(made(talked, model=name), "model_not_generative").message


def test_a_model_without_a_template_is_refused_with_the_page_that_gives_it_one(
    talked: Workspace, tmp_path: Path
) -> None:
    folder = models.folder(tmp_path / "plain")
    tokens_only(folder, None)
    name = catalog.add(talked, folder).name
    found = made(talked, model=name)
    assert "Models page" in fault(found, "finetune_no_template").hint


def test_a_template_other_than_agreed_on_stops_it(talked: Workspace) -> None:
    agreed = made(talked).spec.template
    assert made(talked, template=agreed).runs
    found = fault(made(talked, template="0" * 16), "template_changed")
    assert found.fatal
    assert found.ways[0].fields == {"template": agreed}


def test_rows_that_the_template_refuses_are_counted_or_stop_it(workspace: Workspace, tmp_path: Path) -> None:
    folder = models.folder(tmp_path / "strict", max_position_embeddings=4096)
    tokens_only(folder, INST, bos_token="<s>")
    name = catalog.add(workspace, folder).name
    wrong: Row = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c"},
        ]
    }
    keep(workspace, "talk", [*talk(40), wrong])
    found = fault(made(workspace, model=name), "finetune_template_refuses")
    assert not found.fatal
    assert "1 row, which is left out: row 41" in found.message
    keep(workspace, "talk", [wrong])
    assert fault(made(workspace, model=name), "finetune_template_refuses").fatal


def test_a_dataset_or_version_that_is_gone_is_told(talked: Workspace) -> None:
    assert "'nothing'" in fault(made(talked, dataset="nothing"), "dataset_unknown").message
    found = fault(made(talked, version="abc"), "version_unknown")
    assert (found.field, found.ways[0].fields) == ("version", {"version": ""})


def test_a_run_goes_on_when_its_rows_are_gone_from_the_workspace(talked: Workspace) -> None:
    first = made(talked)
    kept = first.to_dict()
    assert again(talked, kept, CPU).to_dict() == kept
    Datasets(talked).delete("talk")
    later = again(talked, kept, CPU)
    assert (later.rows, later.steps, later.warmup_steps, later.spec) == (
        first.rows, first.steps, first.warmup_steps, first.spec)  # fmt: skip
    kept["spec"]["model"] = "gone"
    with pytest.raises(SpecError, match="There is no model called 'gone'"):
        again(talked, kept, CPU)


def test_a_dataset_without_rows_to_learn_from(workspace: Workspace) -> None:
    keep(workspace, "talk", [{**one, "meta": {"split": "test"}} for one in talk(5)])
    assert "its split 'train' is empty" in fault(made(workspace), "finetune_no_rows").message


def test_a_dataset_without_answers(workspace: Workspace) -> None:
    keep(workspace, "talk", [{"messages": [{"role": "user", "content": f"Hello {n}"}]} for n in range(30)])
    found = made(workspace)
    assert codes(found, fatal=True) == ["finetune_no_answers"]


def test_empty_answers_stop_it_with_the_first_rows_named(workspace: Workspace) -> None:
    keep(workspace, "talk", [*talk(30), row("And now?", " "), row("And then?", "")])
    found = fault(made(workspace), "finetune_empty_answers")
    assert found.fatal
    assert "2 rows have an empty answer" in found.message
    assert "31, 32" in found.message
    assert "doctor" in found.hint
    calling: Row = row("Add 1 and 1", "")
    calling["messages"][1]["tool_calls"] = [
        {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    ]
    keep(workspace, "talk", [*talk(30), calling])
    assert "finetune_empty_answers" not in codes(made(workspace)), "a call is an answer"


def test_rows_of_which_nothing_is_learned_are_told_and_do_not_stop_it(workspace: Workspace) -> None:
    silent = row("What?", "This.")
    silent["messages"][1]["loss"] = False
    keep(workspace, "talk", [*talk(200), silent])
    found = made(workspace)
    assert codes(found) == ["finetune_silent_rows"]
    assert found.runs


def test_one_row_two_thousand_times_is_told(workspace: Workspace) -> None:
    keep(workspace, "talk", [row("Who are you?", "I am Robin.")] * 2001)
    found = fault(made(workspace), "finetune_same_rows")
    assert not found.fatal
    assert "Of 2,001 rows only 1 differs" in found.message


def test_answers_behind_the_cut_are_not_learned(workspace: Workspace) -> None:
    keep(workspace, "talk", [row("word " * 300 + str(n), "Yes.") for n in range(30)])
    found = made(workspace, max_length=64)
    lost = fault(found, "finetune_nothing_learned")
    assert lost.fatal
    assert made(workspace, **lost.ways[0].fields).runs
    assert fault(found, "finetune_rows_cut").ways


def test_few_rows_and_few_steps_are_told_with_what_helps(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(6))
    found = made(workspace, epochs=1, accumulation=4)
    assert {"finetune_few_rows", "finetune_few_steps"} <= set(codes(found, fatal=False))
    assert found.runs
    more = fault(found, "finetune_few_steps").ways[0].fields
    assert made(workspace, accumulation=4, **more).steps >= 10


def test_xtuner_would_die_of_a_warm_up_of_a_single_iteration(talked: Workspace) -> None:
    short = {"engine": "xtuner", "max_steps": 20, "warmup_ratio": 0.05}
    found = made(talked, **short)
    assert found.warmup_steps == 1
    told = fault(found, "finetune_warmup")
    assert told.fatal
    for way in told.ways:
        assert "finetune_warmup" not in codes(made(talked, **{**short, **way.fields})), way.label
    assert "finetune_warmup" not in codes(made(talked, **{**short, "accumulation": 2}))
    assert "finetune_warmup" not in codes(made(talked, **{**short, "engine": "peft"})), "transformers rounds up"


def test_the_only_step_of_a_training_is_none_of_its_warm_up(talked: Workspace) -> None:
    assert made(talked, max_steps=1, warmup_ratio=0.5).warmup_steps == 0
    assert made(talked, max_steps=2, warmup_ratio=0.5).warmup_steps == 1


def test_xtuner_has_to_be_installed_and_peft_is_one_press_away(talked: Workspace) -> None:
    found = made(talked, engine="xtuner")
    missing = fault(found, "engine_missing_environment")
    assert missing.field == "engine"
    assert missing.ways[0].fields["engine"] == "peft"
    assert "type=SupervisedFinetune" in found.config, "its config is shown all the same"
    assert "xtuner.tools.train" in found.command


def test_xtuner_reads_no_results_of_functions(workspace: Workspace) -> None:
    used: Row = {
        "messages": [
            {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
            {"role": "tool", "content": "2", "tool_call_id": "1"},
            {"role": "assistant", "content": "2."},
        ]
    }  # fmt: skip
    keep(workspace, "talk", [*talk(30), used])
    assert "row 31" in fault(made(workspace, engine="xtuner"), "xtuner_role").message
    assert "xtuner_role" not in codes(made(workspace))


def test_rows_longer_than_the_model_reads(talked: Workspace) -> None:
    found = fault(made(talked, max_length=8192), "finetune_context")
    assert "'starter' reads 4,096 tokens at most" in found.message
    assert found.ways[0].fields == {"max_length": 4096}


def test_matrices_that_the_model_has_not_are_told_with_those_that_it_has(talked: Workspace) -> None:
    found = fault(made(talked, target_modules=["q_proj", "wqkv"]), "lora_targets_unknown")
    assert "wqkv" in found.message
    assert "q_proj" in found.hint
    assert found.ways[0].fields == {"target_modules": ["all-linear"]}


def test_without_a_gpu_nothing_that_needs_one_can_be_chosen(talked: Workspace) -> None:
    card = catalog.find(talked, "starter")
    why = preflight.unavailable(talked, card, CPU)
    assert why["device"]["cuda"] == "This machine shows no NVIDIA GPU."
    assert {"bfloat16", "float16"} <= why["dtype"].keys()
    assert "qlora" in why["method"]
    assert len(why["deepspeed"]) == 5
    assert "not installed" in why["engine"]["xtuner"]
    broken = preflight.unavailable(talked, card, replace(CPU, gpu_problem="Driver/library version mismatch"))
    assert "Driver/library version mismatch" in broken["device"]["cuda"]
    for name in why:
        for value in why[name]:
            assert not plan(talked, spec(**{name: value}), CPU).runs, (name, value)


def test_on_a_gpu_only_what_is_missing_is_refused(talked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu_torch(monkeypatch)
    card = catalog.find(talked, "starter")
    assert preflight.unavailable(talked, card, GPU)["method"] == {
        "qlora": "QLoRA needs the package bitsandbytes, which is not installed here."
    }
    assert "dtype" not in preflight.unavailable(talked, card, GPU)
    assert "bfloat16" in preflight.unavailable(talked, card, OLD_GPU)["dtype"]
    assert plan(talked, spec(), OLD_GPU).spec.dtype == "float16"
    assert "Tesla T4" in fault(plan(talked, spec(dtype="bfloat16"), OLD_GPU), "finetune_dtype").message
    assert "2 GPUs were asked for" in fault(plan(talked, spec(gpus=2), GPU), "finetune_gpus").message
    with_gpu_torch(monkeypatch, "bitsandbytes", "deepspeed")
    assert preflight.unavailable(talked, card, GPU).keys() == {"engine"}


def test_several_gpus_are_for_both_engines(talked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu_torch(monkeypatch)
    two = replace(GPU, gpus=(*GPU.gpus, replace(GPU.gpus[0], index=1, uuid="GPU-second")))
    found = plan(talked, spec(gpus=2, batch_size=2, accumulation=4), two)
    assert "finetune_gpus" not in [each.code for each in found.faults]
    assert found.spec.resources().gpus == 2
    alone = plan(talked, spec(gpus=1, batch_size=4, accumulation=4), two)
    assert found.steps == alone.steps


def test_a_torch_for_the_cpu_beside_a_gpu_is_told(talked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.finetune import here

    monkeypatch.setattr(here, "_torch_for_the_cpu", lambda: True)
    found = plan(talked, spec(), GPU)
    assert found.runs
    assert found.spec.device == "cpu"
    assert not fault(found, "engine_torch_cpu").fatal
    assert "built for the CPU" in fault(plan(talked, spec(device="cuda"), GPU), "finetune_no_gpu").message


def checkpoint(workspace: Workspace, settled: dict[str, Any], step: int = 5) -> Path:
    """A checkpoint of a run with this spec."""
    job = workspace.job_dir(7)
    folder = job / files.CHECKPOINTS / files.checkpoint_name(step)
    folder.mkdir(parents=True)
    write_json(job / "spec.json", settled)
    files.write(folder / files.COMPLETE, Checkpoint(step=step, epoch=0.1, created=1.0))
    return folder


def test_beginning_from_a_checkpoint(talked: Workspace) -> None:
    settled = made(talked).spec.model_dump(mode="json")
    folder = str(checkpoint(talked, settled))
    onward = made(talked, start_from=folder)
    assert onward.runs, onward.faults
    assert onward.start_step == 5
    assert made(talked, start_from=folder, start_mode="branch").start_step == 0
    assert onward.seconds is not None
    assert onward.seconds.likely < (made(talked).seconds or onward.seconds).likely
    assert fault(made(talked, start_from=folder + "-gone"), "finetune_start_gone").ways[0].fields == {"start_from": ""}
    done = fault(made(talked, start_from=folder, max_steps=5), "finetune_start_done")
    assert made(talked, start_from=folder, **done.ways[0].fields).runs


def test_a_checkpoint_of_other_settings_names_them(talked: Workspace) -> None:
    settled = made(talked).spec.model_dump(mode="json")
    folder = str(checkpoint(talked, settled))
    rank = fault(made(talked, start_from=folder, lora_rank=4), "finetune_start_other")
    assert "LoRA rank" in rank.message
    assert made(talked, start_from=folder, **rank.ways[0].fields).runs
    order = fault(made(talked, start_from=folder, seed=1), "finetune_start_other")
    assert [way.fields for way in order.ways] == [{"seed": 42}, {"start_mode": "branch"}]
    assert made(talked, start_from=folder, start_mode="branch", seed=1).runs


def test_a_checkpoint_from_before_a_setting_was_there_learned_from_all_rows(talked: Workspace) -> None:
    settled = made(talked).spec.model_dump(mode="json")
    del settled["own_replay"]
    folder = str(checkpoint(talked, settled))
    found = fault(made(talked, start_from=folder, own_replay=False), "finetune_start_other")
    assert found.ways[0].fields == {"own_replay": True}
    assert made(talked, start_from=folder).runs
