"""The doctor as people run it: as a job with a report beside the version, and from the shell on any file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.data import doctor
from backend.data.store import Datasets
from backend.workspace import ROOT, Workspace

ROWS = [
    ("What is loam?", "Sand, silt and clay."),
    ("What is loam?", "Sand, silt and clay."),
    ("When do I prune?", ""),
    ("How sour is it?", "\n About six."),
]


def made(workspace: Workspace, name: str, rows: list[tuple[str, str]] = ROWS, **meta: Any) -> doctor.Report | None:
    with Datasets(workspace).write(name, steps=[]) as out:
        for question, answer in rows:
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            out.add({"messages": turns, **({"meta": meta} if meta else {})})  # type: ignore[typeddict-item]
    return doctor.read_report(Datasets(workspace).open(name))


def start(tmp_path: Path, **spec: Any) -> subprocess.Popen[str]:
    job = tmp_path / "job"
    job.mkdir(exist_ok=True)
    (job / "spec.json").write_text(json.dumps(spec))
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.examine_data", str(job / "spec.json")],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_JOB_DIR": str(job), "TUNEDECK_JOB_ID": "7"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(tmp_path: Path, **spec: Any) -> tuple[int, dict[str, Any], str]:
    process = start(tmp_path, **spec)
    output, _ = process.communicate(timeout=60)
    result = tmp_path / "job" / "result.json"
    return process.returncode, json.loads(result.read_text()) if result.exists() else {}, output


def cli(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", "data", *args], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def test_a_job_writes_the_report_beside_the_version(workspace: Workspace, tmp_path: Path) -> None:
    assert made(workspace, "soil") is None
    code, result, output = run(tmp_path, dataset="soil")
    assert code == 0, output
    assert result["counts"] == {"duplicate": 1, "answer_empty": 1, "leading_blanks": 1}
    assert (result["errors"], result["warnings"], result["notes"], result["rows"]) == (1, 2, 0, 4)
    assert "error: Empty answers: 1" in output
    report = doctor.read_report(Datasets(workspace).open("soil"))
    assert report is not None
    assert report.counts == result["counts"]


def test_a_job_compares_with_another_dataset(workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, "soil")
    made(workspace, "exam", [("what is LOAM", "?")])
    code, result, output = run(tmp_path, dataset="soil", against="exam")
    assert code == 0, output
    assert result["counts"]["leak_other"] == 2
    report = doctor.read_report(Datasets(workspace).open("soil"))
    assert report is not None
    assert report.of("leak_other")[0].message().startswith("The question of row 1 is that of row 1 of 'exam@")


def test_a_job_that_is_stopped_leaves_the_report_that_was_there(workspace: Workspace, tmp_path: Path) -> None:
    many = [(f"Question {n} of many?", "An answer to it. " * 40) for n in range(40_000)]
    made(workspace, "soil", many)
    version = Datasets(workspace).open("soil")
    before = doctor.Report(rows=7)
    before.save(version.folder)
    with start(tmp_path, dataset="soil") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[examine]"):
                process.send_signal(signal.SIGINT)
                break
        assert process.wait(60) == 130
    assert doctor.read_report(version) == before


def test_a_dataset_that_is_not_there_is_told(workspace: Workspace, tmp_path: Path) -> None:
    code, result, _ = run(tmp_path, dataset="soil")
    assert code == 1
    assert result["error"]["code"] == "dataset_unknown"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An Alpaca file with a broken record, a missing picture beside a whole one, an empty answer and a copy."""
    Image.new("RGB", (8, 8), "green").save(tmp_path / "leaf.png")
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in ROWS
    ]
    for picture in ("leaf.png", "gone.png"):
        asked = {"role": "user", "content": f"<image>\nWhat is on {picture}?", "images": [picture]}
        rows.append({"messages": [asked, {"role": "assistant", "content": "Something green."}]})
    lines = [json.dumps(row) for row in rows]
    path = tmp_path / "soil.jsonl"
    path.write_text("\n".join([lines[0], '{"messages": [', *lines[1:]]) + "\n")
    return path


def test_the_shell_is_told_the_row_of_the_file(file: Path, workspace: Workspace) -> None:
    done = cli("doctor", str(file), "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"malformed": 1, "duplicate": 1, "answer_empty": 1, "leading_blanks": 1, "image_broken": 1}
    found = {(finding["row"], finding["code"]) for finding in told["findings"]}
    assert found == {
        (2, "malformed"),
        (3, "duplicate"),
        (4, "answer_empty"),
        (5, "leading_blanks"),
        (7, "image_broken"),
    }
    first = told["findings"][0]
    assert first.keys() == {"row", "code", "severity", "message", "fixable"}
    assert first["message"].startswith("Record 2 of the source cannot be used: ")
    text = cli("doctor", str(file))
    assert "error: Empty answers (1)  → Take empty answers out\n  Row 4: the answer in turn 2 is empty." in text.stdout


def test_the_shell_mends_a_file_into_another_one(file: Path, workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "mended" / "soil.jsonl"
    out.parent.mkdir()
    done = cli("fix", str(file), "--out", str(out), "--all", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["before"], told["rows"]) == (6, 3)
    assert set(told["codes"]) == {"answer_empty", "leading_blanks", "duplicate", "image_broken"}
    again = cli("doctor", str(out), "--json")
    assert again.returncode == 0, again.stdout
    assert json.loads(again.stdout)["counts"] == {}, "the picture came along, and nothing is wrong any more"


def test_the_shell_mends_only_what_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, "soil")
    out = tmp_path / "soil.jsonl"
    done = cli("fix", "soil", "--out", str(out), "--code", "leading_blanks", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 4
    assert [json.loads(line)["messages"][1]["content"] for line in out.read_text().splitlines()][-1] == "About six."
    refused = cli("fix", "soil", "--out", str(out), "--code", "contradiction", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "fix_unknown"
