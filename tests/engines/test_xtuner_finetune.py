"""Fine-tuning with the real XTuner, as the job does it: stopped, killed and resumed it learns the same; what it makes, peft loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend import catalog
from backend.data.make import identity
from backend.data.store import Datasets
from backend.engines.xtuner import ENGINE
from backend.envs import running
from backend.envs.status import Status
from backend.finetune import contract, deepspeed, files, presets, xtuner
from backend.finetune.plan import Plan, plan
from backend.memory.machine import snapshot
from backend.queue import folder as job_folder
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT, Workspace, read_json
from jobs.finetuning.xtuner_child import SHIMS
from jobs.finetuning.xtuner_train import rehearse, train
from tests.engines.conftest import flavour_of
from tests.support import finetune_jobs, toy_xtuner
from tests.support.jobs import Queue
from tests.support.toy_xtuner import job, losses
from tests.support.wait import until

STARTER = ROOT / "models" / "starter"
PARSE = """
import json, os, sys
given = json.load(open(sys.argv[1]))
from mmengine.config import Config
from mmengine.registry import HOOKS
from torch.distributed.run import get_args_parser
from xtuner.tools import train
import xtuner.configs
found = []
for argv in given["commands"]:
    argv = argv[2:]  # the interpreter, and its -m
    launcher = None
    if argv[0] == "torch.distributed.run":
        launcher = get_args_parser().parse_args(argv[1:])
        argv = [launcher.training_script, *launcher.training_script_args]
    sys.argv = argv
    args = train.parse_args()
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    hooks = [HOOKS.build(dict(config.default_hooks[name])) for name in ("tokens", "watch")]
    found.append({
        "script": argv[0], "module": launcher and launcher.module, "processes": launcher and launcher.nproc_per_node,
        "standalone": launcher and launcher.standalone, "work": args.work_dir, "launcher": args.launcher,
        "deepspeed": args.deepspeed, "resume": args.resume, "hooks": [type(hook).__name__ for hook in hooks],
        "by_epoch": config.default_hooks.checkpoint.by_epoch, "lora": config.model.lora and config.model.lora.r,
    })
folder = os.path.join(os.path.dirname(xtuner.configs.__file__), "deepspeed")
theirs = {name: json.load(open(os.path.join(folder, f"deepspeed_{name}.json"))) for name in given["kinds"]}
try:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
    parsed = {name: DeepSpeedZeroConfig(**spread).stage for name, spread in given["spread"].items()}
except ImportError:
    parsed = None
