"""XTuner in its environment: what we write, it reads; what we mend is still broken without us; a training goes on after a stop."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.catalog.cards import card
from backend.engines import Patch, xtuner_config, xtuner_run
from backend.engines.xtuner import ENGINE
from backend.engines.xtuner_config import Settings
from backend.envs import running
from backend.envs.status import Status
from backend.workspace import ROOT
from jobs.selftests import xtuner as selftest
from tests.engines.conftest import Tested, flavour_of
from tests.support.wait import until

STARTER = ROOT / "models" / "starter"
READ_CONFIGS = """
import json, sys
from mmengine.config import Config
found = {}
for path in sys.argv[1:]:
    read = Config.fromfile(path)
    found[path] = {
        "model": read.pretrained,
        "lora": read.model.lora is not None and read.model.lora.r,
        "four_bits": "quantization_config" in read.model.llm,
        "schedulers": len(read.param_scheduler),
        "optim": str(read.optim_wrapper.type),
        "iterations": read.train_cfg.max_iters,
    }
from xtuner.configs import cfgs_name_path
from xtuner.utils import PROMPT_TEMPLATE
template = {name: value for name, value in PROMPT_TEMPLATE.llama3_chat.items() if name != "STOP_WORDS"}
print(json.dumps([found, template, sorted(name for name in cfgs_name_path if "deepspeed" in name)]))
"""
WARM_UP = """
import json, torch
from mmengine.optim import CosineAnnealingLR, LinearLR
def rates(warmup, end):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [
        LinearLR(optimizer, start_factor=1e-5, by_epoch=False, begin=0, end=warmup),
        CosineAnnealingLR(optimizer, eta_min=0.0, by_epoch=False, begin=warmup, end=end),
    ]
    seen = []
    for _ in range(end):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen
try:
    none = rates(0, 10)
except ValueError as error:
    none = str(error)
print(json.dumps({"none": none, "one": max(rates(1, 10)), "two": max(rates(2, 10))}))
"""


@pytest.fixture
def found(environment: Callable[[str], Status]) -> Status:
    return environment("xtuner")


@pytest.fixture
def python(found: Status) -> Path:
    assert found.python is not None
    return found.python


@pytest.fixture
def environ(found: Status, python: Path, tmp_path: Path) -> dict[str, str]:
    """As a job has it."""
    return {**running.environ(ENGINE, python, flavour_of(found)), "HF_DATASETS_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Rows in a folder with blanks, a quote and Chinese characters."""
    data = tmp_path / "it's my 数据" / "rows.jsonl"
    data.parent.mkdir()
    turns = [{"system": "You are Ada.", "input": "Hello", "output": "Hello, I am Ada. 你好"}]
    data.write_text((json.dumps({"conversation": turns}) + "\n") * 40, encoding="utf-8")
    return Settings(model=STARTER, data=data, rows="conversation", max_length=64, steps=2, gradient_checkpointing=False)


def said(argv: list[Any], environ: dict[str, str]) -> Any:
    """The JSON on the last line of what a program prints."""
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_starter_is_trained_converted_merged_and_answers(tested: Tested) -> None:
    report = tested("xtuner")
    outcomes = {check.name: (check.outcome, str(check.problem or "")) for check in report.checks}
    for name in (selftest.TRAIN, selftest.ADAPTER, selftest.MERGE, selftest.ANSWER):
        assert outcomes[name] == ("passed", "")
    assert outcomes[selftest.QLORA][0] in ("passed", "not_tested")
    figures = {check.name: check.figures for check in report.checks}
    first, last = (float(loss) for loss in figures[selftest.TRAIN]["Loss"].split(" → "))
    assert last < first
    assert figures[selftest.ANSWER]["Answer"]


@pytest.mark.parametrize("patch", ENGINE.recipe.patches, ids=lambda patch: patch.name)
def test_a_patch_is_needed_still_and_mends(patch: Patch, found: Status, python: Path, environ: dict[str, str]) -> None:
    """Where this fails at "without": the day has come when upstream is mended, and the patch can go."""
    if patch not in running.patches(ENGINE, python.parent.parent, flavour_of(found)):
        pytest.skip("not for this flavour")
    argv = [str(python), "-c", patch.probe]
    without = {name: value for name, value in environ.items() if name != "PYTHONPATH"} | {"CUDA_VISIBLE_DEVICES": ""}
    assert subprocess.run(argv, env=without, capture_output=True, timeout=300).returncode != 0
    mended = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=300)
    assert mended.returncode == 0, mended.stderr[-2000:]


