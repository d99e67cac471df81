"""Pretraining as a real process: the recorded curve, a stop that saves, and going on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend import catalog
from backend.errors import SpecError
from backend.queue.events import read_events
from backend.specs import parse
from backend.specs.pretrain import PretrainSpec
from backend.workspace import ROOT, Workspace
from jobs.starter import checkpoint, loop
from tests.support.wait import until

RECORDED: dict[str, Any] = json.loads((ROOT / "models" / "tiny" / "training.json").read_text())


def start(folder: Path, queue: dict[str, str] | None = None, **changes: Any) -> subprocess.Popen[bytes]:
    """Begin the job that made ``models/tiny``, with ``changes``, in ``folder``; queue: what the queue would tell it."""
    folder.mkdir(exist_ok=True)
    spec = folder / "spec.json"
    spec.write_text(json.dumps({**RECORDED["spec"], **changes}))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.pretrain", str(spec)],
            cwd=ROOT,
            env={**os.environ, "TUNEDECK_JOB_DIR": str(folder), "OMP_NUM_THREADS": "1", **(queue or {})},
            stdout=log,
            stderr=log,
        )


def finish(process: subprocess.Popen[bytes], timeout: float = 90) -> int:
    """Its exit code; it is ended where it does not come."""
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def steps(folder: Path) -> list[dict[str, Any]]:
    """The progress events so far."""
    return [event for event in read_events(folder)[0] if "step" in event]


def curve(folder: Path) -> list[tuple[int, float]]:
    return [tuple(point) for point in json.loads((folder / "model" / "training.json").read_text())["curve"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one uninterrupted run, with checkpoints on its way."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder, save_every=15)) == 0, (folder / "log").read_text()
    return folder


def test_a_rebuild_follows_the_recorded_curve(whole: Path) -> None:
    recorded = [tuple(point) for point in RECORDED["curve"]]
    found = curve(whole)
    assert [step for step, _ in found] == [step for step, _ in recorded]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in recorded], rel=0.03)
    assert found[-1][1] < 0.7 * found[0][1]


def test_it_reports_progress_time_left_and_figures(whole: Path) -> None:
    events = steps(whole)
    assert [e["step"] for e in events] == [10, 20, 30, 40]
    assert all(e["total"] == 40 and e["phase"] == "train" for e in events)
    assert events[-1]["eta_s"] == 0
    assert set(events[0]["metrics"]) == {"loss", "lr", "tokens_s"}
    result = json.loads((whole / "result.json").read_text())
    assert result["ok"]
    assert Path(result["model"]) == whole / "model"
    assert [e["artifact"]["kind"] for e in read_events(whole)[0] if "artifact" in e] == ["model"]


def test_a_stop_saves_and_the_next_attempt_ends_where_the_whole_run_ended(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    process = start(folder)
    try:
        until(lambda: steps(folder), timeout=60, what="the first steps are reported")
        process.send_signal(signal.SIGINT)
    finally:
        code = finish(process)
    assert code == 130, (folder / "log").read_text()
    assert not (folder / "result.json").exists()
    (saved,) = checkpoint.complete(folder / "checkpoints")
    reached = int(saved.name.removeprefix("step-"))
    assert 10 <= reached < 40

    assert finish(start(folder)) == 0, (folder / "log").read_text()
    assert [e["step"] for e in steps(folder)][-1] == 40
    assert curve(folder)[-1][1] == pytest.approx(curve(whole)[-1][1], rel=1e-3)
    assert curve(folder)[0] == curve(whole)[0]  # what the first attempt saw is in the record
    total = json.loads((folder / "model" / "training.json").read_text())["tokens"]
    assert total == json.loads((whole / "model" / "training.json").read_text())["tokens"]


def test_another_job_may_go_on_from_its_checkpoint_with_fewer_steps(whole: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    assert [p.name for p in checkpoint.complete(whole / "checkpoints")] == ["step-0000015", "step-0000030"]
    code = finish(start(second, resume=str(whole / "checkpoints"), steps=32, decay_steps=2))
    assert code == 0, (second / "log").read_text()
    assert [e["step"] for e in steps(second)] == [32]
    assert curve(second)[:3] == curve(whole)[:3]


def test_in_the_queue_its_model_is_on_the_list_with_where_it_comes_from(workspace: Workspace, whole: Path) -> None:
    folder = workspace.jobs / "7"
    queue = {"TUNEDECK_JOB_ID": "7", "TUNEDECK_WORKSPACE": str(workspace.root)}
    short = {"steps": 2, "decay_steps": 1, "warmup_steps": 1, "tokenizer": str(ROOT / "models" / "tiny")}
    assert finish(start(folder, queue, **short)) == 0, (folder / "log").read_text()
    card = catalog.find(workspace, "pretrained-7")
    assert (card.path, card.problem, card.made_by) == (folder / "model", None, 7)
    assert card.lineage is not None
    assert card.lineage.verb == "pretrain"
    assert [e["artifact"]["label"] for e in read_events(folder)[0] if "artifact" in e] == ["pretrained-7"]
    # By hand it is on no list, and its folder says nothing of a job.
    assert not (whole / "model" / "tunedeck.json").exists()


def test_a_killed_data_process_ends_it_with_what_happened_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    process = start(folder, data_workers=1, steps=100_000, tokenizer=str(ROOT / "models" / "tiny"))
    try:
        (worker,) = until(
            lambda: psutil.Process(process.pid).children(), timeout=90, what="the process that makes rows has started"
        )
        worker.kill()
    finally:
        code = finish(process)
    assert code == 1, (folder / "log").read_text()
    error = json.loads((folder / "result.json").read_text())["error"]
    assert error["code"] == "data_worker_killed"
    assert "Resume goes on from the last checkpoint." in error["hint"]
    assert "A process that made the training's rows was ended from outside" in (folder / "log").read_text()


def test_resuming_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert finish(start(folder, resume=str(tmp_path))) == 1
    error = json.loads((folder / "result.json").read_text())["error"]
    assert error["code"] == "checkpoint_missing"
    assert f"There is no complete checkpoint in {tmp_path}." in (folder / "log").read_text()


def test_a_tokenizer_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "unfit"
    assert finish(start(folder, tokenizer=str(ROOT / "models" / "starter"))) == 1
    assert json.loads((folder / "result.json").read_text())["error"]["code"] == "tokenizer_unfit"


def test_a_checkpoint_without_its_marker_does_not_count(tmp_path: Path) -> None:
    for step, whole_one in ((10, True), (20, True), (30, False)):
        place = tmp_path / f"step-{step:07d}"
        place.mkdir()
        (place / "state.pt").write_bytes(b"half")
        if whole_one:
            (place / checkpoint.MARKER).touch()
    assert [place.name for place in checkpoint.complete(tmp_path)] == ["step-0000010", "step-0000020"]


def test_a_spec_reports_all_its_wrong_fields_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse("pretrain", {"steps": 0, "size": "huge", "lr": -1})
    assert {problem["field"] for problem in caught.value.problems} == {"steps", "size", "lr"}
    with pytest.raises(SpecError, match="must not exceed steps"):
        parse("pretrain", {"steps": 100, "warmup_steps": 60, "decay_steps": 60})


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    spec = PretrainSpec(steps=100, warmup_steps=10, decay_steps=20)
    assert loop.learning_rate(1, spec) == pytest.approx(0.1)
    assert loop.learning_rate(50, spec) == 1
    assert loop.learning_rate(90, spec) == pytest.approx(0.5)
    assert loop.learning_rate(100, spec) == 0


def test_the_defaults_are_those_of_the_model_that_is_shipped() -> None:
    recorded = json.loads((ROOT / "models" / "starter" / "training.json").read_text())
    assert PretrainSpec(**recorded["spec"]) == PretrainSpec()
    step, loss = recorded["curve"][-1]
    assert step == PretrainSpec().steps
    assert loss < 0.2


def test_it_goes_on_from_a_model_with_its_tokenizer_and_other_data(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "on"
    model = whole / "model"
    assert finish(start(folder, start_from=str(model), first_dialogue=8192, steps=10, decay_steps=1)) == 0
    assert curve(folder)[0][1] < 0.8 * curve(whole)[0][1], "it began with what the model had learned"
    assert (folder / "model" / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    again = tmp_path / "same data"
    assert finish(start(again, start_from=str(model), steps=10, decay_steps=1)) == 0
    assert curve(again) != curve(folder)


def test_a_model_of_another_shape_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "unfit"
    tokenizer = str(ROOT / "models" / "tiny")
    assert finish(start(folder, start_from=str(ROOT / "models" / "starter"), tokenizer=tokenizer)) == 1
    error = json.loads((folder / "result.json").read_text())["error"]
    assert error["code"] == "model_unfit"
    assert not (folder / "model").exists()
