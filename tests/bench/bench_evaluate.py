"""OpenCompass through a job of ours against the same config started by hand, and how long it takes to start.

    TUNEDECK_TEST_ENVIRONMENTS=… python -m tests.bench.bench_evaluate

Needs an environment of OpenCompass (``envs install opencompass``); without one there is nothing to measure. The server answers at once, so that nothing
hides what we add: the program that runs the job, the looks at its files, scores and answers into the store.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from backend.bench import keys
from backend.engines import opencompass_config as oc
from backend.engines import opencompass_edit, opencompass_results, opencompass_text
from backend.engines.opencompass import ENGINE
from backend.envs import places, running
from backend.evaluate import sets
from backend.evaluate.known_subjects import CEVAL
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import ROOT, Workspace, open_workspace
from tests.bench.table import Row
from tests.support.stub_openai import KEY, stub

SUBJECTS = tuple(CEVAL)
QUESTIONS, TURNS = 26, ("hand", "job", "job", "hand")
"""As many as C-Eval itself asks."""
GOAL = 1.03
LONGEST_S = 900


@dataclass(frozen=True)
class Took:
    """seconds: by the clock. cpu: seconds of computing. start: seconds until the first question was asked; 0: not known."""

    seconds: float
    cpu: float
    start: float = 0.0


def measure() -> list[Row]:
    folder = os.environ.get("TUNEDECK_TEST_ENVIRONMENTS")
    if folder:
        os.environ["TUNEDECK_ENVIRONMENTS_FOLDER"] = folder
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as name, stub(script={"say": "B"}) as server:
        top = Path(name)
        os.environ["TUNEDECK_WORKSPACE"] = str(top / "workspace")
        workspace = open_workspace()
        if not places.status(workspace, ENGINE.name).usable:
            print("OpenCompass is not installed here: nothing to measure.")
            return []
        _fill(workspace, top / "data")
        spec = EvaluateSpec(
            model="stub",
            base_url=server.server.base_url,
            key_name="stub",
            questions="ceval",
            evaluator="opencompass",
            answer_tokens=16,
        )
        _read_once(workspace)
        took: dict[str, list[Took]] = {"hand": [], "job": []}
        for number, way in enumerate(TURNS):
            one = (_by_hand if way == "hand" else _by_job)(workspace, spec, top / f"{way}{number}")
            took[way].append(one)
            print(f"  {way}: {one.seconds:.1f} s, {one.cpu:.1f} s of computing", flush=True)
    # The least of each: what else runs on this machine only ever adds.
    hand, job = (min(one.seconds for one in took[way]) for way in ("hand", "job"))
    hand_cpu, job_cpu = (min(one.cpu for one in took[way]) for way in ("hand", "job"))
    asked = f"{len(SUBJECTS)} subjects of {QUESTIONS} questions"
    return [
        {"what": f"OpenCompass by hand, {asked}", "value": hand, "unit": "s"},
        {
            "what": "the same config through a job",
            "value": job,
            "unit": "s",
            "ratio": job / hand,
            "goal": f"<= {GOAL} x by hand",
            "ok": job <= GOAL * hand,
        },
        {"what": "computing for it, of all processes", "value": job_cpu, "unit": "s", "ratio": job_cpu / hand_cpu},
        {
            "what": "of the time until the first question is asked",
            "value": min(one.start for one in took["job"]),
            "unit": "s",
        },
    ]


def _read_once(workspace: Workspace) -> None:
    """Whoever came first would read its packages from the disk."""
    python = places.status(workspace, ENGINE.name).python
    subprocess.run(
        [str(python), "-c", "import opencompass.cli.main"], check=True, capture_output=True, timeout=LONGEST_S
    )


def _fill(workspace: Workspace, folder: Path) -> None:
    keys.save(workspace, "stub", KEY)
    for subject in SUBJECTS:
        for split, count in (("dev", 5), ("val", QUESTIONS), ("test", 1)):
            path = folder / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("id", "question", "A", "B", "C", "D", "answer", "explanation"))
                writer.writerows(
                    (n, f"{subject} {split} 问题 {n}?", "甲", "乙", "丙", "丁", "B", "") for n in range(count)
                )
    sets.add(workspace, folder, "ceval")


def _by_hand(workspace: Workspace, spec: EvaluateSpec, place: Path) -> Took:
    place.mkdir()
    found = places.status(workspace, ENGINE.name)
    assert found.python is not None
    tokenizer = oc.write_tokenizer(ROOT / "models" / "starter", place / "tokenizer")
    values = opencompass_text.server_values(spec.base_url, spec.model, str(tokenizer), 4096)
    values["data_folder"] = str(sets.folder(workspace, spec.questions))
    config = place / "config.py"
    config.write_text(opencompass_edit.fill(oc.text_for(workspace, spec), values), encoding="utf-8")
    environ = running.environ(ENGINE, found.python, found.flavour or "cpu") | oc.environ(KEY)
    argv = oc.command(found.python, config, place / "out")
    began, used = time.monotonic(), _used()
    done = subprocess.run(argv, cwd=place, env=environ, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    took = Took(time.monotonic() - began, _used() - used)
    run = opencompass_results.attempt(place / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert run is not None
    assert all(opencompass_results.read(run, f"ceval-{subject}") for subject in SUBJECTS)
    shutil.rmtree(place / "out")
    return took


def _by_job(workspace: Workspace, spec: EvaluateSpec, place: Path) -> Took:
    place.mkdir()
    (place / "spec.json").write_text(json.dumps(spec.model_dump(mode="json", exclude_defaults=True)))
    environ = {**os.environ, "TUNEDECK_JOB_DIR": str(place), "TUNEDECK_WORKSPACE": str(workspace.root)}
    argv = [sys.executable, "-m", "jobs.evaluate", str(place / "spec.json")]
    began, used = time.monotonic(), _used()
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    took = Took(time.monotonic() - began, _used() - used)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    events = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
    start = next(each["metrics"]["startup_s"] for each in events if "startup_s" in each.get("metrics", {}))
    return replace(took, start=start)


def _used() -> float:
    """Seconds of computing of all programs that this one has started and waited for, and those that they have."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