print(json.dumps([found, theirs, parsed]))
"""


@pytest.fixture
def found(environment: Callable[[str], Status]) -> Status:
    return environment("xtuner")


@pytest.fixture
def persona(workspace: Workspace) -> None:
    """A set that teaches a name."""
    with Datasets(workspace).write("persona", steps=[{"do": "identity"}]) as writer:
        for row in identity.rows(identity.IdentityWish("Nova", "Orchard Lab", rows=150)):
            writer.add(row)


def planned(workspace: Workspace, **fields: Any) -> Plan:
    """Few small steps on the starter, without chance: dropout is none."""
    given: dict[str, Any] = {
        "model": str(STARTER), "dataset": "persona", "engine": "xtuner", "device": "cpu", "dtype": "float32",
        "packing": False, "batch_size": 2, "accumulation": 2, "max_length": 96, "max_steps": 8, "eval_every": 4,
        "save_every": 4, "learning_rate": 2e-3, "warmup_ratio": 0.25, "scheduler": "linear", "lora_dropout": 0.0,
        "gradient_checkpointing": False, "validation_share": 0.02, "sample_prompts": ["Who are you?"],
    }  # fmt: skip
    made = plan(workspace, {**given, **fields})
    assert made.runs, [fault.message for fault in made.faults]
    return made


def test_commands_configs_and_deepspeeds_settings_are_read_by_the_programs_they_are_for(
    found: Status, tmp_path: Path
) -> None:
    class Numbers:
        steps, warmup_steps = 20, 4

    python, commands = found.python, []
    assert python is not None
    kinds = [{}, {"method": "full"}, {"gpus": 2}, *({"gpus": 2, "deepspeed": kind} for kind in deepspeed.KINDS)]
    for number, kind in enumerate(kinds):
        home = tmp_path / f"it's {number}, 模型"
        home.mkdir()
        spec = FinetuneSpec(model="m", dataset="d", engine="xtuner", device="cuda", dtype="bfloat16", **kind)
        settings = xtuner.settings(spec, STARTER, Path(xtuner.ROWS), Numbers())
        (home / xtuner.CONFIG).write_text(xtuner.config(settings), encoding="utf-8")
        commands.append(xtuner.command(python, spec, home, home / "iter_4.pth"))
    ours = {kind: deepspeed.config(kind, "float16") for kind in deepspeed.KINDS}
    spread = {kind: each["zero_optimization"] for kind, each in ours.items()}
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"commands": commands, "kinds": deepspeed.KINDS, "spread": spread}))
    environ = running.environ(ENGINE, python, flavour_of(found))
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [environ.get("PYTHONPATH"), str(SHIMS)]))
    done = subprocess.run([python, "-c", PARSE, asked], env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    read, theirs, parsed = json.loads(done.stdout.splitlines()[-1])
    for argv, one, kind in zip(commands, read, kinds, strict=True):
        home = Path(argv[argv.index("--work-dir") + 1]).parent
        assert (one["work"], one["resume"]) == (str(home / "work"), str(home / "iter_4.pth"))
        assert (one["hooks"], one["by_epoch"]) == (["Tokens", "Watch"], False)
        assert one["script"] == "xtuner.tools.train"
        assert one["lora"] == (None if kind.get("method") == "full" else 16)
        if kind.get("gpus") == 2:
            assert (one["module"], one["processes"], one["standalone"], one["launcher"]) == (True, "2", True, "pytorch")
        assert one["deepspeed"] == (str(home / deepspeed.FILE) if kind.get("deepspeed") else None)
    for kind, each in theirs.items():
        assert ours[kind]["zero_optimization"] == each["zero_optimization"], kind
        assert set(ours[kind]) == set(each)
    assert parsed is None or parsed == {kind: int(kind[4]) for kind in deepspeed.KINDS}


def test_stopped_and_killed_it_learns_what_it_learns_undisturbed_and_peft_loads_it(
    found: Status, persona: None, workspace: Workspace, tmp_path: Path
) -> None:
    made, whole, folder = planned(workspace), tmp_path / "whole", tmp_path / "job"
    undisturbed = train(job(made, whole), made)
    assert (undisturbed.step, undisturbed.steps) == (8, 8)
    assert [one.step for one in files.checkpoints(whole)] == [4, 8]
    told = losses(whole)
    assert list(told) == list(range(1, 9))

    # SIGINT: it saves after the step that it is at, though nothing was due.
    stopped = toy_xtuner.run(made, folder, os.environ)
    until(lambda: (folder / "events.jsonl").exists() and losses(folder).get(1), 600, "its first step")
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(300) == 130, (folder / "out.txt").read_text()[-3000:]
    saved = [one.step for one in files.checkpoints(folder)]
    assert saved == [max(losses(folder))]
    # kill -9 of everything, somewhere behind its next checkpoint.
    killed = toy_xtuner.run(made, folder, os.environ)
    until(lambda: len(files.checkpoints(folder)) > 1, 600, "a checkpoint more")
    family = [psutil.Process(killed.pid), *psutil.Process(killed.pid).children(recursive=True)]
    for each in family:
        each.kill()
    killed.wait(10)
    psutil.wait_procs(family, timeout=10)
    trained = train(job(made, folder), made)
    assert trained.step == 8
    assert losses(folder) == pytest.approx(told, abs=2e-3)
    assert trained.eval_loss == pytest.approx(undisturbed.eval_loss, abs=2e-3)
    assert files.checkpoints(folder)[-1].tokens == files.checkpoints(whole)[-1].tokens > 100

    assert trained.adapter is not None
    assert measured(trained.adapter, folder) == pytest.approx(trained.eval_loss, abs=2e-3)
    assert measured(None, folder) == pytest.approx(first_evaluation(folder), abs=2e-3)
    answers = files.samples(folder)
    assert {one.step for one in answers} >= {0, 8}
    assert all(one.question == "Who are you?" for one in answers)


def measured(adapter: Path | None, folder: Path) -> float:
    """Loss of a learned token of the held-out rows, by transformers and peft of our own environment."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    total, count = 0.0, 0
    for line in (folder / "xtuner" / xtuner.VALIDATION).read_text().splitlines():
        row = json.loads(line)
        learned = sum(label != -100 for label in row["labels"][1:])
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss
        total, count = total + loss.item() * learned, count + learned
    return total / count


