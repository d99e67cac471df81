"""A stand-in for XTuner in an environment that looks like an installed one: what it writes and says is what the real one does.

Recorded of xtuner 0.2.0 and mmengine 0.10.6 on the CPU: a new folder by the time at each start with ``vis_data/scalars.json``
in it, ``iter_N.pth`` and then its name in ``last_checkpoint``, SIGINT ends it and keeps what was saved, ``--resume`` goes on
counting; and what the hook in ``jobs/shims/xtuner_watch.py`` adds to that. tests/engines/ runs the real one.

    make(workspace)                    # the environment
    monkeypatch.setenv("TOY_…", …)     # STEP_S seconds of an iteration; WORSE_AFTER: evaluations rise from this iteration on;
                                       # BREAKS: oom, nan, full, kill, exit, at the iteration AT; CONVERT: fails; HOLD: a file,
                                       # waits before each iteration while it is there
    run(workspace, {...})              # a spec, as a process of its own (SIGINT and SIGKILL are for that)
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.engines.xtuner import ENGINE
from backend.envs import places
from backend.finetune.plan import Plan, plan
from backend.workspace import ROOT, Workspace
from jobs.harness import Job
from tests.support import environments

TRAIN = """
import argparse, ast, json, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--work-dir")
parser.add_argument("--resume")
parser.add_argument("--deepspeed")
parser.add_argument("--launcher", default="none")
parser.add_argument("--cfg-options", nargs="+", default=[])
args = parser.parse_args()
signal.signal(signal.SIGINT, signal.default_int_handler)
names = {}
for node in ast.parse(open(args.config).read()).body:
    if isinstance(node, ast.Assign):
        names[node.targets[0].id] = node.value
literal = lambda name: ast.literal_eval(names[name])
inside = lambda node: {each.arg: each.value for each in node.keywords}
total, accumulation = literal("iterations"), literal("accumulation")
rows = [json.loads(line) for line in open(literal("data"))]
interval = ast.literal_eval(inside(inside(names["default_hooks"])["checkpoint"])["interval"])
rate = ast.literal_eval(inside(inside(names["optim_wrapper"])["optimizer"])["lr"])
work = pathlib.Path(args.work_dir)
home = work.parent
watch = json.loads((home / "watch.json").read_text())
validation = open(home / "validation.jsonl").read().splitlines()
work.mkdir(exist_ok=True)
while (work / time.strftime(f"20261127_%H%M%S_{len(list(work.iterdir()))}")).exists():
    pass
scalars = work / time.strftime(f"20261127_%H%M%S_{len(list(work.iterdir()))}") / "vis_data" / "scalars.json"
scalars.parent.mkdir(parents=True)
done, learned = 0, 0.0
load_from = literal("load_from")
for path in filter(None, [args.resume, load_from]):
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD") != "1":
        sys.exit("_pickle.UnpicklingError: Weights only load failed")
    state = json.loads(pathlib.Path(path).read_text())
    learned = state["learned"]
    done = state["iter"] if args.resume else 0
toy = lambda name, other="": os.environ.get("TOY_" + name, other)
def tell(what, at, **values):
    with open(home / "watch.jsonl", "a") as file:
        file.write(json.dumps({"what": what, "t": time.time(), "iter": at, **values}) + "\\n")
def evaluate(at):
    worse = toy("WORSE_AFTER")
    loss = 3 / (1 + learned) + (0.5 * (at - int(worse)) if worse and at > int(worse) else 0)
    if validation:
        tell("evaluation", at, loss=loss, rows=len(validation), tokens=9, s=0.01)
def ask(at):
    for number, prompt in enumerate(watch["prompts"]):
        tell("sample", at, prompt=number, ids=prompt[:3])
def broken(at):
    how = toy("BREAKS") if at == int(toy("AT", "-1")) else ""
    if how == "oom":
        print("Traceback (most recent call last):")
        print('  File "/x/torch/autograd/graph.py", line 1, in _engine_run_backward')
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
        sys.exit(1)
    if how == "full":
        (work / f"iter_{at}.pth").write_text("half")
        print("RuntimeError: [enforce fail at inline_container.cc:783] . PytorchStreamWriter failed writing file data/6: file write failed")
        sys.exit(1)
    if how == "exit":
        print("  warnings.warn('x')")
        sys.exit("KeyError: 'nonsense'")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return how == "nan"
print("toy: loading", flush=True)
tell("ready", 0, resident=900, weights=400, trained=8)
if done == 0 and watch.get("first", True):
    evaluate(0)
    ask(0)
