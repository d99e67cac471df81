"""Quantizing: a job against llm-compressor started by hand, GPTQ in 4 bits on the starter, one thread each

Both sides are processes of their own that take turns; both look at the same rows. What counts is the processor's time from the start
until the copy is on the disk: with one thread that is the time it takes on a machine that does nothing else. The job plans, chooses rows
and keeps them before, all of which counts; afterwards it checks the copy against its base, which is told apart.
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

import psutil

from backend.queue.events import read_events
from backend.workspace import ROOT

TURNS, MOST = 2, 1.05
SPEC: dict[str, Any] = {
    "model": str(ROOT / "models" / "starter"),
    "method": "gptq",
    "samples": 128,
    "sample_tokens": 512,
    "group_size": 128,
    "device": "cpu",
    "report": False,
}


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "TUNEDECK_WORKSPACE": str(home / "workspace"), "OMP_NUM_THREADS": "1"}
        jobs, hands, checks, sizes = list[float](), list[float](), list[float](), list[tuple[int, int]]()
        for turn in range(TURNS + 1):
            place = home / f"job{turn}"
            made, check = _job(place, env)
            hand = _by_hand(place, env)
            sizes.append((_size(place / "quantized"), _size(place / "by-hand")))
            if turn:  # the first one reads everything from the disk
                jobs.append(made)
                hands.append(hand)
                checks.append(check)
    ratio = statistics.median(jobs) / statistics.median(hands)
    larger = statistics.median(one / other for one, other in sizes)
    return [
        {
            "what": "GPTQ on the starter by hand (llm-compressor), start to copy on the disk",
            "value": statistics.median(hands),
            "unit": "CPU s",
        },
        {
            "what": "the same as a job, start to copy on the disk",
            "value": statistics.median(jobs),
            "unit": "CPU s",
            "ratio": ratio,
            "goal": f"<= {MOST} x by hand",
            "ok": ratio <= MOST,
        },
        {
            "what": "size of the weights",
            "value": larger,
            "unit": "x by hand",
            "goal": "the same",
            "ok": abs(larger - 1) < 0.01,
        },
        {"what": "then the check against its base", "value": statistics.median(checks), "unit": "CPU s"},
    ]


def _job(folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """(CPU seconds from its start until the copy is on the disk, CPU seconds of all that comes then)."""
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(SPEC))
    command = [sys.executable, "-m", "jobs.quantize", str(folder / "spec.json")]
    process = _started(command, {**env, "TUNEDECK_JOB_DIR": str(folder)})
    made = last = 0.0
    while (now := _cpu(process)) is not None:
        last = now
        if not made and any(one.get("phase") == "check" for one in read_events(folder)[0]):
            made = now
        time.sleep(0.02)
    assert process.returncode == 0
    return made, last - made


def _by_hand(folder: Path, env: dict[str, str]) -> float:
    command = [sys.executable, "-m", "tests.support.bare_quantize", str(folder / "spec.json")]
    process = _started([*command, str(folder / "calibration.jsonl"), str(folder / "by-hand")], env)
    last = 0.0
    while (now := _cpu(process)) is not None:
        last = now
        time.sleep(0.02)
    assert process.returncode == 0
    return last


def _started(command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _cpu(process: subprocess.Popen[bytes]) -> float | None:
    """CPU seconds that it has used so far; None once it has ended."""
    if process.poll() is not None:
        return None
    times = psutil.Process(process.pid).cpu_times()  # it is there until its end has been seen
    return float(times.user + times.system)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
