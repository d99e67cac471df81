"""As a script and as a person see it: ``python -m backend finetune``: the page's plan, every fault at once, 2 where it is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import finetune as cli
from backend.cli import main
from backend.finetune import files
from backend.finetune.control import finish_asked
from backend.finetune.files import Checkpoint
from backend.queue import watcher
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.datasets import keep
from tests.support.planning import persona, spec, talk


@pytest.fixture
def talked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    keep(workspace, "talk", talk())
    monkeypatch.setattr(watcher, "ensure_running", lambda workspace: None)  # nothing is to be run here
    return workspace


def written(tmp_path: Path, **fields: Any) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec(**fields)))
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["finetune", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("talked")
def test_plan_says_what_the_page_shows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = asked(capsys, "plan", written(tmp_path))
    assert found["runs"] is True
    assert found["steps"] > 0
    assert found["spec"]["device"] == "cpu"
    assert found["seconds"]["source"] == "assumed"
    assert found["memory"]["p50"] > 0
    assert found["disk_bytes"] > 0
    assert found["evaluated"]
    assert main(["finetune", "plan", written(tmp_path)]) == 0
    text = capsys.readouterr().out
    for part in (
        "starter on talk",
        "190 rows",
        "10 rows held out",
        f"{found['steps']} steps",
        "assumed",
        "jobs.finetune",
    ):
        assert part in text
    assert "weights" in text


@pytest.mark.usefixtures("talked")
def test_a_refused_plan_ends_with_2_and_every_fault(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, method="qlora", gpus=3, lora_rank=0, dataset="none")
    found = asked(capsys, "plan", path, code=2)
    assert {fault["field"] for fault in found["faults"]} == {"method", "gpus", "lora_rank", "dataset"}
    assert found["runs"] is False
    assert main(["finetune", "plan", path]) == 2
    text = capsys.readouterr().out
    assert text.count("✗") == 4
    assert "Train a LoRA: method = lora" in text


def test_a_refused_run_or_rehearsal_submits_nothing(
    talked: Workspace, store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, gpus=3)
    for verb in ("run", "rehearse"):
        found = asked(capsys, verb, path, code=2)
        assert [fault["code"] for fault in found["faults"]] == ["finetune_gpus"]
        assert main(["finetune", verb, path]) == 2
        assert "✗ On the CPU it trains in one process" in capsys.readouterr().out
    assert store.list() == []


def test_run_and_rehearse_submit_what_was_planned(
    talked: Workspace, store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    planned = asked(capsys, "plan", written(tmp_path))
    job = asked(capsys, "run", written(tmp_path))
    assert (job["verb"], job["state"], job["title"]) == ("finetune", "queued", "fine-tune starter on talk")
    assert store.spec(job["id"]) == planned["spec"]
    assert asked(capsys, "rehearse", written(tmp_path))["verb"] == "rehearse"
    assert main(["finetune", "run", written(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("Job 3: fine-tune starter on talk")


@pytest.mark.usefixtures("talked")
def test_a_spec_comes_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec())))
    assert asked(capsys, "plan", "-")["runs"] is True


@pytest.mark.usefixtures("talked")
def test_a_file_that_is_no_spec_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert asked(capsys, "plan", str(tmp_path / "none.json"), code=1)["error"]["code"] == "spec_unreadable"
    (tmp_path / "list.json").write_text("[1]")
    assert "no JSON object" in asked(capsys, "plan", str(tmp_path / "list.json"), code=1)["error"]["message"]


def test_a_preset_fills_in_what_the_file_does_not_name(
    talked: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    persona(talked)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"model": "starter", "dataset": "My persona", "lora_rank": 4}))
    found = asked(capsys, "plan", str(path), "--preset", "identity", "--minutes", "3")
    assert (found["spec"]["learning_rate"], found["spec"]["lora_rank"], found["spec"]["purpose"]) == (
        1.3e-3,
        4,
        "identity",
    )
    error = asked(capsys, "plan", str(path), "--preset", "magic", code=1)["error"]
    assert error["code"] == "finetune_preset_unknown"
    assert "identity" in error["hint"]


def test_list_show_and_finish(
    talked: Workspace, store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert asked(capsys, "list") == []
    job = asked(capsys, "run", written(tmp_path))["id"]
    drill = store.submit("drill", {"steps": 1}).id
    folder = store.job_dir(job) / files.CHECKPOINTS / files.checkpoint_name(40)
    folder.mkdir(parents=True)
    kept = Checkpoint(step=40, epoch=1.0, created=1.0, loss=0.5, eval_loss=0.25, bytes=3 << 20)
    files.write(folder / files.COMPLETE, kept)
    assert [(run["id"], run["state"]) for run in asked(capsys, "list")] == [(job, "queued")]
    shown = asked(capsys, "show", str(job))
    assert (shown["spec"]["dataset"], shown["checkpoints"][0]["best"]) == ("talk", True)
    assert main(["finetune", "show", str(job)]) == 0
    assert "eval_loss 0.2500  3.0 MiB  best" in capsys.readouterr().out
    assert asked(capsys, "show", str(drill), code=1)["error"]["code"] == "finetune_no_run"
    assert asked(capsys, "finish", str(job), code=1)["error"]["code"] == "finetune_not_running"
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
    assert not finish_asked(store.job_dir(job))
    assert asked(capsys, "finish", str(job)) == {"job": job, "finishing": True}
    assert finish_asked(store.job_dir(job))


def test_spans_of_time_read_well() -> None:
    assert [cli.duration(seconds) for seconds in (5, 89, 600, 5400, 30_000)] == [
        "5 s",
        "89 s",
        "10 min",
        "1.5 h",
        "8.3 h",
    ]
