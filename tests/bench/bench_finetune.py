"""Fine-tuning: a job against the same Trainer started by hand, on the starter, one thread each

Both sides are processes of their own that take turns; both train a LoRA on the same packed rows with the same settings. Speed
is tokens per second of the step's own time; the start is from the process's beginning to the end of its first step.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backend.data.make import identity
from backend.data.store import Datasets
from backend.queue.events import read_events
from backend.specs import parse
from backend.workspace import ROOT, open_workspace

TURNS, STEPS = 3, 12
LEAST_SPEED, LONGEST_START_S = 0.98, 3.0
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
    "lora_rank": 8,
    "lora_dropout": 0.0,
    "gradient_checkpointing": False,
    "validation_share": 0.0,
    "rehearse": False,
    "merge": False,
    "prove": False,
}


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "TUNEDECK_WORKSPACE": str(home / "workspace"), "OMP_NUM_THREADS": "1"}
        workspace = open_workspace(home / "workspace")
        with Datasets(workspace).write("me", steps=[{"do": "make"}]) as out:
            for row in identity.rows(identity.IdentityWish(name="Nova", maker="Example Labs")):
                out.add(row)
        sides: dict[str, list[tuple[float, float]]] = {"job": [], "hand": []}
        for turn in range(TURNS + 1):
            job, hand = _job(home / f"job{turn}", env), _by_hand(home / f"job{turn}", env)
            if turn:  # the first one reads everything from the disk
                sides["job"].append(job)
                sides["hand"].append(hand)
    speed = {name: statistics.median(one[0] for one in found) for name, found in sides.items()}
    start = {name: statistics.median(one[1] for one in found) for name, found in sides.items()}
    ratio, later = speed["job"] / speed["hand"], start["job"] - start["hand"]
    return [
        {"what": "LoRA on the starter by hand (transformers' Trainer)", "value": speed["hand"], "unit": "tokens/s"},
        {
            "what": "the same as a job",
            "value": speed["job"],
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
    ]


def _job(folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """(tokens a second, seconds to the first step)."""
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(SPEC))
    began = time.time()
    command = [sys.executable, "-m", "jobs.finetune", str(folder / "spec.json")]
    subprocess.run(command, cwd=ROOT, env={**env, "TUNEDECK_JOB_DIR": str(folder)}, check=True, capture_output=True)
    told = [one for one in read_events(folder)[0] if "tokens_s" in (one.get("metrics") or {})]
    return statistics.median(one["metrics"]["tokens_s"] for one in told[1:]), told[0]["t"] - began


def _by_hand(folder: Path, env: dict[str, str]) -> tuple[float, float]:
    spec = folder / "bare.json"
    spec.write_text(json.dumps(parse("finetune", SPEC).model_dump()))
    out = folder / "bare-out.json"
    began = time.time()
    command = [
        sys.executable,
        "-m",
        "tests.support.bare_finetune",
        str(spec),
        str(folder / "rows" / "train.npz"),
        str(out),
    ]
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    told = json.loads(out.read_text())
    return told["tokens"] / statistics.median(told["wall_s"][1:]), told["first"] - began
