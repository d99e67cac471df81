"""Fine-tuning jobs as real processes, by hand and outside the queue: a tiny model, a few rows, one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend.queue.events import read_events
from backend.workspace import ROOT, Workspace
from tests.support.datasets import keep, row
from tests.support.wait import until

TINY = ROOT / "models" / "tiny"
SPEC: dict[str, Any] = {
    "model": str(TINY),
    "dataset": "colours",
    "device": "cpu",
    "max_length": 64,
    "batch_size": 2,
    "accumulation": 2,
    "max_steps": 12,
    "epochs": 50,
    "learning_rate": 0.01,
    "lora_rank": 4,
    "lora_dropout": 0.2,
    "gradient_checkpointing": False,
    "validation_share": 0.2,
    "eval_every": 4,
    "save_every": 3,
    "sample_every": 6,
    "rehearse": False,
    "merge": False,
    "prove": False,
}
"""What is random in a step (dropout) is here on purpose: a resume has to find that, too."""


def rows(workspace: Workspace, name: str = "colours", count: int = 40) -> None:
    """A dataset whose rows differ in length."""
    words = ("red", "green", "blue", "yellow")
    made = [
        row(f"What is {n} times {n}?", f"It is {n * n}. " + f"I say {words[n % 4]}. " * (n % 3)) for n in range(count)
    ]
    keep(workspace, name, made)


def start(
    folder: Path, verb: str = "finetune", env: dict[str, str] | None = None, **changes: Any
) -> subprocess.Popen[bytes]:
    """Begin the job in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "spec.json"
    spec.write_text(json.dumps({**SPEC, **changes}))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"jobs.{verb}", str(spec)],
            cwd=ROOT,
            env={**os.environ, "TUNEDECK_JOB_DIR": str(folder), "OMP_NUM_THREADS": "1", **(env or {})},
            stdout=log,
            stderr=log,
        )


def finish(process: subprocess.Popen[bytes], timeout: float = 240) -> int:
    """Its exit code; it is ended where it does not come."""
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run(folder: Path, verb: str = "finetune", **changes: Any) -> dict[str, Any]:
    """The result of a whole job."""
    code = finish(start(folder, verb, **changes))
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert result["ok"] is (code == 0), (folder / "log").read_text()
    return result


def at_step(folder: Path, step: int, process: subprocess.Popen[bytes], timeout: float = 240) -> None:
    """Wait until the job has said that ``step`` steps are done."""

    def there() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        return any(one >= step for one in losses(folder))

    until(there, timeout, f"step {step}")


def losses(folder: Path) -> dict[int, float]:
    """step -> loss, of a step that was done twice the last one."""
    return {
        one["step"]: one["metrics"]["loss"]
        for one in read_events(folder)[0]
        if "loss" in (one.get("metrics") or {}) and one["phase"] == "train"
    }
