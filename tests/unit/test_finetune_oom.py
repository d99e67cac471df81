"""Running out of memory, without doing it: what tracebacks tell, what is said of it, and which changes are proposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.errors import PanelError
from backend.finetune import files, oom_lines, out_of_memory, relief
from backend.finetune.files import Checkpoint, OutOfMemory
from backend.memory.forecast import ModelFacts, facts
from backend.specs.finetune import FinetuneSpec
from jobs.finetuning.running_out import Phases, Use, grew, watching

GIB = 1 << 30
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}


@pytest.fixture(scope="module")
def llama() -> ModelFacts:
    """Llama 3 8B."""
    return facts.from_config(LLAMA)


def spec(**fields: Any) -> FinetuneSpec:
    return FinetuneSpec(
        **{
            "model": "llama",
            "dataset": "rows",
            "device": "cuda",
            "dtype": "bfloat16",
            "batch_size": 4,
            "accumulation": 4,
            "max_length": 1024,
            "gradient_checkpointing": False,
            **fields,
        }
    )


def ran_out(phase: str = "backward", **more: Any) -> OutOfMemory:
    return OutOfMemory(
        phase,
        12,
        1_700_000_000.0,
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        **{"asked": 2 * GIB, "reserved": 77 * GIB, "free": GIB, "total": 80 * GIB, "device": "NVIDIA H100", **more},
    )


TRAIN = [
    ("x/site-packages/transformers/trainer.py", "train"),
    ("x/site-packages/transformers/trainer.py", "training_step"),
]
TORCH = "x/site-packages/torch"


@pytest.mark.parametrize(
    ("frames", "phase"),
    [
        ([("x/transformers/modeling_utils.py", "from_pretrained"), (f"{TORCH}/nn/modules/module.py", "to")], "load"),
        ([*TRAIN, ("t.py", "compute_loss"), (f"{TORCH}/nn/modules/linear.py", "forward")], "forward"),
        ([*TRAIN, ("x/accelerate/accelerator.py", "backward"), (f"{TORCH}/autograd/graph.py", "_engine_run_backward")], "backward"),
        # A checkpointed layer is computed again: that is the backward pass all the same.
        ([*TRAIN, (f"{TORCH}/_tensor.py", "backward"), (f"{TORCH}/utils/checkpoint.py", "forward")], "backward"),
        ([*TRAIN, ("x/accelerate/optimizer.py", "step"), (f"{TORCH}/optim/adamw.py", "step")], "optimizer"),
        ([*TRAIN, ("x/accelerate/accelerator.py", "clip_grad_norm_")], "optimizer"),
        # An evaluation runs the model forward, too.
        ([TRAIN[0], ("x/transformers/trainer.py", "evaluation_loop"), (f"{TORCH}/nn/modules/linear.py", "forward")], "evaluate"),
        ([TRAIN[0], ("x/transformers/trainer.py", "_save_checkpoint"), (f"{TORCH}/serialization.py", "save")], "save"),
        ([(f"{TORCH}/serialization.py", "load")], "load"),
        ([(f"{TORCH}/optim/lr_scheduler.py", "step")], ""),
        ([("rows.py", "read")], ""),
    ],
)  # fmt: skip
def test_the_outermost_telling_frame_names_the_phase(frames: list[tuple[str, str]], phase: str) -> None:
    assert oom_lines.phase_of(frames) == phase


def test_the_log_of_another_program_tells_the_phase_and_the_line() -> None:
    log = [
        "iter 12 loss 1.3",
        "Traceback (most recent call last):",
        '  File "/e/lib/python3.11/site-packages/mmengine/optim/optimizer/optimizer_wrapper.py", line 196, in update_params',
        "    self.backward(loss)",
        '  File "/e/lib/python3.11/site-packages/torch/_tensor.py", line 581, in backward',
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 79.10 GiB",
        "[end]",
    ]
    found = oom_lines.from_log(log)
    assert found is not None
    phase, line = found
    assert phase == "backward"
    assert oom_lines.asked(line) == int(1.96 * GIB)
    assert oom_lines.from_log(log[:2]) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("Tried to allocate 20.00 MiB", 20 << 20),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 33554432 bytes.", 33554432),
        ("std::bad_alloc", None),
    ],
)
def test_what_was_asked_for_is_read_from_the_message(text: str, size: int | None) -> None:
    assert oom_lines.asked(text) == size


def test_an_explicit_phase_is_kept_and_an_error_remembers_where_it_came_up(tmp_path: Path) -> None:
    phases = Phases()
    phases.step = 7
    with pytest.raises(PanelError) as caught, watching(tmp_path, phases, device="cpu"), phases("merge"):
        raise MemoryError
    assert str(caught.value) == "It ran out of memory while the adapter was merged; what it learned is kept."
    record = files.read(tmp_path / files.OUT_OF_MEMORY, OutOfMemory)
    assert record is not None
    assert (record.phase, record.step, record.device) == ("merge", 7, "cpu")


def test_an_error_that_came_from_running_out_counts_as_running_out(tmp_path: Path) -> None:
    def save_model() -> None:
        raise MemoryError("no room")

    def train() -> None:
        try:
            save_model()
        except MemoryError as error:
            raise ValueError("the model could not be written") from error

    with pytest.raises(PanelError) as caught, watching(tmp_path, device="cpu") as phases, phases("train"):
        train()
    assert caught.value.code == "finetune_out_of_memory"
    assert caught.value.params["phase"] == "save"


def test_other_errors_pass_as_they_are_and_the_record_of_an_earlier_attempt_goes(tmp_path: Path) -> None:
    files.write(tmp_path / files.OUT_OF_MEMORY, ran_out())
    with pytest.raises(ZeroDivisionError), watching(tmp_path, device="cpu"):
        raise ZeroDivisionError
    assert not (tmp_path / files.OUT_OF_MEMORY).exists()


@pytest.mark.parametrize(
    ("before", "then", "asked", "answer"),
    [
        (4, 13, 2, True),
        (4, 4.2, 2, False),  # what CUDA loads for itself on the way
        (4, 6, 40, False),  # without their rise it would not have fitted either
        (None, 13, 2, False),
    ],
)
def test_neighbours_are_to_blame_where_it_would_have_fitted_without_their_rise(
    before: float | None, then: float, asked: float, answer: bool
) -> None:
    was = Use(others=None if before is None else int(before * GIB))
    assert grew(was, Use(free=GIB, others=int(then * GIB)), int(asked * GIB)) is answer


def test_what_happened_is_told_with_its_figures() -> None:
    told = out_of_memory.told(ran_out("neighbour", others_before=4 * GIB, others_then=13 * GIB))
    assert told.sentence.startswith("Other programs took memory that had been free when it began")
    assert told.figures == (
        "2.0 GiB more were asked for at once",
        "it held 77.0 GiB of 80.0",
        "1.0 GiB were free",
        "others held 13.0 GiB, 9.0 more than when it began",
    )


def test_every_phase_has_words() -> None:
    assert set(oom_lines.PHASES) <= set(out_of_memory.WHERE)
    assert set(relief.HELPS) <= set(out_of_memory.WHERE)
    for phase in out_of_memory.WHERE:
        assert "{" not in out_of_memory.told(ran_out(phase)).sentence


def test_a_run_that_the_system_killed_is_told_by_its_last_words(tmp_path: Path) -> None:
    killed = {"code": "job_killed", "params": {"signal": "SIGKILL"}}
    found = out_of_memory.of_run(tmp_path, killed, {"phase": "train", "step": 40}, 5.0)
    assert found is not None
    assert out_of_memory.told(found).sentence == (
        "The system ended it after step 40, most likely because the main memory was used up."
    )
    assert out_of_memory.of_run(tmp_path, {**killed, "params": {"signal": "SIGTERM"}}, {}, 5.0) is None
    assert out_of_memory.of_run(tmp_path, {"code": "job_crashed"}, {}, 5.0) is None


def test_a_run_whose_record_is_gone_is_told_by_its_error(tmp_path: Path) -> None:
    failure = out_of_memory.error(ran_out("optimizer")).to_dict()
    found = out_of_memory.of_run(tmp_path, failure, {}, 5.0)
    assert found is not None
    assert (found.phase, found.step) == ("optimizer", 12)


def test_the_smallest_change_that_is_enough_comes_first_and_keeps_the_effective_batch(llama: ModelFacts) -> None:
    found = relief.reliefs(spec(), ran_out(), llama)
    assert all(one.fits for one in found), "those that are not enough alone are left out"
    needs = [one.need for one in found]
    assert None not in needs
    batches = [one for one in found if set(one.fields) == {"batch_size", "accumulation"}]
    assert batches
    assert found[0] == batches[0]
    for one in batches:
        assert one.fields["batch_size"] * one.fields["accumulation"] == 16
        assert one.saving is not None
        assert one.saving > GIB
    assert len(batches) == 1, "smaller ones than are enough cost time for nothing"
    assert {"gradient_checkpointing": True} in [one.fields for one in found]
    assert {"method": "qlora"} in [one.fields for one in found]


def test_a_forecast_that_was_too_low_is_corrected_by_what_was_held(llama: ModelFacts) -> None:
    (first, *_rest) = relief.reliefs(spec(batch_size=2, accumulation=8), ran_out(), llama)
    assert first.fields == {"batch_size": 1, "accumulation": 16}
    assert first.need is not None
    assert first.saving is not None
    assert first.need + first.saving == 79 * GIB, "it held 77 and asked for 2: the forecast had said less"


@pytest.mark.parametrize(
    ("phase", "never"),
    [
        ("optimizer", {"batch_size", "gradient_checkpointing", "max_length"}),
        ("load", {"batch_size", "gradient_checkpointing", "max_length", "lora_rank"}),
        ("evaluate", {"gradient_checkpointing", "lora_rank"}),
    ],
)
def test_only_what_can_help_in_that_phase_is_proposed(llama: ModelFacts, phase: str, never: set[str]) -> None:
    found = relief.reliefs(spec(method="full" if phase == "optimizer" else "lora"), ran_out(phase), llama)
    assert found
    assert not never & {name for one in found for name in one.fields}


def test_where_neighbours_grew_the_same_settings_come_first(llama: ModelFacts) -> None:
    found = relief.reliefs(spec(), ran_out("neighbour", others_before=0, others_then=9 * GIB), llama)
    assert found[0].fields == {}
    assert any(one.fields for one in found)


def test_on_the_cpu_nothing_is_loaded_in_four_bits(llama: ModelFacts) -> None:
    found = relief.reliefs(spec(device="cpu", dtype="float32"), ran_out(device="cpu"), llama)
    assert found
    assert not any(one.fields.get("method") == "qlora" for one in found)


def test_without_sizes_the_changes_are_still_proposed_in_order() -> None:
    found = relief.reliefs(spec(), ran_out("killed", free=None), None)
    assert [one.fits for one in found] == [None] * len(found)
    assert found[0].fields == {"batch_size": 2, "accumulation": 8}


def test_batches_that_cannot_be_halved_evenly_keep_their_product() -> None:
    found = relief.reliefs(spec(batch_size=6, accumulation=3), ran_out(), None)
    batches = [one.fields for one in found if set(one.fields) == {"batch_size", "accumulation"}]
    assert batches == [{"batch_size": 3, "accumulation": 6}, {"batch_size": 1, "accumulation": 18}]


def test_after_the_learning_there_is_nothing_to_change() -> None:
    assert relief.reliefs(spec(), ran_out("merge"), None) == ()


def test_the_run_that_goes_on_begins_from_the_newest_checkpoint_where_the_change_allows_it() -> None:
    saved = [Checkpoint(40, 1.0, 0.0, path="/j/step-00000040"), Checkpoint(60, 1.5, 0.0, path="/j/step-00000060")]
    asked = spec().model_dump(mode="json")

    def change(start: relief.Start, **fields: Any) -> relief.Relief:
        return relief.Relief("", "", fields, None, None, None, start)

    goes_on = relief.resumed(asked, change("continue", batch_size=2, accumulation=8), saved)
    assert (goes_on["start_from"], goes_on["start_mode"]) == ("/j/step-00000060", "continue")
    assert (goes_on["batch_size"], goes_on["accumulation"]) == (2, 8)
    branch = relief.resumed(asked, change("branch", max_length=1024), saved)
    assert (branch["start_from"], branch["start_mode"]) == ("/j/step-00000060", "branch")
    assert relief.resumed(asked, change("anew", lora_rank=8), saved)["start_from"] == ""
    earlier = {**asked, "start_from": "/old/step-00000010"}
    assert relief.resumed(earlier, change("continue", batch_size=2), [])["start_from"] == "/old/step-00000010"
