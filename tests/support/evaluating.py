"""Evaluations for tests: small sets of questions, and the job as it runs, here or as a process. The server: :mod:`tests.support.answering`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.evaluate import sets
from backend.evaluate.questions import QuestionSet
from backend.specs import parse
from backend.workspace import ROOT, Workspace
from jobs import evaluate
from jobs.harness import Job


def small_set(
    workspace: Workspace, subjects: Sequence[str] = ("geo", "law"), each: int = 5, name: str = "small", **more: Any
) -> QuestionSet:
    """``each`` choices of every subject, "Q1 of geo" …, whose solution is always B; ``more`` goes into every row."""
    rows = [
        {"subject": subject, "question": f"Q{n} of {subject}?", "A": "red", "B": "green", "C": "blue", "D": "grey", "answer": "B", **more}
        for subject in subjects
        for n in range(1, each + 1)
    ]  # fmt: skip
    return write_set(workspace, rows, name)


def write_set(workspace: Workspace, rows: Sequence[dict[str, Any]], name: str) -> QuestionSet:
    """One's own set with ``rows``."""
    path = workspace.root.parent / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return sets.from_file(workspace, path, name)


def job_folder(workspace: Workspace, name: str = "job") -> Path:
    folder = workspace.root.parent / name
    folder.mkdir(exist_ok=True)
    return folder


def run_here(workspace: Workspace, name: str = "job", **spec: Any) -> dict[str, Any]:
    """The result of the job, run in this process."""
    job = Job(parse("evaluate", {"model": "stub", "questions": "small", **spec}), job_folder(workspace, name))
    try:
        return evaluate.run(job)
    finally:
        job.events.close()


def start(workspace: Workspace, name: str = "job", **spec: Any) -> subprocess.Popen[str]:
    """The job as a process of its own."""
    folder = job_folder(workspace, name)
    (folder / "spec.json").write_text(json.dumps({"model": "stub", "questions": "small", **spec}))
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.evaluate", str(folder / "spec.json")],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(workspace.root), "TUNEDECK_JOB_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], workspace: Workspace, name: str = "job") -> tuple[int, dict[str, Any], str]:
    """(exit code, result, log)."""
    output, _ = process.communicate(timeout=60)
    result = job_folder(workspace, name) / "result.json"
    return process.returncode, json.loads(result.read_text()) if result.is_file() else {}, output