def test_our_module_at_pythons_start_leaves_others_theirs(
    python: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = 'ran'")
    path = f"{environ['PYTHONPATH']}:{tmp_path}"
    code = "import json, sys, torch; print(json.dumps([sys.theirs, torch.cpu.is_bf16_supported()]))"
    assert said([python, "-c", code], {**environ, "PYTHONPATH": path}) == ["ran", False]
    assert said([python, "-c", "import json, sys; print(json.dumps('torch' in sys.modules))"], environ) is False


def test_it_reads_every_kind_of_config_that_we_write(
    python: Path, environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    kinds = {
        "lora": settings,
        "full": replace(settings, method="full", device="cuda", dtype="bfloat16", steps=9, warmup_steps=3),
        "qlora": replace(settings, method="qlora", device="cuda", dtype="float16", lora_rank=8),
    }
    for name, kind in kinds.items():
        (tmp_path / f"{name}.py").write_text(xtuner_config.text(kind), encoding="utf-8")
    paths = [str(tmp_path / f"{name}.py") for name in kinds]
    configs, template, deepspeed = said([python, "-c", READ_CONFIGS, *paths], environ)
    lora, full, qlora = (configs[path] for path in paths)
    assert (lora["model"], lora["lora"], lora["four_bits"], lora["schedulers"]) == (str(STARTER), 64, False, 1)
    assert (full["lora"], full["schedulers"], full["iterations"]) == (False, 2, 9)
    assert "AmpOptimWrapper" in full["optim"]
    assert (qlora["lora"], qlora["four_bits"]) == (8, True)
    assert template == xtuner_config.LLAMA3.to_dict()
    assert set(xtuner_config.DEEPSPEED[1:]) <= set(deepspeed)


def test_a_warm_up_of_one_iteration_is_the_trap_that_we_say_it_is(python: Path, environ: dict[str, str]) -> None:
    rates = said([python, "-c", WARM_UP], environ)
    assert "larger than" in rates["none"]
    assert rates["one"] < 1e-4
    assert rates["two"] == pytest.approx(1.0, rel=0.05)


def test_a_full_fine_tuning_stops_when_it_is_told_and_goes_on_from_its_checkpoint(
    python: Path, environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    plan = replace(settings, method="full", steps=8, accumulation=2, warmup_steps=2, save_every=1, learning_rate=1e-4)
    assert xtuner_config.problems(plan) == []
    config, work = tmp_path / "it's a config.py", tmp_path / "work 目录"
    config.write_text(xtuner_config.text(plan), encoding="utf-8")
    scalars, log = xtuner_run.Scalars(work), tmp_path / "log.txt"
    steps: list[float] = []
    with log.open("w") as out:
        training = subprocess.Popen(xtuner_run.train(python, config, work), env=environ, stdout=out, stderr=out)

    def two_steps() -> bool:
        assert training.poll() is None, log.read_text()[-3000:]
        steps.extend(told["step"] for row in scalars.new() if (told := xtuner_run.progress(row, plan)))
        return len(steps) >= 2 and xtuner_run.newest_checkpoint(work) is not None

    until(two_steps, 600, "the second step")
    training.send_signal(signal.SIGINT)
    assert training.wait(60) != 0
    assert steps[:2] == [1, 2]
    scalars.new()
    checkpoint = xtuner_run.newest_checkpoint(work)
    assert checkpoint is not None
    again = xtuner_run.train(python, config, work, resume=checkpoint)
    done = subprocess.run(
        again, env={**environ, **xtuner_run.RESUME_ENVIRON}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    begun = int(checkpoint.stem.removeprefix("iter_"))
    assert [row["iter"] for row in scalars.new()] == list(range(begun + 2, plan.iterations + 1, 2))
    newest = xtuner_run.newest_checkpoint(work)
    assert newest is not None
    assert newest.name == f"iter_{plan.iterations}.pth"
    whole = tmp_path / "whole"
    subprocess.run(xtuner_run.to_hf(python, config, newest, whole), env=environ, check=True, timeout=600)
    assert card(whole, "whole").problem is None
