"""``python -m backend bench matrix``: what can be measured here, the job that measures it, and the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import bench_matrix as cli
from backend.cli import main
from backend.errors import ServerError
from backend.queue import watcher
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import benchmarks


@pytest.fixture(autouse=True)
def _nothing_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "ensure_running", lambda workspace: None)


def asked(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["bench", "matrix", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_plan_says_of_each_row_whether_it_can_be_here(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    rows = asked(capsys, "course", "--plan")["rows"]
    assert [row["runs"] for row in rows] == [False, False, False, False, True]
    assert "NVIDIA GPUs only" in rows[0]["reason"]
    assert store.list() == [], "to look makes no job"
    assert main(["bench", "matrix", "course", "--plan"]) == 0
    assert "x TurboMind  LMDeploy computes" in capsys.readouterr().out


def test_where_no_row_can_be_measured_nothing_is_started(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    assert not any(row["runs"] for row in asked(capsys, "cache", code=cli.REFUSED)["rows"])
    assert store.list() == []


def test_a_preset_becomes_a_job_with_its_rows_and_requests(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    found = asked(capsys, "people", "--num-prompts", "3")
    spec = store.spec(found["id"])
    assert (found["verb"], found["title"]) == ("bench_matrix", "starter: people")
    assert spec["num_prompts"] == 3
    assert len(found["matrix"]["rows"]) == len(spec["setups"]) == 4


def test_a_file_of_ones_own_is_taken_and_a_wrong_one_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"setups": [{"label": "one", "serve": {"model": "starter"}}], "num_prompts": 2}))
    assert store.spec(asked(capsys, str(path))["id"])["setups"][0]["label"] == "one"
    path.write_text(json.dumps({"setups": [], "speed": 3}))
    error = asked(capsys, str(path), code=1)["error"]
    assert error["code"] == "spec_bad"
    assert "speed" in error["message"]
    assert asked(capsys, "quick", code=1)["error"]["code"] == "bench_preset_unknown"
    assert asked(capsys, "course", "--model", "gone", code=1)["error"]["code"] == "model_unknown"


def test_waiting_for_it_prints_the_table_and_writes_the_files_also_where_it_failed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def followed(store: Store, row: JobRow, *, quiet: bool = False) -> JobRow:
        benchmarks.fill(store, row)
        raise ServerError("bench_server_died", "The server went away.", "Look at its log.")

    monkeypatch.setattr(cli.follow, "follow", followed)
    found = asked(capsys, "course", "--wait", "--out", str(tmp_path / "out"), code=1)
    assert found["error"]["code"] == "bench_server_died"
    assert found["matrix"]["rows"][4]["cells"][0]["columns"]["rps"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"matrix.md", "matrix.csv", "matrix.html"}
    assert main(["bench", "matrix", "course", "--wait"]) == 1
    assert "| Hugging Face |" in capsys.readouterr().out
