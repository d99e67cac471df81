"""Fine-tuning: a job against the same engine started by hand, on the starter, one thread each

Both sides are processes of their own that take turns; both train a LoRA on the same rows with the same settings: with the Trainer
of transformers, and where the environment of XTuner is installed (``TUNEDECK_TEST_ENVIRONMENTS`` names the folder of
environments) with that, by hand from the very config file and rows that the job had written. Speed is tokens per second of the
step's own time; the start is from the process's beginning to the end of its first step; memory is what the largest process of
each side held at most.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.data.make import identity
from backend.data.store import Datasets
from backend.engines import xtuner_run
from backend.envs import places
from backend.envs.status import Status
from backend.finetune import files, xtuner
from backend.queue.events import read_events
from backend.specs import parse
from backend.workspace import ROOT, Workspace, open_workspace
from jobs.finetuning.xtuner_child import environ
from tests.bench.table import Row

TURNS, STEPS = 5, 12
LEAST_SPEED, LONGEST_START_S, MOST_MEMORY = 0.98, 3.0, 1.02
FIRST = 2
"""Steps that are not measured: they still make room for themselves."""
SPEC: dict[str, Any] = {
    "model": str(ROOT / "models" / "starter"),
    "dataset": "me",
    "device": "cpu",
    "max_length": 256,
    "batch_size": 4,
    "accumulation": 1,
    "epochs": 50,
    "max_steps": STEPS,
    "learning_rate": 1e-3,
    "warmup_ratio": 0.0,
    "lora_rank": 8,
    "lora_dropout": 0.0,
    "gradient_checkpointing": False,
    "validation_share": 0.0,
    "rehearse": False,
    "merge": False,
    "prove": False,
}


@dataclass(frozen=True)
class Turn:
    """One training. speed: tokens/s. start: seconds to its first step. peak: bytes of its largest process."""

    speed: float
    start: float
    peak: int


Side = Callable[[Path], Turn]


def measure() -> list[Row]:
    """Rows for the table."""
    before = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            os.environ |= {"TUNEDECK_WORKSPACE": str(home / "workspace"), "OMP_NUM_THREADS": "1"}
            if environments := os.environ.get("TUNEDECK_TEST_ENVIRONMENTS"):
                os.environ["TUNEDECK_ENVIRONMENTS_FOLDER"] = environments
            workspace = open_workspace(home / "workspace")
            with Datasets(workspace).write("me", steps=[{"do": "make"}]) as out:
                for row in identity.rows(identity.IdentityWish(name="Nova", maker="Example Labs")):
                    out.add(row)
            found = _compared("transformers' Trainer", home / "peft", _job, _by_hand)
            ready = places.status(workspace, "xtuner")
            if ready.usable:
                found += _compared(
                    "XTuner", home / "xtuner", _xtuner_job, lambda folder: _xtuner_by_hand(workspace, ready, folder)
                )
            return found
    finally:
        os.environ.clear()
        os.environ.update(before)


def _compared(engine: str, home: Path, job: Side, hand: Side) -> list[Row]:
    """Both sides in turns; ``hand`` repeats what ``job`` has done in the same folder."""
    jobs, hands = list[Turn](), list[Turn]()
    for turn in range(TURNS + 1):
        folder = home / str(turn)
        folder.mkdir(parents=True)
        pair = job(folder), hand(folder)
        if turn:  # the first one reads everything from the disk
            jobs.append(pair[0])
            hands.append(pair[1])
        shutil.rmtree(folder)
    speed, by_hand = (statistics.median(one.speed for one in side) for side in (jobs, hands))
    later = statistics.median(one.start for one in jobs) - statistics.median(one.start for one in hands)
    peak, peak_by_hand = (statistics.median(one.peak for one in side) for side in (jobs, hands))
    ratio, more = speed / by_hand, peak / peak_by_hand
    return [
        {"what": f"LoRA on the starter by hand ({engine})", "value": by_hand, "unit": "tokens/s"},
        {
            "what": "the same as a job",
            "value": speed,
            "unit": "tokens/s",
            "ratio": ratio,
            "goal": f">= {LEAST_SPEED} x by hand",
            "ok": ratio >= LEAST_SPEED,
        },
        {
            "what": "start to first step: later than by hand",
            "value": later,
            "unit": "s",
            "goal": f"<= {LONGEST_START_S:g} s",
            "ok": later <= LONGEST_START_S,
        },
        {
            "what": "memory at its highest",
            "value": peak / (1 << 20),
            "unit": "MiB",
            "ratio": more,
            "goal": f"<= {MOST_MEMORY} x by hand",
            "ok": more <= MOST_MEMORY,
        },
    ]


def _job(folder: Path) -> Turn:
    began = time.time()
    peak = _run(_job_command(folder, SPEC), {"TUNEDECK_JOB_DIR": str(folder)})
    told = [one for one in read_events(folder)[0] if "tokens_s" in (one.get("metrics") or {})]
    speed = statistics.median(one["metrics"]["tokens_s"] for one in told[1:])
    return Turn(speed, told[0]["t"] - began, peak)


def _by_hand(folder: Path) -> Turn:
    spec, out = folder / "bare.json", folder / "bare-out.json"
    spec.write_text(json.dumps(parse("finetune", SPEC).model_dump()))
    began = time.time()
    words = ["tests.support.bare_finetune", str(spec), str(folder / "rows" / "train.npz"), str(out)]
    peak = _run([sys.executable, "-m", *words])
    told = json.loads(out.read_text())
    return Turn(told["tokens"] / statistics.median(told["wall_s"][1:]), told["first"] - began, peak)


def _xtuner_job(folder: Path) -> Turn:
    work = folder / files.XTUNER / xtuner.WORK
    began, first = time.monotonic(), list[float]()
    spec = {**SPEC, "engine": "xtuner", "packing": False, "dtype": "float32"}
    peak = _run(_job_command(folder, spec), {"TUNEDECK_JOB_DIR": str(folder)}, look=lambda: _first(work, first))
    return Turn(_tokens(folder) / _seconds(work), first[0] - began, peak)


def _xtuner_by_hand(workspace: Workspace, ready: Status, folder: Path) -> Turn:
    home = folder / "by hand"
    home.mkdir()
    for name in (xtuner.CONFIG, xtuner.ROWS):
        shutil.copyfile(folder / files.XTUNER / name, home / name)
    assert ready.python is not None
    work = home / xtuner.WORK
    command = xtuner_run.train(ready.python, home / xtuner.CONFIG, work)
    began, first = time.monotonic(), list[float]()
    peak = _run(command, environ(ready, home, device="cpu"), cwd=home, look=lambda: _first(work, first))
    return Turn(_tokens(folder) / _seconds(work), first[0] - began, peak)


def _first(work: Path, found: list[float]) -> None:
    """Note when the first measurement of a training in ``work`` is there."""
    if not found and any(file.stat().st_size for file in work.glob("*/vis_data/scalars.json")):
        found.append(time.monotonic())


def _tokens(folder: Path) -> int:
    """Of the steps that are measured, as the job counted them; by hand they are the same."""
    rows = xtuner_run.Scalars(folder / files.XTUNER / xtuner.WORK).new()
    return int(rows[-1]["tokens"] - rows[FIRST - 1]["tokens"])


def _seconds(work: Path) -> float:
    """That these steps took, without the wait for data, within which a job also evaluates and asks."""
    rows = xtuner_run.Scalars(work).new()
    assert len(rows) == STEPS, f"{len(rows)} of {STEPS} steps in {work}"
    return sum(row["time"] - row["data_time"] for row in rows[FIRST:])


def _job_command(folder: Path, spec: Mapping[str, Any]) -> list[str]:
    (folder / "spec.json").write_text(json.dumps(spec))
    return [sys.executable, "-m", "jobs.finetune", str(folder / "spec.json")]


def _run(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    cwd: Path = ROOT,
    look: Callable[[], None] = lambda: None,
) -> int:
    """Run a program to its end, and ``look`` every 20 ms; returns the bytes that the largest of its processes held at most."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=out, stderr=out)
        ended, status, used = 0, 0, None
        while not ended:
            look()
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        look()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            raise RuntimeError(out.read().decode(errors="replace")[-3000:])
    assert used is not None
    return used.ru_maxrss << 10
