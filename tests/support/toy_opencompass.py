"""A stand-in for OpenCompass in an environment that looks like an installed one: it reads our config, asks a real server, and leaves the same files.

Recorded of opencompass 0.5.4: a folder by the time with ``predictions/model/tmp_<set>.jsonl`` while a set is asked, ``<set>.json`` when it is, ``results/``
with the numbers; its lines of the log, and an exit code of 0 without a number. tests/engines/ runs the real one.

    make(workspace)                    # the environment
    work(workspace, spec, served, …)   # what an evaluator is given
    ceval(workspace, folder)           # a set of questions in the layout of C-Eval
    monkeypatch.setenv("TOY_…", …)     # BREAKS: kill, exit, empty, spoil, missing, module, at the set AT (its name), or before the first one;
                                       # HOLD: a file; before each question it waits while that is there, with FROM from that question of AT on
"""

from __future__ import annotations

import csv
import json
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from backend.engines.opencompass import ENGINE
from backend.envs import places
from backend.evaluate import sets
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs.evaluating.work import Served, Work
from jobs.harness import Job
from tests.support import environments
from tests.support.stub_openai import KEY, Stub

HEADER = ("id", "question", "A", "B", "C", "D", "answer", "explanation")
SUBJECTS = ("logic", "law", "physician")
FILES = {
    "mmengine/__init__.py": "",
    "mmengine/config/__init__.py": """
from contextlib import contextmanager
from . import config
class Config(dict):
    pass
@contextmanager
def read_base():
    yield
""",
    "mmengine/config/config.py": "FormatCode = None\n",
    "opencompass/__init__.py": "",
    "opencompass/models/__init__.py": "class OpenAISDK: pass\nclass HuggingFacewithChatTemplate: pass\n",
    "opencompass/partitioners/__init__.py": "class NaivePartitioner: pass\n",
    "opencompass/runners/__init__.py": "class LocalRunner: pass\n",
    "opencompass/configs/datasets/ceval/ceval_gen_5f30c7.py": f"""
ceval_datasets = [dict(abbr="ceval-" + name, name=name, kind="ceval", path="x") for name in {SUBJECTS!r}]
""",
    "opencompass/configs/datasets/mmlu/mmlu_gen_4d595a.py": """
mmlu_datasets = [dict(abbr="lukaemon_mmlu_astronomy", name="astronomy", kind="mmlu", path="x")]
""",
    "opencompass/utils/__init__.py": """
def dataset_abbr_from_cfg(one): return one["abbr"]
def model_abbr_from_cfg(one): return one["abbr"]
def get_prompt_hash(one): return "5f30c7aa"
""",
    "opencompass/tasks/__init__.py": """
import csv, json, os, pathlib, re, signal, sys, time, urllib.error, urllib.request

def say(level, text):
    print(f"11/27 12:00:00 - OpenCompass - {level} - /x/toy.py - run - 1 - {text}", flush=True)

def rows(one):
    place = pathlib.Path(one["path"])
    if one.get("kind") == "ceval":
        tables = {}
        for split in ("dev", "val", "test"):
            with open(place / split / f"{one['name']}_{split}.csv", encoding="utf-8") as file:
                tables[split] = list(csv.DictReader(file))
        return [(f"{row['question']} {row['A']} {row['B']} {row['C']} {row['D']}", row["answer"], row) for row in tables["val"]]
    if one.get("kind") == "mmlu":
        with open(place / "test" / f"{one['name']}_test.csv", encoding="utf-8") as file:
            return [(" ".join(row[:5]), row[5], dict(zip("ABCD", row[1:5]))) for row in csv.reader(file)]
    return [(row["prompt"], row["answer"], row) for row in map(json.loads, open(place, encoding="utf-8"))]

def ask(model, prompt):
    if "openai_api_base" not in model:
        return "B"
    body = {"model": model["path"], "max_tokens": model["max_out_len"], "temperature": model["temperature"],
            "messages": [{"role": "user", "content": prompt}]}
    head = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(model["openai_api_base"] + "/chat/completions", json.dumps(body).encode(), head)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        say("ERROR", f"Error code: {error.code} - {error.read().decode()}")
    except OSError:
        say("ERROR", "Connection error.")
    raise RuntimeError("Calling OpenAI API failed after retrying for 2 times. Check the logs for details.")

def broken(name, mode):
    return os.environ.get("TOY_BREAKS") == mode and os.environ.get("TOY_AT", name) == name

class Task:
    def __init__(self, cfg):
        self.cfg, self.work_dir = cfg, cfg["work_dir"]
        self.model_cfgs, self.dataset_cfgs = cfg["models"], cfg["datasets"]
        self.place = pathlib.Path(self.work_dir)

    def file(self, folder, one, prefix="", end=".json"):
        made = self.place / folder / self.model_cfgs[0]["abbr"] / f"{prefix}{one['abbr']}{end}"
        made.parent.mkdir(parents=True, exist_ok=True)
        return made

class OpenICLInferTask(Task):
    def run(self, cur_model=None, cur_model_abbr=None):
        (model,) = self.model_cfgs
        self.model = cur_model or object()
        for one in self.dataset_cfgs[0]:
            if broken(one["abbr"], "module"):
                raise ModuleNotFoundError("No module named 'httpx'")
            asked = rows(one)
            if self.file("predictions", one).exists():
                continue
            say("INFO", "Starting inference process...")
            tmp = self.file("predictions", one, "tmp_", ".jsonl")
            kept = {}
            if tmp.exists():
                for line in tmp.read_text().splitlines():
                    item = json.loads(line)
                    kept[item.pop("idx")] = item
            for number in range(len(kept), len(asked)):
                here = os.environ.get("TOY_AT", one["abbr"]) == one["abbr"] and number >= int(os.environ.get("TOY_FROM", "0"))
                while here and os.path.exists(os.environ.get("TOY_HOLD", "/nowhere")):
                    time.sleep(0.01)
                if number and broken(one["abbr"], "kill"):
                    os.kill(os.getpid(), signal.SIGKILL)
                if broken(one["abbr"], "exit"):
                    raise IndexError("/x/opencompass/datasets/ceval.py: Index 4 out of range")
                prompt, gold, _row = asked[number]
                kept[str(number)] = {"origin_prompt": [{"role": "HUMAN", "prompt": prompt}], "prediction": ask(model, prompt), "gold": gold}
                with open(tmp, "a") as file:
                    file.write(json.dumps({"idx": str(number), **kept[str(number)]}) + "\\n")
            if broken(one["abbr"], "empty"):
                os._exit(0)
            self.file("predictions", one).write_text(json.dumps(kept))
            tmp.unlink()

class OpenICLEvalTask(Task):
    def run(self):
        for one in self.dataset_cfgs[0]:
            if self.file("results", one).exists():
                continue
            if not self.file("predictions", one).exists():
                raise FileNotFoundError("Prediction files not found: neither a nor b exists")
            said = json.loads(self.file("predictions", one).read_text())
            details, right = {}, 0
            for number, (_prompt, gold, row) in enumerate(rows(one)):
                text = said[str(number)]["prediction"]
                if one.get("kind"):
                    taken = next((letter for letter in text if letter.isupper()), "")
                    details[str(number)] = {"predictions": taken, "references": gold, "origin_prediction": text}
                else:
                    named = [letter for letter in "ABCDEFGHIJ" if row.get(letter) and row[letter].lower() in text.lower()]
                    taken = text if text in "ABCD" and len(text) == 1 else named[0] if len(named) == 1 else "A"
                    details[str(number)] = {"pred": text, "parsed": taken, "refr": gold, "correct": taken == gold}
                right += taken == gold
            number = "-" if broken(one["abbr"], "spoil") else 100 * right / len(details)
            self.file("results", one).write_text(json.dumps({"accuracy": number, "details": {"type": "GEN", **details}}))
""",
    "opencompass/cli/main.py": """
import argparse, os, pathlib, time
from opencompass import tasks

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--work-dir")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--reuse", default="")
    args = parser.parse_args()
    config = {}
    exec(compile(open(args.config).read(), args.config, "exec"), config)
    place = pathlib.Path(args.work_dir) / (args.reuse or time.strftime("%Y%m%d_%H%M%S"))
    (place / "configs").mkdir(parents=True, exist_ok=True)
    (place / "configs" / f"{time.time_ns()}.py").write_text("")
    def left(folder):
        model = config["models"][0]["abbr"]
        return [one for one in config["datasets"] if not (place / folder / model / f"{one['abbr']}.json").exists()]
    def task(kind, some):
        models = config["models"]
        kind({"models": models, "datasets": [some] * len(models), "work_dir": str(place)}).run()
    if some := left("predictions"):
        task(tasks.OpenICLInferTask, some)
    if some := left("results"):
        task(tasks.OpenICLEvalTask, some)
    print("dataset version metric mode model", flush=True)
""",
    "opencompass/cli/__init__.py": "",
    "opencompass/configs/models/qwen/hf_qwen2_7b.py": "",
    "opencompass/configs/summarizers/example.py": "",
}