def first_evaluation(folder: Path) -> float:
    said = [json.loads(line) for line in (folder / "xtuner" / xtuner.WATCHED).read_text().splitlines()]
    return float(next(line["loss"] for line in said if line["what"] == "evaluation" and line["iter"] == 0))


def test_a_rehearsal_measures_three_steps(found: Status, persona: None, workspace: Workspace, tmp_path: Path) -> None:
    made = planned(workspace)
    told = rehearse(job(made, tmp_path / "job"), made)
    assert len(told.losses) == 3
    assert 0 < told.before_bytes < told.peak_bytes
    assert told.peak_bytes - told.before_bytes > STARTER.joinpath("model.safetensors").stat().st_size
    assert min(told.step_s, told.load_s, told.eval_s, told.save_s, told.restore_s) > 0
    assert told.checkpoint_bytes > 100_000
    assert told.tokens_per_step > told.longest > 0


def test_one_job_from_the_rows_to_the_list_of_models(
    found: Status, persona: None, queue: Queue, workspace: Workspace
) -> None:
    """As the page makes it of its four answers, but for the number of steps: rehearsed, trained, converted, merged, held against base
    and adapter, asked, listed."""
    card, version = catalog.find(workspace, str(STARTER)), Datasets(workspace).open("persona")
    usual = presets.settings("identity", card, version, snapshot(workspace.jobs), None, "xtuner")
    spec = {**usual, "model": str(STARTER), "dataset": "persona", "name": "nova", "max_steps": 16}
    row = queue.store.submit("finetune", spec)
    done = queue.reach(row.id, "succeeded", "failed", "lost", timeout=1100)
    home = queue.store.job_dir(row.id)
    log = job_folder.log_file(home, 1).read_text()
    assert done.state == "succeeded", log[-3000:]
    wanted = ["rehearse", "prepare", "load", "train", "convert", "merge", "check", "prove", "register"]
    phases = [line[1:-1] for line in log.splitlines() if line[1:-1] in wanted and line.startswith("[")]
    assert list(dict.fromkeys(phases)) == wanted
    told = list(finetune_jobs.losses(home).values())
    assert sum(told[-4:]) < sum(told[:4])
    assert {card.name for card in catalog.models(workspace)} >= {"nova", "nova-adapter"}
    merged = Path(catalog.find(workspace, "nova").path)
    checked = read_json(merged / contract.FILE)["merge"]["check"]
    assert checked["difference"] <= checked["tolerance"]
    assert checked["difference"] < checked["effect"], "the adapter is in it"
    proof = read_json(home / files.PROOF)
    assert (proof["problem"], proof["step"]) == (None, (queue.store.result(row.id) or {})["step"])
    assert proof["questions"]["asked"] > 0
    # What the job left can be repeated elsewhere.
    assert (home / files.CAPSULE).is_file()
