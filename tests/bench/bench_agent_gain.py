"""Training on kept turns: how many of the check's twenty tasks the model that ships passes before and after, and what it forgets; goal: a gain.

    python -m tests.bench.bench_agent_gain      # a quarter of an hour

Four hundred turns as *Make a training row* keeps them, of other cities, days, sums and files than the tasks ask about; the preset for tools; the same check before
and after, in the server's own form.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backend.finetune import proof
from backend.workspace import ROOT, open_workspace
from tests.support import datasets, taught_traces
from tests.support.panel import end_all_of

ROWS = 400


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``."""
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder:
        root = Path(folder)
        os.environ["TUNEDECK_WORKSPACE"] = str(root / "workspace")
        try:
            return _measured(root)
        finally:
            end_all_of(root / "workspace")
            del os.environ["TUNEDECK_WORKSPACE"]


def _measured(root: Path) -> list[dict[str, Any]]:
    workspace = open_workspace(root / "workspace")
    before = _passed(root, "starter")
    datasets.keep(workspace, "turns", taught_traces.rows(ROWS, "openai"))
    job = root / "job"
    job.mkdir()
    (root / "wish.json").write_text(json.dumps({"model": "starter", "dataset": "turns"}))
    planned = _json("-m", "backend", "finetune", "plan", str(root / "wish.json"), "--preset", "tools", "--json")
    (job / "spec.json").write_text(json.dumps(planned.get("spec", planned)))
    began = time.monotonic()
    _run("-m", "jobs.finetune", str(job / "spec.json"), TUNEDECK_JOB_DIR=str(job))
    seconds = time.monotonic() - began
    (job / "merged").rename(root / "tuned")
    _run("-m", "backend", "models", "add", str(root / "tuned"))
    after = _passed(root, "tuned")
    found = proof.read(job)
    assert found is not None
    assert found.general is not None
    general = found.general.tally
    return [
        {"what": "tasks passed of 20, before", "value": before, "unit": ""},
        {"what": "tasks passed of 20, after", "value": after, "unit": "", "ratio": round(after / max(1, before), 2),
         "goal": "more than before", "ok": after > before},
        {"what": f"general questions answered of {general.n}, before", "value": general.base, "unit": ""},
        {"what": f"general questions answered of {general.n}, after", "value": general.tuned, "unit": "",
         "ratio": round(general.tuned / general.base, 2)},
        {"what": "the training, with merging and proof, one thread", "value": round(seconds), "unit": "s"},
    ]  # fmt: skip


def _passed(root: Path, model: str) -> int:
    folder = root / f"check-{model}"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"model": model, "protocols": ["openai"]}))
    _run("-m", "jobs.agent_check", str(folder / "spec.json"), TUNEDECK_JOB_DIR=str(folder))
    result = json.loads((folder / "result.json").read_text())
    return int(result["protocols"]["openai"]["passed"])


def _run(*arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_run(*arguments))
    return found


def main() -> None:
    for row in measure():
        ratio = f"{row['ratio']:.2f} x" if "ratio" in row else ""
        print(f"{row['what']:60} {row['value']:>6} {row['unit']:3} {ratio:>8}  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