def make(workspace: Workspace) -> Path:
    """The environment, ready and proven; returns its folder."""
    build = environments.make(workspace, ENGINE, environments.PASSED)
    packages = next(build.glob("lib/python*/site-packages"))
    for name, text in FILES.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    # What makes a folder with a Python in it an environment of its own.
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (build / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    python = places.interpreter(build)
    python.unlink()
    python.symlink_to(base)
    return build


def work(workspace: Workspace, store: EvaluateStore, folder: Path, served: Served | None, **fields: Any) -> Work:
    """What the evaluator is given for a spec of ``fields``; the same folder again is another attempt of the same job."""
    spec = EvaluateSpec(**{"model": "stub", "evaluator": "opencompass", **fields})
    folder.mkdir(parents=True, exist_ok=True)
    known = sets.get(workspace, spec.questions)
    run = Run(0, "run", "opencompass", "", spec.model, known.name, known.version, job=1, began=1.0)
    questions = sets.questions(workspace, spec.questions, spec.subjects, spec.limit, spec.seed)
    return Work(Job(spec, folder), spec, workspace, store, store.begin(run), served, questions, folder)


def ceval(
    workspace: Workspace,
    folder: Path,
    subjects: tuple[str, ...] = ("logic", "law"),
    count: int = 3,
    encoding: str = "utf-8",
) -> None:
    """A set ``ceval`` of a folder in that layout; every solution is B."""
    for subject in subjects:
        for split, rows in (("dev", 5), ("val", count), ("test", 1)):
            path = folder / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding=encoding, newline="") as file:
                writer = csv.writer(file)
                writer.writerow(HEADER)
                for number in range(rows):
                    writer.writerow((number, f"{subject} {split} 问题 {number}?", "甲", "乙", "丙", "丁", "B", ""))
    sets.add(workspace, folder, "ceval")


def served(server: Stub) -> Served:
    return Served(server.server.base_url, "stub", KEY, 4096)


def cells(work: Work) -> dict[str, Score]:
    return {score.subject: score for score in work.store.scores(work.run_id)}


def events(work: Work) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work.folder / "events.jsonl").read_text().splitlines()]


def children(work: Work) -> list[psutil.Process]:
    """Processes of OpenCompass that work for it."""
    mark = str(work.folder)
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any(mark in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def with_thread(beside: Any, run: Any) -> None:
    """``run`` while ``beside`` goes on in another thread."""
    thread = threading.Thread(target=beside)
    thread.start()
    try:
        run()
    finally:
        thread.join(20)
    assert not thread.is_alive()