while done < total:
    while pathlib.Path(toy("HOLD", "/nowhere")).exists():
        time.sleep(0.01)
    time.sleep(float(toy("STEP_S", "0")))
    done += 1
    learned += rate
    nan = broken(done)
    row = {"lr": rate, "loss": float("nan") if nan else 3 / (1 + learned), "grad_norm": 1.0, "time": 0.5, "tokens": done * 10,
           "memory_mib": 12.5, "iter": done, "step": done}
    if done % accumulation == 0:
        with open(scalars, "a") as file:
            file.write(json.dumps(row) + "\\n")
        if done % watch["every"] == 0 or done == total:
            evaluate(done)
        if done % watch["samples_every"] == 0 or done == total:
            ask(done)
        if (home / "stop").exists():
            total = done
    if done % interval == 0 or done == total:
        (work / f"iter_{done}.pth").write_text(json.dumps({"iter": done, "learned": learned, "argv": sys.argv}))
        (work / "last_checkpoint").write_text(str(work / f"iter_{done}.pth"))
if watch.get("restore"):
    tell("restored", done, s=0.02)
tell("end", done, peak=1000, held=1200, stopped=False)
"""
CONVERT = """
import json, os, pathlib, sys
config, checkpoint, out = sys.argv[1:4]
if os.environ.get("TOY_CONVERT") == "fails":
    sys.exit("AttributeError: 'toy' object has no attribute 'llm'")
state = json.loads(pathlib.Path(checkpoint).read_text())
folder = pathlib.Path(out)
folder.mkdir(parents=True)
full = "lora=None" in pathlib.Path(config).read_text()
(folder / ("model.safetensors" if full else "adapter_model.safetensors")).write_text(json.dumps(state))
(folder / ("config.json" if full else "adapter_config.json")).write_text("{}")
(folder / "README.md").write_text("")
(folder / "xtuner_config.py").write_text(pathlib.Path(config).read_text())
"""


def make(workspace: Workspace) -> Path:
    """The environment, ready and proven; returns its folder."""
    build = environments.make(workspace, ENGINE, environments.PASSED)
    packages = next(build.glob("lib/python*/site-packages"))
    tools = packages / "xtuner" / "tools" / "model_converters"
    tools.mkdir(parents=True)
    (tools.parent / "train.py").write_text(TRAIN)
    (tools / "pth_to_hf.py").write_text(CONVERT)
    # What makes a folder with a Python in it an environment of its own.
    home = Path(getattr(sys, "_base_executable", sys.executable)).resolve().parent
    (build / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    python = places.interpreter(build)
    python.unlink()
    python.symlink_to(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    return build


def rows(workspace: Workspace, count: int = 24) -> None:
    """A dataset ``lesson`` of short questions and answers, each another one."""
    with Datasets(workspace).write("lesson", steps=[{"do": "made"}]) as writer:
        for number in range(count):
            turns: Any = [
                {"role": "user", "content": f"What is {number}?"},
                {"role": "assistant", "content": f"{number} is a number."},
            ]
            writer.add(Row(messages=turns))


def planned(workspace: Workspace, **fields: Any) -> Plan:
    """A plan over ``lesson`` and the small model that only has a shape: 12 steps, a checkpoint and an evaluation at each third."""
    spec: dict[str, Any] = {
        "model": str(ROOT / "models" / "tiny"),
        "dataset": "lesson",
        "engine": "xtuner",
        "device": "cpu",
        "dtype": "float32",
        "packing": False,
        "batch_size": 2,
        "accumulation": 1,
        "max_length": 64,
        "max_steps": 12,
        "epochs": 3,
        "eval_every": 3,
        "save_every": 3,
        "learning_rate": 0.5,
        "warmup_ratio": 0.0,
        "scheduler": "constant",
        "validation_share": 0.1,
        **fields,
    }
    return plan(workspace, spec)


def job(made: Plan, folder: Path) -> Job:
    """A job of ``made`` that works in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return Job(made.spec, folder)


def events(folder: Path) -> list[dict[str, Any]]:
    """All that a job said."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def losses(folder: Path) -> dict[float, float]:
    """Step -> loss; what came later counts."""
    return {
        event["step"]: event["metrics"]["loss"]
        for event in events(folder)
        if event["phase"] == "train" and "metrics" in event
    }


def run(made: Plan, folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """:func:`main` as a process; its output goes to ``folder``/out.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = made.spec.model_dump(mode="json")
    (folder / "spec.json").write_text(json.dumps(fields))
    with (folder / "out.txt").open("a") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.toy_xtuner", str(folder / "spec.json")],
            cwd=ROOT,
            env={**env, "TUNEDECK_JOB_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            text=True,
        )


def main() -> int:
    """Train what a spec says, as ``jobs/finetune.py`` has it done."""
    from backend.specs.finetune import FinetuneSpec
    from backend.workspace import open_workspace
    from jobs import harness
    from jobs.finetuning.xtuner_train import train

    def work(running: Job) -> dict[str, Any]:
        trained = train(running, plan(open_workspace(), running.spec_as(FinetuneSpec)))
        return {"step": trained.step, "ended": trained.ended, "complete": True}

    return harness.main("finetune", work)


if __name__ == "__main__":
    raise SystemExit(main())
