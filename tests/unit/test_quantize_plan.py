"""A plan is what the copy will be: size, memory, time, what serves it; nothing that a person chose makes it raise, and it is quick."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import Lineage
from backend.errors import SpecError
from backend.finetune import faults
from backend.memory import planned
from backend.memory.forecast import facts
from backend.quantize import forecast, sizes
from backend.quantize.kinds import KINDS
from backend.quantize.plan import OUT, Plan, checked, plan
from backend.queue.store import Store
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace, write_json
from tests.support import models
from tests.support.datasets import keep, sums
from tests.support.planning import CPU, GIB, GPU, llama, talk, with_gpu_torch
from tests.support.quantizing import NARROW, codes, made, made_up, starter_facts, with_lmdeploy

MIB, JOB = 1 << 20, 90
WIDER = {**NARROW, "vocab_size": 5120, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 6}
WIDER |= {"num_attention_heads": 8, "num_key_value_heads": 8}


def test_a_plan_names_everything_that_a_run_needs(workspace: Workspace) -> None:
    found = made(workspace)
    assert found.runs
    assert found.faults == ()
    settled = found.spec
    assert (settled.method, settled.device, settled.name) == ("gptq", "cpu", "starter gptq 4bit")
    assert len(settled.template) == 16
    assert (found.rows, found.layers, found.engine_environment) == (128, 8, "base")
    assert found.rows < found.row_tokens
    assert found.bytes_after is not None
    assert found.bytes_after.low < found.bytes_after.likely < found.bytes_after.high < found.bytes_before / 2
    assert found.memory is not None
    assert 0 < found.memory.estimate.p50 < found.memory.estimate.p95 < (found.free or 0) == CPU.ram_free
    assert found.seconds is not None
    assert (found.seconds.source, found.seconds.low < found.seconds.likely < found.seconds.high) == ("assumed", True)
    assert found.bytes_after.high < found.disk_bytes < (found.disk_free or 0)
    assert found.served_here == (("transformers", "cpu"),)
    assert ("lmdeploy", "cuda") in found.served_by
    assert Path(found.out_folder).name == OUT
    assert found.command[1:] == ("-m", "jobs.quantize", "SPEC.json")


def test_it_is_whole_as_json_and_plans_the_same_again(workspace: Workspace) -> None:
    first = made(workspace, samples=16)
    kept = json.loads(json.dumps(first.to_dict()))
    assert kept["runs"] is True
    assert kept["memory"]["p95"] > kept["memory"]["p50"]
    assert (kept["calibration"]["asked"], kept["calibration"]["source"]) == (16, "bundled")
    assert "rows" not in kept["calibration"], "the texts are kept elsewhere"
    assert kept["bytes_after"]["likely"] == first.bytes_after.likely if first.bytes_after else False
    again = plan(workspace, QuantizeSpec.model_validate(kept["spec"]), CPU)
    assert again.spec == first.spec
    assert again.to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("fields", "real"),
    [
        ({"method": "gptq", "symmetric": True}, 5_354_272),
        ({"method": "rtn", "symmetric": False}, 5_381_120),
        ({"method": "gptq", "symmetric": False, "group_size": 64}, 5_483_520),
        ({"method": "int8"}, 7_923_912),
        ({"method": "fp8"}, 7_924_192),
        ({"method": "awq"}, 5_373_432),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_sizes_are_those_of_real_copies_of_the_starter(workspace: Workspace, fields: dict[str, Any], real: int) -> None:
    """``real``: bytes of the files that llm-compressor 0.14.0.1 and LMDeploy 0.18 wrote."""
    found = made(workspace, **fields).bytes_after
    assert found is not None
    assert found.likely == pytest.approx(real, rel=0.003)
    assert found.low < real < found.high


def test_sizes_of_a_wider_model_with_a_head_of_its_own() -> None:
    """60,753,608 and 98,208,712 bytes were written by llm-compressor for random weights of this config."""
    known = facts.from_config(WIDER)
    spec = QuantizeSpec(model="m", method="rtn", symmetric=True)
    assert sizes.after(known, KINDS["rtn"], spec).likely == pytest.approx(60_753_608, rel=0.003)
    assert sizes.after(known, KINDS["fp8"], spec).likely == pytest.approx(98_208_712, rel=0.003)


@pytest.mark.parametrize(
    ("method", "rows", "tokens", "wide", "peak"),
    [
        ("gptq", 0, 4_096, False, 519),
        ("gptq", 0, 65_536, False, 677),
        ("rtn", 0, 0, False, 496),
        ("int8", 0, 4_096, False, 522),
        ("fp8", 0, 0, False, 492),
        ("awq", 0, 0, False, 407),
        ("awq", 0, 8_192, False, 551),
        ("gptq", 0, 4_096, True, 871),
        ("rtn", 0, 0, True, 689),
        ("fp8", 0, 0, True, 730),
        ("gptq", 16, 1_444, False, 624 - JOB),
        ("gptq", 128, 12_905, False, 812 - JOB),
        ("rtn", 0, 0, False, 554 - JOB),
    ],
)
def test_memory_is_that_of_real_runs_on_the_cpu(
    workspace: Workspace, method: str, rows: int, tokens: int, wide: bool, peak: int
) -> None:
    """peak: MiB that the engine alone had at most, with the starter or the wider model above; of the last three a whole job. rows: of
    different lengths."""
    known = facts.from_config(WIDER) if wide else starter_facts(workspace)
    spec = QuantizeSpec.model_validate({"model": "m", "method": method, "device": "cpu"})
    found = forecast.memory(known, KINDS[method], spec, rows, tokens).estimate
    assert 0.9 * found.p50 < (peak + JOB) * MIB < found.p95


def test_llama_3_becomes_what_the_course_notes_say(workspace: Workspace, tmp_path: Path) -> None:
    """15 GB on the disk became 5.5 GB (AWQ, groups of 128), input table and head left as they were."""
    known = facts.from_card(catalog.find(workspace, llama(workspace, tmp_path)))
    found = sizes.after(known, KINDS["awq"], QuantizeSpec(model="m", method="awq"))
    assert 5.4e9 < found.likely < 6.0e9


def test_it_answers_at_once(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(2000))
    made(workspace, method="rtn")  # what is loaded once
    began = time.process_time()
    made(workspace, calibration="dataset", dataset="talk", samples=512)
    middle = time.process_time()
    made(workspace, calibration="dataset", dataset="talk", samples=512, group_size=64)
    assert middle - began < 1.0
    assert time.process_time() - middle < 0.25


def test_every_fault_is_told_at_once_and_nothing_raises(workspace: Workspace) -> None:
    wrong = {"model": "nobody", "samples": 0, "sample_tokens": "long", "group_size": -1, "method": "magic"}
    found = plan(workspace, {**wrong, "unknown": 1, "name": "a/b", "calibration": "dataset"}, CPU)
    assert not found.runs
    assert codes(found) >= {
        ("model_unknown", "model"),
        ("quantize_setting_bad", "samples"),
        ("quantize_setting_bad", "sample_tokens"),
        ("quantize_setting_bad", "group_size"),
        ("quantize_setting_bad", "method"),
        ("quantize_setting_unknown", "unknown"),
        ("quantize_no_dataset", "dataset"),
        ("model_name_bad", "name"),
    }
    assert all(fault.message.endswith(".") for fault in found.faults)


@pytest.mark.parametrize("data", [{}, {"model": ""}, {"model": 3, "method": []}, {"model": "starter", "samples": None}])
def test_a_spec_with_nothing_in_it_is_a_plan_with_faults(workspace: Workspace, data: dict[str, Any]) -> None:
    found = plan(workspace, data, CPU)
    assert not found.runs
    json.dumps(found.to_dict())


def test_groups_that_do_not_come_out_even_name_the_layers_and_what_fits(workspace: Workspace, tmp_path: Path) -> None:
    name = made_up(workspace, tmp_path / "narrow")
    found = made(workspace, model=name, samples=4)
    assert codes(found) == {("quantize_group", "group_size")}
    for part in ("Groups of 128 weights", "k_proj", "(192)", "down_proj (320)"):
        assert part in found.faults[0].message
    ways = [way.fields["group_size"] for way in found.faults[0].ways]
    assert ways == [64, 32, 16, 0]
    for size in ways:
        again = made(workspace, model=name, samples=4, group_size=size)
        assert again.runs, size
    assert made(workspace, model=name, method="int8", samples=4).faults == (), "8 bits have one scale a row"


def test_a_group_that_lmdeploy_does_not_serve_is_said_and_does_not_stop_it(workspace: Workspace) -> None:
    found = made(workspace, group_size=64)
    assert found.runs
    assert codes(found) == {("quantize_group_unserved", "group_size")}
    assert {way.fields["group_size"] for way in found.faults[0].ways} == {128, 32}
    assert ("lmdeploy", "cuda") not in found.served_by
    assert ("transformers", "cpu") in found.served_here


def test_a_quantized_model_is_refused_and_its_base_offered(workspace: Workspace, tmp_path: Path) -> None:
    copy = llama(workspace, tmp_path, "awq")
    assert codes(made(workspace, model=copy)) == {("quantize_already", "model")}
    folder = catalog.find(workspace, copy).path
    catalog.write_lineage(folder, Lineage(verb="quantize", base="starter"))
    fault = made(workspace, model=copy).faults[0]
    assert "awq 4 bit" in fault.message
    assert [way.fields for way in fault.ways] == [{"model": "starter"}]


def test_an_adapter_is_to_be_merged_first(workspace: Workspace, tmp_path: Path) -> None:
    models.adapter(tmp_path / "lora", "starter", shapes=models.lora_shapes())
    fault = made(workspace, model=catalog.add(workspace, tmp_path / "lora").name).faults[0]
    assert (fault.code, fault.field) == ("quantize_adapter", "model")
    assert "Merge it" in fault.hint


def test_kinds_that_an_engine_does_not_know_are_told_with_another_method(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lmdeploy(monkeypatch, tmp_path / "lmdeploy")
    gemma = made_up(workspace, tmp_path / "gemma", architectures=["Gemma2ForCausalLM"], model_type="gemma2")
    fault = made(workspace, model=gemma, method="awq", group_size=64).faults[0]
    assert (fault.code, "Gemma2ForCausalLM" in fault.message) == ("quantize_architecture", True)
    assert [way.fields["method"] for way in fault.ways] == ["gptq", "rtn"]
    old = made_up(workspace, tmp_path / "old", architectures=["GPT2LMHeadModel"], model_type="gpt2")
    assert ("quantize_architecture", "method") in codes(made(workspace, model=old))
    judge = made_up(workspace, tmp_path / "judge", architectures=["BertForSequenceClassification"], model_type="bert")
    assert codes(made(workspace, model=judge)) == {("model_not_generative", "model")}


def test_awq_runs_with_lmdeploy_and_shows_its_command(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = made(workspace, method="awq").faults[0]
    assert (fault.code, fault.field) == ("engine_missing_environment", "method")
    assert fault.ways[0].fields == {"method": "gptq"}
    with_lmdeploy(monkeypatch, tmp_path / "lmdeploy")
    found = made(workspace, method="awq", samples=32)
    assert found.runs
    assert (found.engine_environment, found.served_by, found.served_here) == ("lmdeploy", (("lmdeploy", "cuda"),), ())
    assert found.command[1:5] == ("-m", "lmdeploy", "lite", "auto_awq")
    assert {f"--work-dir={found.out_folder}", "--device=cpu", "--calib-samples=32"} <= set(found.command)
    assert "--calib-samples=0" in made(workspace, method="awq", calibration="none").command
    wrong = made(workspace, method="awq", symmetric=True, group_size=0)
    assert codes(wrong) == {("quantize_awq_symmetric", "symmetric"), ("quantize_group", "group_size")}


def test_smooth_quant_takes_a_gpu_and_fp8_and_rtn_take_no_rows(workspace: Workspace) -> None:
    fault = made(workspace, method="smooth_quant").faults[0]
    assert (fault.code, [way.fields["method"] for way in fault.ways]) == ("quantize_needs_gpu", ["int8", "fp8"])
    found = made(workspace, method="fp8", group_size=32, symmetric=True, calibration="dataset", dataset="gone")
    assert found.faults == ()
    settled = found.spec
    assert (settled.calibration, settled.dataset, settled.group_size, settled.symmetric) == ("none", "", 0, False)
    needs = made(workspace, calibration="none")
    assert codes(needs) == {("quantize_needs_rows", "calibration")}
    for way in needs.faults[0].ways:
        assert made(workspace, **{"calibration": "none", **way.fields}).runs, way.label
    assert made(workspace, method="int8", calibration="none").runs


def test_rows_that_are_too_few_too_long_or_refused_are_told_with_what_mends_it(workspace: Workspace) -> None:
    pictured = [{"messages": [{"role": "user", "content": "<image>", "images": ["a.png"]}, {"role": "assistant", "content": "A"}]}]  # fmt: skip
    held = [{**row, "meta": {"split": "test"}} for row in sums(30)]
    keep(workspace, "small", [*talk(40, words=30), *pictured, *held])  # type: ignore[list-item]
    few = made(workspace, calibration="dataset", dataset="small", samples=60)
    assert codes(few) == {("quantize_few_rows", "samples"), ("quantize_rows_refused", "dataset")}
    fault = next(one for one in few.faults if one.fatal)
    assert "60 rows were asked for, and 'small' has 40" in fault.message
    assert fault.ways[0].fields == {"samples": 40}
    for way in fault.ways:
        again = {"calibration": "dataset", "dataset": "small", "samples": 60, **way.fields}
        assert made(workspace, **again).runs, way.label
    cut = made(workspace, calibration="dataset", dataset="small", samples=20, sample_tokens=16)
    assert cut.runs
    longer = next(one for one in cut.faults if one.code == "quantize_rows_cut")
    assert longer.message.startswith("20 rows are longer than 16 tokens")
    assert not made(
        workspace, calibration="dataset", dataset="small", samples=20, **longer.ways[0].fields
    ).calibrated.cut  # type: ignore[union-attr]
    assert codes(made(workspace, samples=2, sample_tokens=8000)) >= {("quantize_context", "sample_tokens")}
    bundled = made(workspace, samples=4000)
    assert bundled.faults[0].code == "quantize_few_rows"
    assert made(workspace, **bundled.faults[0].ways[0].fields).runs


def test_fewer_tokens_than_the_widest_layer_are_said(workspace: Workspace) -> None:
    found = made(workspace, samples=3)
    assert found.runs
    assert codes(found) == {("quantize_few_tokens", "samples")}
    assert made(workspace, samples=3, method="rtn").faults == ()
    assert made(workspace, **found.faults[0].ways[0].fields).faults == ()


def test_a_dataset_or_version_that_is_gone_is_a_fault(workspace: Workspace) -> None:
    keep(workspace, "small", sums(10))
    assert ("dataset_unknown", "dataset") in codes(made(workspace, calibration="dataset", dataset="gone"))
    wrong = made(workspace, calibration="dataset", dataset="small", version="fff")
    assert ("version_unknown", "version") in codes(wrong)
    assert len(made(workspace, calibration="dataset", dataset="small", samples=10).spec.version) == 12


def test_a_changed_template_and_a_name_that_is_taken_are_told(workspace: Workspace) -> None:
    found = made(workspace, template="0" * 16, name="starter")
    assert codes(found) == {("template_changed", "template"), ("quantize_name_taken", "name")}
    ways = {fault.field: fault.ways[0].fields for fault in found.faults}
    assert made(workspace, **(ways["template"] | ways["name"])).faults == ()
    assert ways["name"] == {"name": "starter-2"}


def test_too_little_memory_offers_what_fits(workspace: Workspace) -> None:
    need = made(workspace, samples=256, sample_tokens=512).memory
    assert need is not None
    small = replace(CPU, ram_free=int(need.estimate.p50) - 1)
    found = plan(workspace, {"model": "starter", "samples": 256}, small)
    assert codes(found) == {("quantize_no_memory", "samples")}
    tight = replace(CPU, ram_free=int(need.estimate.p50) + 1)
    assert codes(plan(workspace, {"model": "starter", "samples": 256}, tight)) == {("quantize_tight_memory", "samples")}
    roomy = replace(CPU, ram_free=int(need.estimate.p95 * 0.97))
    ways = plan(workspace, {"model": "starter", "samples": 256}, roomy).faults[0].ways
    assert {next(iter(way.fields)) for way in ways} >= {"samples"}
    for way in ways:
        assert plan(workspace, {"model": "starter", "samples": 256, **way.fields}, roomy).runs, way.label


def test_too_little_disk_is_told_before_it_is_full(workspace: Workspace, tmp_path: Path) -> None:
    name = llama(workspace, tmp_path)
    small = replace(CPU, disk_free=7 * GIB, ram_free=64 * GIB)
    wide = plan(workspace, {"model": name, "method": "int8", "calibration": "none"}, small)
    fault = next(one for one in wide.faults if one.code == "quantize_no_disk")
    assert "7.0 GiB are free" in fault.message
    assert fault.ways[0].fields == {"method": "gptq"}
    again = plan(workspace, {"model": name, "method": "gptq"}, small)
    assert "quantize_no_disk" not in {one.code for one in again.faults}


def test_it_computes_on_a_gpu_where_there_is_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert codes(made(workspace, device="cuda")) == {("quantize_no_gpu", "device")}
    with_gpu_torch(monkeypatch)
    found = plan(workspace, {"model": "starter"}, GPU)
    assert found.spec.device == "cuda"
    assert found.memory is not None
    assert found.memory.kind == "cuda"
    assert found.free is not None
    assert found.free <= 39 * GIB
    assert found.seconds is not None
    on_cpu = made(workspace).seconds
    assert on_cpu is not None
    assert found.seconds.likely < on_cpu.likely


def test_time_grows_with_rows_and_is_that_of_an_earlier_run_where_there_was_one(
    workspace: Workspace, store: Store
) -> None:
    def likely(found: Plan) -> float:
        assert found.seconds is not None
        return found.seconds.likely

    assert likely(made(workspace, samples=256)) > likely(made(workspace, samples=64)) > likely(made(workspace, method="rtn"))  # fmt: skip
    spec = made(workspace, samples=64).spec
    row = store.submit("quantize", spec.model_dump(mode="json"))
    write_json(store.job_dir(row.id) / "result.json", {"ok": True, "seconds": 42.5})
    found = made(workspace, samples=64).seconds
    assert found is not None
    assert (found.source, found.likely) == ("earlier", 42.5)
    other = made(workspace, samples=65).seconds
    assert other is not None
    assert other.source == "assumed"


def test_the_job_has_the_forecast_that_the_plan_shows(workspace: Workspace) -> None:
    found = planned.of_job(workspace, "quantize", {"model": "starter", "samples": 32}, CPU)
    assert found is not None
    assert found == made(workspace, samples=32).foreseen
    known = starter_facts(workspace)
    more = forecast.memory(known, KINDS["gptq"], QuantizeSpec(model="starter", device="cpu"), 32, 65_536)
    assert more.estimate.p50 > found.estimate.p50
    assert planned.of_job(workspace, "quantize", {"model": "nobody"}, CPU) is None


def test_what_cannot_be_started_is_refused_with_all_of_it(workspace: Workspace) -> None:
    spec = QuantizeSpec(model="starter", group_size=96, calibration="none", device="cuda")
    with pytest.raises(SpecError) as refused:
        checked(workspace, spec, CPU)
    assert refused.value.code == "quantize_refused"
    assert {one["field"] for one in refused.value.problems} == {"group_size", "calibration", "device"}
    assert "Groups of 96" in str(refused.value)
    assert checked(workspace, QuantizeSpec(model="starter"), CPU).runs


def test_faults_that_are_kept_read_in_the_language_of_whoever_looks_later(workspace: Workspace) -> None:
    kept = json.loads(json.dumps(made(workspace, group_size=96, method="gptq").to_dict()))
    read = faults.kept(kept["faults"])
    assert [one.sentence() for one in read] == [one.sentence() for one in made(workspace, group_size=96).faults]
    assert kept["faults"][0]["said"]["message"]["params"]["size"] == 96
