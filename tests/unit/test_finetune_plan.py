"""A plan is what the training will be: steps, memory, disk, time; nothing that a person chose makes it raise, and it is quick."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.data.tokens import plan as tokens_plan
from backend.data.tokens.plan import Wish
from backend.errors import SpecError
from backend.finetune import counting, fitting, preflight_ends, rows
from backend.finetune.plan import Plan, checked, plan
from backend.memory import planned, trust
from backend.queue.store import Store
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace
from tests.support.datasets import keep, sums
from tests.support.planning import CPU, GIB, GPU, llama, persona, spec, talk, with_gpu_torch


@pytest.fixture
def talked(workspace: Workspace) -> Workspace:
    """A workspace with a dataset of 200 rows."""
    keep(workspace, "talk", talk())
    return workspace


def made(workspace: Workspace, **fields: Any) -> Plan:
    return plan(workspace, spec(**fields), CPU)


def test_a_plan_names_everything_that_a_run_needs(talked: Workspace) -> None:
    found = made(talked)
    assert found.runs
    assert found.faults == ()
    settled = found.spec
    assert (settled.device, settled.dtype, settled.name) == ("cpu", "float32", "starter talk")
    assert len(settled.version) == 12
    assert len(settled.template) == 16
    assert (found.rows, found.validation_rows) == (190, 10)
    assert found.exact
    assert found.steps == 3 * found.steps_per_epoch == 3 * math.ceil(found.packed_rows / 2)
    assert settled.eval_every == settled.save_every == settled.sample_every == math.ceil(found.steps / 10)
    assert found.effective_batch == 2
    assert found.memory is not None
    assert 0 < found.memory.low <= found.memory.estimate.p50 < (found.free or 0) == CPU.ram_free
    assert found.seconds is not None
    assert found.seconds.low < found.seconds.likely < found.seconds.high
    assert found.seconds.source == "assumed"
    assert found.disk_bytes > found.result_bytes > found.checkpoint_bytes > 0
    assert found.command[1:] == ("-m", "jobs.finetune", "SPEC.json")
    assert any("10 held-out rows" in sentence for sentence in found.evaluated)


def test_it_is_whole_as_json(talked: Workspace) -> None:
    found = json.loads(json.dumps(made(talked, warmup_ratio=0.5).to_dict()))
    assert found["runs"] is True
    assert found["spec"]["dataset"] == "talk"
    assert found["memory"]["p95"] > found["memory"]["p50"]
    assert found["train_plan"]["batch"] == 2
    assert json.loads(found["config"])["lora"]["target_modules"] == "all-linear"
    assert FinetuneSpec.model_validate(found["spec"]).template


def test_what_a_plan_settled_is_planned_the_same_again(talked: Workspace) -> None:
    first = made(talked)
    again = plan(talked, first.spec, CPU)
    assert again.spec == first.spec
    assert again.to_dict() == first.to_dict()


def test_validation_rows_of_the_dataset_are_taken_before_any_is_held_out(workspace: Workspace) -> None:
    parts = ["train"] * 30 + ["validation"] * 6 + ["test"] * 4
    split = [{**row, "meta": {"split": part}} for row, part in zip(sums(40), parts, strict=True)]
    keep(workspace, "talk", split)  # type: ignore[arg-type]
    found = made(workspace)
    assert (found.rows, found.validation_rows, found.test_rows) == (30, 6, 4)
    assert any("asked 4 questions" in sentence for sentence in found.evaluated)
    assert made(workspace, validation_share=0).validation_rows == 6


def test_held_out_rows_are_never_none_and_never_all() -> None:
    assert [counting.held_out(n, 0, 0.05) for n in (0, 1, 2, 10, 100)] == [0, 0, 1, 1, 5]
    assert counting.held_out(2, 0, 0.5) == 1
    assert counting.held_out(100, 7, 0.05) == counting.held_out(100, 0, 0.0) == 0


def test_general_rows_are_the_part_that_was_asked_for(talked: Workspace) -> None:
    found = made(talked, replay=0.5)
    assert found.general_rows == found.rows
    assert found.steps > made(talked).steps


def test_steps_follow_from_epochs_and_from_the_most_that_was_asked_for(talked: Workspace) -> None:
    one = made(talked, epochs=1)
    assert made(talked, epochs=0.5).steps == math.ceil(one.steps_per_epoch / 2)
    assert made(talked, epochs=2.5).steps == math.ceil(one.steps_per_epoch * 2.5)
    assert made(talked, max_steps=7).steps == 7
    assert made(talked, max_steps=10_000).steps == made(talked).steps
    assert made(talked, epochs=1, accumulation=2).effective_batch == 4


def test_rows_are_packed_whole_and_cut_at_the_limit(talked: Workspace) -> None:
    loose = made(talked, packing=False)
    assert loose.packed_rows == loose.rows
    assert made(talked).packed_rows < loose.rows
    short = made(talked, max_length=16)
    assert short.rows_cut == short.rows
    assert short.tokens == 16 * short.rows


def test_rows_longer_than_the_limit_are_counted_once_when_they_are_packed() -> None:
    lengths = Counter(dict.fromkeys(range(100, 200), 1))
    found = tokens_plan.forecast(lengths, Wish(engine="peft", max_length=100, epochs=1))
    assert found.packed_rows == 100
    assert tokens_plan.forecast(Counter({40: 5, 30: 2}), Wish(engine="peft", max_length=100, epochs=1)).packed_rows == 3


def test_it_answers_at_once_for_two_thousand_rows(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(2000))
    wished = spec()
    plan(workspace, spec(dataset="none"), CPU)  # what is loaded once
    began = time.process_time()
    first = plan(workspace, wished, CPU)
    middle = time.process_time()
    plan(workspace, {**wished, "lora_rank": 8}, CPU)
    assert first.exact
    assert middle - began < 1.0
    assert time.process_time() - middle < 0.25


def test_long_rows_are_sampled_and_the_plan_says_so(workspace: Workspace) -> None:
    keep(workspace, "talk", talk(1200, words=400))
    found = made(workspace)
    assert not found.exact
    assert found.rows == 1140
    assert found.rows_cut == pytest.approx(1140, abs=1)


def test_rows_that_a_job_counted_are_taken_from_its_file(workspace: Workspace) -> None:
    from backend.data.store import Datasets
    from backend.data.tokens import histogram, open_listed

    keep(workspace, "talk", talk(900, words=80))
    version, model = Datasets(workspace).open("talk"), open_listed(workspace, "starter")
    assert not rows.lengths(model, version).exact
    histogram.write(model, version, histogram.sample(model, version, rows=2000), "starter")
    assert made(workspace).exact


def test_every_fault_is_told_at_once_and_nothing_raises(workspace: Workspace) -> None:
    wrong = spec(
        "starter ",
        "nothing",
        lora_rank=0,
        learning_rate="fast",
        method="magic",
        unknown=1,
        gpus=3,
        epochs=-1,
        name="a/b",
    )
    found = plan(workspace, wrong, CPU)
    assert not found.runs
    told = {(fault.code, fault.field) for fault in found.faults}
    assert told >= {
        ("finetune_setting_bad", "lora_rank"),
        ("finetune_setting_bad", "learning_rate"),
        ("finetune_setting_bad", "method"),
        ("finetune_setting_bad", "epochs"),
        ("finetune_setting_unknown", "unknown"),
        ("finetune_gpus", "gpus"),
        ("dataset_unknown", "dataset"),
        ("model_name_bad", "name"),
    }
    assert all(fault.message.endswith((".", ")", "…")) for fault in found.faults)


@pytest.mark.parametrize(
    "data", [{}, {"model": ""}, {"model": "starter"}, {"dataset": "talk"}, {"model": 3, "dataset": []}]
)
def test_a_spec_with_nothing_in_it_is_a_plan_with_faults(talked: Workspace, data: dict[str, Any]) -> None:
    found = plan(talked, data, CPU)
    assert not found.runs
    assert {fault.field for fault in found.faults if fault.fatal} <= {"model", "dataset"}
    json.dumps(found.to_dict())


def test_each_way_mends_its_fault(talked: Workspace) -> None:
    wrong = spec(lora_rank=0, gpus=3, method="qlora", dtype="bfloat16", deepspeed="zero2", max_length=100_000)
    seen = plan(talked, wrong, CPU)
    assert len(seen.faults) >= 6
    for fault in seen.faults:
        assert fault.ways, fault.code
        for way in fault.ways:
            after = plan(talked, {**wrong, **way.fields}, CPU)
            assert (fault.code, fault.field) not in {(one.code, one.field) for one in after.faults}
    mended = dict(wrong)
    for fault in seen.faults:
        mended |= fault.ways[0].fields
    assert plan(talked, mended, CPU).runs


def test_checked_refuses_with_all_of_it_in_one_message(talked: Workspace) -> None:
    assert checked(talked, FinetuneSpec(**spec()), CPU).runs
    with pytest.raises(SpecError) as refused:
        checked(talked, FinetuneSpec(**spec(gpus=3, method="qlora")), CPU)
    assert refused.value.code == "finetune_refused"
    assert {problem["field"] for problem in refused.value.problems} == {"gpus", "method"}
    assert "3 GPUs were asked for" in str(refused.value)
    assert "QLoRA needs an NVIDIA GPU" in str(refused.value)


def test_what_does_not_fit_is_refused_with_settings_that_do(talked: Workspace) -> None:
    small = replace(CPU, ram_free=int(0.9 * GIB))
    wrong = spec(max_length=4096, batch_size=16, gradient_checkpointing=False)
    found = plan(talked, wrong, small)
    fault = next(one for one in found.faults if one.code == "finetune_no_memory")
    assert fault.fatal
    assert "main memory" in fault.message
    assert fault.ways
    for way in fault.ways:
        after = plan(talked, {**wrong, **way.fields}, small)
        assert after.runs, way.label
        assert way.bytes is not None
        assert way.bytes <= small.ram_free
    batched = next(way for way in fault.ways if "batch_size" in way.fields)
    assert batched.fields["batch_size"] * batched.fields["accumulation"] == 16


def test_what_may_not_fit_is_said_and_can_be_started(talked: Workspace) -> None:
    found = made(talked)
    assert found.memory is not None
    between = (found.memory.estimate.p50 + found.memory.estimate.p95) // 2
    tight = plan(talked, spec(), replace(CPU, ram_free=int(between)))
    assert [fault.code for fault in tight.faults] == ["finetune_tight_memory"]
    assert tight.runs


def test_what_fits_is_offered_the_largest_that_still_does(talked: Workspace) -> None:
    found = made(talked, accumulation=8)
    ways = fitting.ways(found, CPU.ram_free)
    larger = next(way for way in ways if "batch_size" in way.fields)
    assert larger.fields == {"batch_size": 16, "accumulation": 1}
    assert plan(talked, {**found.spec.model_dump(), **larger.fields}, CPU).runs
    longest = next(way for way in ways if "max_length" in way.fields)
    assert longest.fields["max_length"] == 4096, "no longer than the model reads"


def test_no_room_for_checkpoints_is_told_before_they_are_written(talked: Workspace) -> None:
    wrong = spec(keep=1000)
    found = plan(talked, wrong, replace(CPU, disk_free=200 << 20))
    fault = next(one for one in found.faults if one.code == "finetune_no_disk")
    assert fault.fatal
    assert plan(talked, {**wrong, **fault.ways[0].fields}, replace(CPU, disk_free=200 << 20)).runs


def test_a_name_that_is_taken_gives_way(talked: Workspace) -> None:
    found = made(talked, name="starter")
    fault = found.faults[0]
    assert (fault.code, fault.fatal) == ("finetune_name_taken", False)
    assert fault.ways[0].fields == {"name": "starter-2"}


def test_the_queue_foresees_a_job_exactly_as_the_plan_shows_it(talked: Workspace, store: Store) -> None:
    found = made(talked)
    foreseen = planned.of_job(talked, "finetune", found.spec.model_dump(mode="json"), CPU)
    assert foreseen is not None
    assert found.memory is not None
    assert foreseen.estimate == found.memory.estimate
    job = store.submit("rehearse", found.spec.model_dump(mode="json"))
    kept = trust.read(store.job_dir(job.id))
    assert kept is not None
    assert (kept.verb, kept.engine, kept.kind, kept.p50) == ("rehearse", "peft", "cpu", found.memory.estimate.p50)
    assert {part.name for part in kept.parts} >= {"weights", "adapter", "optimizer", "activations"}
    bad = planned.of_job(talked, "finetune", {**found.spec.model_dump(), "model": "gone"}, CPU)
    assert bad is None


def test_a_training_of_llama_3_on_an_a100(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_torch(monkeypatch, "bitsandbytes")
    name = llama(workspace, tmp_path)
    persona(workspace)
    wished = spec(name, "My persona", method="qlora", batch_size=1, accumulation=16)
    found = plan(workspace, wished, GPU)
    assert found.runs, found.faults
    assert (found.spec.device, found.spec.dtype) == ("cuda", "bfloat16")
    assert found.memory is not None
    assert found.memory.kind == "cuda"
    assert 7 * GIB < found.memory.estimate.p50 < 14 * GIB
    assert found.free == 39 * GIB
    assert found.spec.resources().gpus == 1
    whole = plan(workspace, {**wished, "method": "full"}, GPU)
    fault = next(one for one in whole.faults if one.code == "finetune_no_memory")
    assert "GPU memory" in fault.message
    assert {"method": "lora"} in [way.fields for way in fault.ways]
    part = plan(workspace, {**wished, "gpu_mib": 4096}, GPU)
    assert part.free == 4 * GIB
    assert not part.runs


def test_memory_that_others_were_promised_is_not_counted_on(talked: Workspace, store: Store) -> None:
    before = made(talked).free
    running = store.submit("finetune", made(talked).spec.model_dump(mode="json"))
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (running.id,))
    after = made(talked).free
    assert before is not None
    assert after is not None
    kept = trust.read(store.job_dir(running.id))
    assert kept is not None
    assert before - after == kept.p50


def test_inside_its_own_job_nothing_is_promised_away(
    talked: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = store.submit("finetune", made(talked).spec.model_dump(mode="json"))
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (running.id,))
    monkeypatch.setenv("TUNEDECK_JOB_ID", str(running.id))
    assert made(talked).free == CPU.ram_free


def test_the_order_of_rows_hangs_on_fields_that_there_are() -> None:
    assert set(preflight_ends.ORDER) <= FinetuneSpec.model_fields.keys()
    assert set(fitting.FIELDS.values()) <= FinetuneSpec.model_fields.keys()
