"""Counting the tokens of all rows, as a real process: right, stopped and gone on with, and in memory that does not grow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.tokens import histogram, open_model
from backend.data.tokens.lengths import Lengths
from backend.errors import fill
from backend.workspace import ROOT, Workspace
from tests.support.wait import until

STARTER = ROOT / "models" / "starter"
SPEC = {"dataset": "many 数据", "model": "starter"}


def made(workspace: Workspace, count: int) -> None:
    with Datasets(workspace).write(SPEC["dataset"], steps=[]) as out:
        for n in range(count):
            row: Row = {
                "messages": [
                    {"role": "user", "content": f"What is {n}?"},
                    {"role": "assistant", "content": "A number. " * (n % 7)},
                ]
            }
            out.add(row)


def start(workspace: Workspace, spec: dict[str, Any]) -> subprocess.Popen[str]:
    job = workspace.root.parent / "job"
    job.mkdir(exist_ok=True)
    (job / "spec.json").write_text(json.dumps(spec))
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.count_tokens", str(job / "spec.json")],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(workspace.root), "TUNEDECK_JOB_DIR": str(job)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], workspace: Workspace) -> tuple[int, dict[str, Any], str]:
    output, _ = process.communicate(timeout=100)
    result = workspace.root.parent / "job" / "result.json"
    return process.returncode, json.loads(result.read_text()) if result.is_file() else {}, output


def test_every_row_is_counted_and_the_counts_lie_beside_the_rows(workspace: Workspace) -> None:
    made(workspace, 700)
    code, result, output = ended(start(workspace, SPEC), workspace)
    assert code == 0, output
    version, model = Datasets(workspace).open(SPEC["dataset"]), open_model(STARTER)
    kept = histogram.read(model, version)
    assert kept is not None
    assert kept.of() == histogram.sample(model, version, rows=700).of()
    assert (result["rows"], result["longest"]) == (700, max(kept.of()))
    assert [file.name for file in (version.folder / "tokens").iterdir()] == [f"{model.fingerprint}.json"]
    steps = [json.loads(line) for line in (workspace.root.parent / "job" / "events.jsonl").read_text().splitlines()]
    assert max(event.get("step", 0) for event in steps) == 700


def test_a_count_that_was_stopped_goes_on_where_it_was(workspace: Workspace) -> None:
    made(workspace, 30_000)
    process = start(workspace, SPEC)
    events = workspace.root.parent / "job" / "events.jsonl"
    until(lambda: events.is_file() and '"step"' in events.read_text(), 60, "the first batch is counted")
    process.send_signal(signal.SIGINT)
    code, _result, output = ended(process, workspace)
    assert code == 130, output
    version, model = Datasets(workspace).open(SPEC["dataset"]), open_model(STARTER)
    partial = histogram.read_partial(model, version)
    assert partial is not None
    assert 0 < partial.start == partial.counted < 30_000
    assert histogram.read(model, version) is None
    # Counts that only a going-on would keep: the first rows are not looked at again.
    partial.counts["train"][999_999] += 1
    partial.start += 1
    partial_file = next((version.folder / "tokens").glob("*.partial.json"))
    partial_file.write_text(json.dumps(partial.to_dict()))
    code, _result, output = ended(start(workspace, SPEC), workspace)
    assert code == 0, output
    assert f"{partial.start} of 30000 rows" in output
    kept = histogram.read(model, version)
    assert kept is not None
    assert (kept.counted, kept.of()[999_999]) == (30_000, 1)
    assert not partial_file.exists()


def test_a_partial_count_of_something_else_is_not_gone_on_with(workspace: Workspace) -> None:
    made(workspace, 10)
    version, model = Datasets(workspace).open(SPEC["dataset"]), open_model(STARTER)
    other = Lengths(10, start=9)
    histogram.write(model, version, other, "starter")
    assert histogram.read_partial(model, version) is None
    code, _result, output = ended(start(workspace, SPEC), workspace)
    assert code == 0, output
    assert "were counted before" not in output


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"dataset": "none"}, "no dataset called 'none'"),
        ({"model": "none"}, "none"),
        ({"version": "ffff"}, "has no version ffff"),
    ],
)
def test_what_is_not_there_is_named(workspace: Workspace, spec: dict[str, str], said: str) -> None:
    made(workspace, 1)
    code, result, output = ended(start(workspace, {**SPEC, **spec}), workspace)
    assert code == 1, output
    assert said in fill(result["error"]["message"], result["error"]["params"])


def test_the_command_line_counts_a_file_as_the_import_would_read_it(tmp_path: Path) -> None:
    file = tmp_path / "rows 数据.json"
    turn = {"system": "You are Robin.", "input": "Who are you?", "output": "I am Robin."}
    file.write_text(json.dumps([{"conversation": [turn]}] * 12 + [{"conversation": "none"}]))
    run = [sys.executable, "-m", "backend", "data", "stats", str(file)]
    plan = ["--tokenizer", "starter", "--max-length", "512", "--epochs", "1"]
    done = subprocess.run([*run, *plan, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["rejected"], found["turns"], found["splits"]) == (12, 1, 36, {"train": 12})
    assert found["tokens"]["quantiles"]["0.5"] == found["tokens"]["longest"] > 20
    assert (found["plan"]["runs"], found["plan"]["problems"][0]["code"]) == (False, "no_warmup")
    told = subprocess.run([*run, *plan], cwd=ROOT, capture_output=True, text=True, timeout=100).stdout
    assert "end should be larger than begin" in told
    bare = subprocess.run([*run, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert "tokens" not in json.loads(bare.stdout)
