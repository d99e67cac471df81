"""XTuner as an engine: its config file, what it would refuse late, its commands, and what its files and its log say."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from backend.catalog.cards import card
from backend.catalog.code import CodeFile
from backend.engines import engines, xtuner_config, xtuner_rows, xtuner_run
from backend.engines.xtuner import ENGINE
from backend.engines.xtuner_config import LLAMA3, Settings, problems
from backend.workspace import ROOT, Workspace
from tests.support import nvml
from tests.support.environments import PASSED, make

STARTER = ROOT / "models" / "starter"
ASK = """
import json
from backend.engines.xtuner import ENGINE
print(json.dumps({each.name: each.problem and str(each.problem) for each in ENGINE.capabilities()}))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that XTuner takes."""
    data = tmp_path / "rows.jsonl"
    data.write_text('{"messages": []}\n')
    return Settings(model=STARTER, data=data, max_length=256, steps=10)


def top(text: str) -> dict[str, Any]:
    """The variables of a config file; calls stay as they are written."""
    found: dict[str, Any] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                found[node.targets[0].id] = ast.unparse(node.value)
    return found


def test_settings_that_fit_have_no_problem_and_become_a_config(settings: Settings) -> None:
    assert problems(settings, context_length=4096) == []
    found = top(xtuner_config.text(settings))
    assert (found["pretrained"], found["iterations"], found["warmup"]) == (str(STARTER), 10, 0)
    assert found["prompt_template"]["INSTRUCTION"].endswith("assistant<|end_header_id|>\n\n")
    assert "LoraConfig, r=64" in found["model"]
    assert "torch_dtype=torch.float32" in found["model"]
    assert "OptimWrapper" in found["optim_wrapper"]
    assert "Amp" not in found["optim_wrapper"]
    assert "LinearLR" not in found["param_scheduler"]
    assert "map_num_proc=None" in found["train_dataset"]


def test_a_full_fine_tuning_has_no_adapter_and_trains_float32_weights(settings: Settings) -> None:
    found = top(xtuner_config.text(replace(settings, method="full", device="cuda", dtype="bfloat16")))
    assert "lora=None" in found["model"]
    assert "torch_dtype=torch.float32" in found["model"]
    assert "type=AmpOptimWrapper, dtype='bfloat16', loss_scale=1.0" in found["optim_wrapper"]
    assert "backend='nccl'" in found["env_cfg"]


def test_qlora_loads_the_base_in_four_bits(settings: Settings) -> None:
    found = top(xtuner_config.text(replace(settings, method="qlora", device="cuda", dtype="float16")))
    assert "load_in_4bit=True, bnb_4bit_compute_dtype=torch.float16" in found["model"]
    assert "torch_dtype=torch.float16" in found["model"]
    assert "loss_scale='dynamic'" in found["optim_wrapper"]


def test_what_counts_in_steps_becomes_iterations(settings: Settings) -> None:
    text = xtuner_config.text(
        replace(settings, steps=10, accumulation=4, warmup_steps=1, save_every=5, log_every=2, rows="conversation")
    )
    found = top(text)
    assert (found["iterations"], found["warmup"]) == (40, 4)
    assert "LinearLR" in found["param_scheduler"]
    assert "interval=20" in found["default_hooks"]
    assert "interval=8" in found["default_hooks"]
    assert (found["accumulation"], "accumulative_counts=accumulation" in found["optim_wrapper"]) == (4, True)
    assert "dataset_map_fn=None" in found["train_dataset"]
    assert replace(settings, accumulation=4, batch_size=2, gpus=2).effective_batch == 16


def test_no_name_of_a_file_becomes_code(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "here"\n$model ${data}\\ 模型'
    text = xtuner_config.text(replace(settings, model=folder, template=replace(LLAMA3, suffix="'); import os; ('")))
    found = top(text)
    assert found["pretrained"] == str(folder)
    assert found["prompt_template"]["SUFFIX"] == "'); import os; ('"
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"warmup_steps": 10}, "warmup_steps", "shorter than the training"),
        ({"warmup_steps": 1}, "warmup_steps", "near zero for good"),
        ({"max_length": 8192}, "max_length", "reads 4096 tokens at most"),
        ({"learning_rate": 0.0}, "learning_rate", "not between"),
        ({"learning_rate": math.nan}, "learning_rate", "not between"),
        ({"learning_rate": math.inf}, "learning_rate", "not between"),
        ({"steps": 0}, "steps", "not between"),
        ({"accumulation": 0}, "accumulation", "not between"),
        ({"batch_size": -1}, "batch_size", "not between"),
        ({"save_every": 0}, "save_every", "not between"),
        ({"lora_dropout": 1.0}, "lora_dropout", "not between"),
        ({"keep": 0}, "keep", "-1 keeps all"),
        ({"deepspeed": "zero9"}, "deepspeed", "deepspeed_zero2_offload"),
        ({"model": Path("/nowhere")}, "model", "There is no model in /nowhere"),
        ({"data": Path("/nowhere.json")}, "data", "There is no file /nowhere.json"),
        ({"template": replace(LLAMA3, instruction="user:")}, "template", "({input})"),
        ({"method": "qlora"}, "method", "LoRA also runs on the CPU"),
        ({"dtype": "float16"}, "dtype", "float32 only"),
        ({"gpus": 2}, "gpus", "one process"),
        ({"deepspeed": "deepspeed_zero2"}, "deepspeed", "for NVIDIA GPUs"),
    ],
)
def test_what_xtuner_would_refuse_late_is_said_before(
    settings: Settings, changes: dict[str, Any], field: str, said: str
) -> None:
    found = problems(replace(settings, **changes), context_length=4096)
    assert any(problem.field == field and said in problem.message for problem in found), found


def test_everything_that_is_wrong_is_said_at_once(settings: Settings) -> None:
    found = problems(replace(settings, learning_rate=2.0, steps=0, seed=-1))
    assert [problem.field for problem in found] == ["steps", "learning_rate", "seed"]


def test_a_warm_up_over_two_iterations_or_on_a_gpu_is_taken(settings: Settings) -> None:
    assert problems(replace(settings, warmup_steps=1, accumulation=2)) == []
    assert problems(replace(settings, method="qlora", device="cuda", dtype="bfloat16", gpus=2)) == []


def test_every_number_of_the_settings_has_limits(settings: Settings) -> None:
    numbers = {
        each.name
        for each in fields(Settings)
        if isinstance(getattr(settings, each.name), (int, float)) and not isinstance(getattr(settings, each.name), bool)
    }
    assert numbers == set(xtuner_config.LIMITS)


USER, ASSISTANT = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello, I am Ada."}


@pytest.mark.parametrize(
    ("rows", "row", "said"),
    [
        ("messages", {"messages": [USER, ASSISTANT]}, None),
        ("messages", {"messages": [{"role": "system", "content": ""}, USER, ASSISTANT, USER]}, None),
        ("messages", {"text": "Hello"}, "Row 2: it has no list of messages."),
        ("messages", {"messages": []}, "Row 2: it has no list of messages."),
        ("messages", ["Hello"], "Row 2: it has no list of messages."),
        ("messages", {"messages": [USER, {"role": "tool", "content": "7"}]}, "roles system, user, assistant only"),
        ("messages", {"messages": [USER, {"role": "assistant", "content": None}]}, "is no text"),
        ("messages", {"messages": [USER, {"role": "assistant", "content": " "}]}, "an answer is empty"),
        ("messages", {"messages": [ASSISTANT, USER]}, "nobody answers"),
        ("conversation", {"conversation": [{"input": "Hello", "output": "Hi"}]}, None),
        ("conversation", {"conversation": []}, "no list called conversation"),
        ("conversation", {"messages": [USER, ASSISTANT]}, "no list called conversation"),
        ("conversation", {"conversation": [{"input": "Hello"}]}, "a turn has no output"),
        ("conversation", {"conversation": [{"input": 7, "output": "Hi"}]}, "is no text"),
    ],
)
def test_the_first_row_that_would_go_wrong_is_named(rows: Any, row: Any, said: str | None, tmp_path: Path) -> None:
    good = {"messages": [USER, ASSISTANT]} if rows == "messages" else {"conversation": [{"output": "Hi"}]}
    lines, whole = tmp_path / "rows.jsonl", tmp_path / "rows.json"
    lines.write_text("".join(json.dumps(each) + "\n\n" for each in (good, row, good)))
    whole.write_text(json.dumps([good, row, good]))
    for file in (lines, whole):
        found = xtuner_rows.problem(file, rows)
        assert (found is None) if said is None else (found is not None and said in found.message), found


def test_a_file_without_rows_or_with_half_a_row_is_said(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n")
    found = xtuner_rows.problem(file, "messages")
    assert found is not None
    assert "There is no row in" in found.message
    file.write_text(json.dumps({"messages": [USER, ASSISTANT]}) + '\n{"messages": [')
    found = xtuner_rows.problem(file, "messages")
    assert found is not None
    assert found.message.startswith("Row 2: this is no JSON")


def test_commands() -> None:
    python, config, work = Path("/e/bin/python"), Path("/j/config.py"), Path("/j/work")
    assert xtuner_run.train(python, config, work) == [
        "/e/bin/python", "-m", "xtuner.tools.train", "/j/config.py", "--work-dir", "/j/work",
    ]  # fmt: skip
    several = xtuner_run.train(python, config, work, gpus=4, deepspeed="deepspeed_zero2", resume=Path("/j/iter_5.pth"))
    assert several[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"]
    assert " ".join(several[5:]) == (
        "-m xtuner.tools.train /j/config.py --work-dir /j/work --launcher pytorch --deepspeed deepspeed_zero2 "
        "--resume /j/iter_5.pth"
    )
    for argv in (xtuner_run.to_hf(python, config, work, work), xtuner_run.merge(python, work, work, work)):
        assert "--safe-serialization" in argv  # else they write pickles


def test_measurements_are_read_once_as_they_come_and_across_restarts(tmp_path: Path, settings: Settings) -> None:
    first, second = (tmp_path / name / "vis_data" / "scalars.json" for name in ("20261126_1", "20261126_2"))
    scalars = xtuner_run.Scalars(tmp_path)
    assert scalars.new() == []
    first.parent.mkdir(parents=True)
    row = {"lr": 1e-3, "grad_norm": 1.1, "loss": 2.9, "time": 1.05, "iter": 1, "step": 1}
    first.write_text(json.dumps(row) + "\n" + '{"loss": 2.7, "iter"')
    assert scalars.new() == [row]
    with first.open("a") as file:
        file.write(': 2}\nnot JSON\n{"loss": 2.6, "iter": 3}\n')
    assert scalars.new() == [{"loss": 2.7, "iter": 2}, {"loss": 2.6, "iter": 3}]
    second.parent.mkdir(parents=True)
    second.write_text('{"loss": 2.5, "iter": 4}\n')
    assert scalars.new() == [{"loss": 2.5, "iter": 4}]
    assert scalars.new() == []
    assert xtuner_run.progress({**row, "iter": 6, "memory": 900}, replace(settings, accumulation=4)) == {
        "step": 1.5,
        "total": 10,
        "metrics": {"loss": 2.9, "lr": 1e-3, "grad_norm": 1.1, "memory_mib": 900.0, "s_per_iteration": 1.05},
    }
    assert xtuner_run.progress({"iter": 6}, settings) is None


def test_the_newest_checkpoint_is_the_last_that_was_written_whole(tmp_path: Path) -> None:
    assert xtuner_run.newest_checkpoint(tmp_path) is None
    (tmp_path / "iter_5.pth").touch()
    (tmp_path / "iter_10.pth").touch()  # was being written when the training was killed
    assert xtuner_run.newest_checkpoint(tmp_path) is None
    # The folder has been moved since.
    (tmp_path / "last_checkpoint").write_text("/somewhere/else/iter_5.pth")
    assert xtuner_run.newest_checkpoint(tmp_path) == tmp_path / "iter_5.pth"
    (tmp_path / "last_checkpoint").write_text("iter_7.pth")
    assert xtuner_run.newest_checkpoint(tmp_path) is None


def test_it_trains_the_starter_and_refuses_what_is_quantized_or_would_run_code() -> None:
    starter = card(STARTER, "starter")
    code = (CodeFile("modeling_x.py", 100, "ab"),)

    def refused(**changes: Any) -> str:
        problem = ENGINE.refuses(replace(starter, **changes))
        return problem.code if problem else ""

    assert refused() == ""
    assert refused(quantization_method="awq") == "model_quantized_untrainable"
    assert refused(code_files=code, needs_code=True) == "model_needs_code"
    assert refused(code_files=code, needs_code=True, code_allowed=True) == ""
    # transformers knows the architecture and would leave the code alone; XTuner runs it.
    assert refused(code_files=code) == "model_code_would_run"


def test_it_is_found_and_offers_itself_for_fine_tuning() -> None:
    assert engines()["xtuner"] is ENGINE
    assert ENGINE.roles == ("finetune",)


def capabilities(tmp_path: Path, stub: str) -> dict[str, str | None]:
    """What it says of itself under a driver that is described by ``stub`` (see nvml_stub.c); empty: no driver."""
    environ = nvml.environ(nvml.driver(tmp_path), stub) if stub else dict(os.environ)
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_without_a_gpu_it_can_do_float32_only_and_says_why(tmp_path: Path) -> None:
    found = capabilities(tmp_path, "")
    assert found["LoRA and full fine-tuning on the CPU, in float32"] == "XTuner is not installed here."
    others = {name: said for name, said in found.items() if "CPU" not in name}
    assert len(others) == 6
    assert all(said and said.startswith("This needs an NVIDIA GPU") for said in others.values())


def test_gpus_decide_by_their_age_and_number(tmp_path: Path) -> None:
    one_turing = capabilities(tmp_path, "gpus=1;cc=75")
    assert one_turing["Compute in bfloat16"] == (
        "This needs a GPU of compute capability 8.0 or newer; NVIDIA A100-SXM4-80GB has 7.5."
    )
    assert one_turing["Several GPUs at once"] == "This needs 2 such GPUs, and this machine has 1."
    # Only the installation is missing.
    assert one_turing["QLoRA, the base model in 4 bits"] == "XTuner is not installed here."
    two_ampere = capabilities(tmp_path, "gpus=2;cc=80")
    assert set(two_ampere.values()) == {"XTuner is not installed here."}
    pascal = capabilities(tmp_path, "gpus=1;cc=61")
    assert "7.5 or newer" in str(pascal["Compute in float16"])


def test_the_environment_for_the_cpu_does_nothing_on_gpus(tmp_path: Path, workspace: Workspace) -> None:
    make(workspace, ENGINE, PASSED, flavour="cpu")
    assert capabilities(tmp_path, "")["LoRA and full fine-tuning on the CPU, in float32"] is None
    found = capabilities(tmp_path, "gpus=2;cc=90")
    assert found.pop("LoRA and full fine-tuning on the CPU, in float32") is None
    assert set(found.values()) == {"XTuner is installed here for the CPU only."}


def test_the_environment_for_cuda_does_everything_on_new_gpus(tmp_path: Path, workspace: Workspace) -> None:
    make(workspace, ENGINE, PASSED, flavour="cuda")
    assert set(capabilities(tmp_path, "gpus=2;cc=90").values()) == {None}
