"""A fine-tuning with XTuner before it is started: its settings, its config and one that was edited, its commands, DeepSpeed."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backend.data.tokens import open_model
from backend.engines import xtuner_edit
from backend.engines.xtuner_config import LLAMA3, Settings
from backend.finetune import deepspeed, xtuner
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT

STARTER = ROOT / "models" / "starter"


@dataclass(frozen=True)
class Numbers:
    steps: int = 40
    warmup_steps: int = 2


def spec(**fields: Any) -> FinetuneSpec:
    given = {"model": "starter", "dataset": "lesson", "engine": "xtuner", "device": "cpu", "dtype": "float32"}
    return FinetuneSpec(**{**given, **fields})


def made(numbers: Numbers | None = None, **fields: Any) -> Settings:
    return xtuner.settings(spec(**fields), STARTER, Path(xtuner.ROWS), numbers or Numbers())


def text(**fields: Any) -> str:
    return xtuner.config(made(**fields))


def test_every_setting_of_the_spec_arrives(tmp_path: Path) -> None:
    found = xtuner.settings(
        spec(
            method="qlora", device="cuda", dtype="bfloat16", gpus=2, deepspeed="zero2", max_length=300, packing=False,
            batch_size=3, accumulation=5, learning_rate=1e-5, weight_decay=0.1, max_grad_norm=0.5, scheduler="linear",
            lora_rank=9, lora_alpha=18, lora_dropout=0.2, target_modules=["q_proj", "v_proj"], save_every=7, keep=4,
            gradient_checkpointing=False, seed=5,
        ),
        STARTER, Path("rows.jsonl"), Numbers(50, 4), load_from=tmp_path,
    )  # fmt: skip
    assert found == Settings(
        model=STARTER, data=Path("rows.jsonl"), method="qlora", device="cuda", dtype="bfloat16", gpus=2,
        deepspeed="deepspeed_zero2", max_length=300, pack=False, batch_size=3, accumulation=5, learning_rate=1e-5,
        weight_decay=0.1, max_norm=0.5, scheduler="linear", lora_rank=9, lora_alpha=18, lora_dropout=0.2,
        target_modules=("q_proj", "v_proj"), save_every=7, keep=4, gradient_checkpointing=False, seed=5, steps=50,
        warmup_steps=4, load_from=tmp_path,
    )  # fmt: skip


def test_all_linear_matrices_are_what_xtuner_finds_by_itself() -> None:
    assert made().target_modules == ()
    assert "target_modules" not in text()
    assert "target_modules=['q_proj']" in text(target_modules=["q_proj"])


@pytest.mark.parametrize(("asked", "every"), [({}, 4), ({"eval_every": 6}, 6), ({"eval_every": 6, "save_every": 9}, 9)])
def test_checkpoints_come_with_evaluations_where_nobody_says(asked: dict[str, int], every: int) -> None:
    assert made(**asked).save_every == every


@pytest.mark.parametrize(
    ("scheduler", "written"),
    [("cosine", "CosineAnnealingLR"), ("linear", "end_factor=0.0"), ("constant", "ConstantLR, factor=1.0")],
)
def test_the_learning_rate_falls_as_was_chosen(scheduler: str, written: str) -> None:
    schedules = next(
        node for node in ast.parse(text(scheduler=scheduler)).body if "param_scheduler" in ast.unparse(node)[:16]
    )
    assert written in ast.unparse(schedules)


def test_a_branch_begins_with_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    found = replace(made(), load_from=tmp_path / "it's one.pth")
    assert xtuner_names(xtuner.config(found))["load_from"] == str(tmp_path / "it's one.pth")
    assert xtuner_names(text())["load_from"] is None


def xtuner_names(config: str) -> dict[str, Any]:
    found = {}
    for node in ast.parse(config).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                found[node.targets[0].id] = ast.unparse(node.value)
    return found


def test_problems_are_named_by_the_fields_of_the_form() -> None:
    def fields(settings: Settings, **more: Any) -> set[str]:
        return {problem.field for problem in xtuner.problems(settings, spec(**more), context_length=1024)}

    assert fields(made()) == set()  # the rows are written later: that they are not there is no problem
    assert fields(made(Numbers(40, 40))) == {"warmup_ratio"}
    assert fields(made(Numbers(40, 1), accumulation=1)) == {"warmup_ratio"}
    assert fields(made(max_length=2048)) == {"max_length"}
    assert fields(made(method="qlora", deepspeed="zero2", gpus=2)) == {"method", "deepspeed", "gpus"}
    assert fields(replace(made(), model=Path("/nowhere"))) == {"model"}
    assert fields(replace(made(), max_norm=0.0)) == {"max_grad_norm"}
    assert fields(made(), config_text="model = 1") == {"config_text"}


def test_the_layout_is_that_of_the_models_template() -> None:
    assert xtuner.layout_of(open_model(STARTER)) == LLAMA3


def test_commands() -> None:
    home, python = Path("/j/xtuner"), Path("/e/bin/python")
    hooks = "--cfg-options default_hooks.tokens.type=xtuner_watch.Tokens default_hooks.watch.type=xtuner_watch.Watch"
    assert " ".join(xtuner.command(python, spec(), home)) == (
        f"/e/bin/python -m xtuner.tools.train /j/xtuner/config.py --work-dir /j/xtuner/work {hooks}"
    )
    several = xtuner.command(
        python, spec(device="cuda", gpus=4, deepspeed="zero3_offload"), home, Path("/c/iter_9.pth")
    )
    assert " ".join(several) == (
        "/e/bin/python -m torch.distributed.run --standalone --nproc-per-node=4 -m xtuner.tools.train /j/xtuner/config.py "
        "--work-dir /j/xtuner/work --launcher pytorch --deepspeed /j/xtuner/deepspeed.json --resume /c/iter_9.pth "
        + hooks
    )
    # Before a job has its folder, the command is shown all the same.
    assert "JOB_FOLDER/xtuner/config.py" in xtuner.command(python, spec())
    assert xtuner.conversion(python, home, Path("/c/iter_9.pth"), Path("/o"))[3:6] == [
        "/j/xtuner/config.py",
        "/c/iter_9.pth",
        "/o",
    ]


@pytest.mark.parametrize("kind", deepspeed.KINDS)
def test_deepspeed_spreads_what_its_stage_says(kind: str) -> None:
    found = deepspeed.of(spec(device="cuda", dtype="bfloat16", deepspeed=kind))
    assert found is not None
    assert json.loads(json.dumps(found)) == found
    spread = found["zero_optimization"]
    assert spread["stage"] == int(kind[4])
    assert ("offload_optimizer" in spread) == kind.endswith("offload")
    assert ("offload_param" in spread) == (kind == "zero3_offload")
    assert (found["bf16"]["enabled"], found["fp16"]["enabled"]) == (True, False)
    assert deepspeed.config(kind, "float32")["fp16"]["enabled"] is False


def test_without_deepspeed_there_is_no_file() -> None:
    assert deepspeed.of(spec()) is None


def said(edited: str, **more: Any) -> str:
    return " | ".join(problem.message for problem in xtuner.check_text(edited, STARTER, **more))


@pytest.mark.parametrize("method", ["lora", "full", "qlora"])
def test_what_we_write_can_be_edited(method: str) -> None:
    written = text(method=method, device="cuda", dtype="float16")
    assert said(written) == ""
    assert xtuner_edit.read(written) == xtuner_edit.Edited(640, 16)
    assert said(written.replace("lr=0.0002", "lr=3e-05").replace("iterations = 640", "iterations = 161")) == ""
    assert xtuner_edit.read(written.replace("iterations = 640", "iterations = 161")).steps == 11


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iterations = 640", "iterations = (640", "is no Python: '(' was never closed"),
        ("iterations = 640\n", "", "no 'iterations' any more"),
        ("iterations = 640", "iterations = 0", "'iterations' has to be a number of one or more"),
        ("iterations = 640", "iterations = True", "'iterations' has to be a number of one or more"),
        ("iterations = 640", "iterations = len(data)", "'len' may not be called here"),
        ("data = 'rows.jsonl'", "data = '/etc/passwd'", "'data' has to stay 'rows.jsonl'"),
        (f"pretrained = {str(STARTER)!r}", "pretrained = '/other'", "'pretrained' has to stay"),
        ("import torch", "import os", "'os' cannot be imported here"),
        ("import torch", "from . import torch", "cannot be imported here"),
        ("import torch", "import torch; print(1)", "'print' may not be called here"),
        ("warmup = 32", "warmup = [x for x in (1,)]", "and nothing else"),
        ("warmup = 32", "warmup = (lambda: 3)()", "may not be called here"),
        ("warmup = 32", "def warmup(): pass", "and nothing else"),
        ("warmup = 32", "warmup = __import__('os').system('true')", "may not be called here"),
        ("warmup = 32", "pretrained.x = 1", "and nothing else"),
        ("padding_side=\"right\"", "trust_remote_code=True", "would run program code"),
        ("max_iters=iterations", "max_epochs=3", "'train_cfg' needs max_iters=iterations"),
        ("accumulative_counts=accumulation", "accumulative_counts=4", "'optim_wrapper' needs accumulative_counts=accumulation"),
        ("type=CheckpointHook, by_epoch=False", "type=CheckpointHook, by_epoch=True", "needs 'checkpoint'"),
        ("    logger=dict(", "    log=dict(", "needs 'logger'"),
    ],
)  # fmt: skip
def test_an_edit_that_would_break_the_job_is_said_in_words(old: str, new: str, message: str) -> None:
    written = text()
    assert old in written
    assert message in said(written.replace(old, new, 1))


def test_everything_that_is_wrong_with_an_edit_is_said_at_once() -> None:
    found = xtuner.check_text("import os\nmodel = open('x')\n", STARTER)
    assert len(found) >= len(xtuner_edit.NAMES)
    assert {problem.field for problem in found} == {"config_text"}
    assert said("") != ""


def test_on_the_cpu_half_numbers_and_four_bits_are_refused() -> None:
    on_gpu = text(method="qlora", device="cuda", dtype="float16")
    assert said(on_gpu, device="cuda") == ""
    assert "float32 only" in said(on_gpu, device="cpu")
    assert "4 bits" in said(on_gpu, device="cpu")
    assert said(text(), device="cpu") == ""


def test_nothing_of_an_edit_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    assert said(f"x = open({str(mark)!r}, 'w')") != ""
    assert not mark.exists()


@pytest.mark.parametrize("nonsense", ["\0", "x = " + "(" * 5000, "x = " + "-" * 5000 + "1", "\ud800", "é" * 10])
def test_text_that_is_no_program_at_all_is_said_and_no_crash(nonsense: str) -> None:
    assert said(nonsense) != ""
