"""Fine-tuning with XTuner as a job: followed, stopped, killed, resumed and converted; with a stand-in that behaves as the real one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.errors import PanelError
from backend.finetune import control, files, xtuner
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace
from jobs.finetuning import xtuner_checkpoints
from jobs.finetuning.xtuner_setting_up import set_up
from jobs.finetuning.xtuner_train import rehearse, train
from jobs.harness import Stopped
from tests.support import toy_xtuner
from tests.support.toy_xtuner import events, job, losses, planned
from tests.support.wait import until


@pytest.fixture
def toy(workspace: Workspace) -> Workspace:
    """A workspace with the stand-in and a dataset."""
    toy_xtuner.make(workspace)
    toy_xtuner.rows(workspace)
    return workspace


def steps(folder: Path) -> list[int]:
    return [one.step for one in files.checkpoints(folder)]


def test_a_run_tells_what_it_measures_keeps_its_checkpoints_and_becomes_an_adapter(
    toy: Workspace, tmp_path: Path
) -> None:
    made = planned(toy, keep=2)
    trained = train(job(made, tmp_path / "job"), made)
    folder = tmp_path / "job"
    assert (trained.step, trained.steps, trained.ended) == (12, 12, "done")
    assert trained.adapter == folder / "adapter"
    assert json.loads((folder / "adapter" / "adapter_model.safetensors").read_text())["iter"] == 12
    assert not (folder / "adapter" / "README.md").exists()
    assert steps(folder) == [9, 12]  # the newest two, the best of all among them
    newest = files.checkpoints(folder)[-1]
    assert (newest.best, newest.tokens, newest.epoch) == (True, 120, pytest.approx(12 / made.steps_per_epoch, abs=1e-3))
    assert newest.eval_loss == trained.eval_loss == newest.loss
    assert newest.bytes > 0
    said = events(folder)
    assert list(dict.fromkeys(event["phase"] for event in said)) == ["prepare", "load", "evaluate", "train", "convert"]
    steps_said = [event for event in said if event["phase"] == "train"]
    assert [event["step"] for event in steps_said] == list(range(1, 13))
    assert set(steps_said[-1]["metrics"]) == set(files.METRICS) - {"eval_loss"}
    assert steps_said[5]["metrics"]["tokens_s"] == pytest.approx(10 / 0.5)
    assert steps_said[0]["eta_s"] == pytest.approx(11 * 0.5)
    assert steps_said[-1]["eta_s"] == 0
    assert [e["step"] for e in said if e["phase"] == "evaluate"] == [0, 3, 6, 9, 12]
    assert list((folder / files.TENSORBOARD).glob("events.out.tfevents.*"))
    asked = files.samples(folder)
    assert {one.step for one in asked} == {0, 3, 6, 9, 12}
    assert all(one.question.startswith("What is") and one.expected.endswith("is a number.") for one in asked)


def test_steps_are_those_of_the_optimizer_whatever_it_accumulates(toy: Workspace, tmp_path: Path) -> None:
    made = planned(toy, accumulation=2, max_steps=6, warmup_ratio=0.0, eval_every=2, save_every=2)
    trained = train(job(made, tmp_path / "job"), made)
    assert (trained.step, trained.steps) == (6, 6)
    assert steps(tmp_path / "job") == [4, 6]
    assert list(losses(tmp_path / "job")) == [1, 2, 3, 4, 5, 6]
    last = [event for event in events(tmp_path / "job") if event["phase"] == "train"][-1]
    assert last["metrics"]["s_per_step"] == pytest.approx(1.0)


def test_the_best_is_kept_and_taken_where_it_gets_worse(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_WORSE_AFTER", "3")
    made = planned(toy, keep=1)
    trained = train(job(made, tmp_path / "job"), made)
    assert (trained.step, trained.ended) == (3, "done")
    assert steps(tmp_path / "job") == [3, 12]
    assert json.loads((tmp_path / "job" / "adapter" / "adapter_model.safetensors").read_text())["iter"] == 3


def test_it_stops_by_itself_when_it_gets_no_better(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_WORSE_AFTER", "3")
    monkeypatch.setenv("TOY_STEP_S", "0.05")
    made = planned(toy, patience=1, max_steps=100, epochs=100)
    trained = train(job(made, tmp_path / "job"), made)
    assert (trained.step, trained.ended) == (3, "patience")
    assert max(losses(tmp_path / "job")) < 60


def test_a_whole_model_keeps_the_tokenizer_of_its_base(toy: Workspace, tmp_path: Path) -> None:
    made = planned(toy, method="full")
    trained = train(job(made, tmp_path / "job"), made)
    assert trained.adapter is None
    assert trained.model == tmp_path / "job" / "model"
    base = Path(made.model_folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (trained.model / name).read_bytes() == (base / name).read_bytes()


def test_what_was_done_is_not_done_again(toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(toy)
    monkeypatch.setenv("TOY_CONVERT", "fails")
    with pytest.raises(PanelError, match="has no attribute 'llm'") as caught:
        train(job(made, tmp_path / "job"), made)
    assert caught.value.code == "xtuner_convert_failed"
    assert not (tmp_path / "job" / "adapter").exists()
    monkeypatch.delenv("TOY_CONVERT")
    # It would break at its first step if it were started.
    monkeypatch.setenv("TOY_BREAKS", "exit")
    monkeypatch.setenv("TOY_AT", "1")
    assert train(job(made, tmp_path / "job"), made).step == 12
    assert (tmp_path / "job" / "adapter" / "adapter_config.json").is_file()
    assert train(job(made, tmp_path / "job"), made).step == 12


def test_after_a_kill_it_goes_on_as_if_nothing_had_happened(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(toy)
    train(job(made, tmp_path / "whole"), made)
    monkeypatch.setenv("TOY_BREAKS", "kill")
    monkeypatch.setenv("TOY_AT", "8")
    with pytest.raises(PanelError):
        train(job(made, tmp_path / "job"), made)
    assert steps(tmp_path / "job") == [3, 6]
    monkeypatch.delenv("TOY_BREAKS")
    trained = train(job(made, tmp_path / "job"), made)
    assert trained.step == 12
    assert losses(tmp_path / "job") == losses(tmp_path / "whole")
    inside = xtuner.checkpoint_in(Path(files.checkpoints(tmp_path / "job")[-1].path))
    assert inside is not None
    argv = json.loads(inside.read_text())["argv"]
    assert argv[argv.index("--resume") + 1].endswith("checkpoints/step-00000006/iter_6.pth")


def test_a_job_that_was_killed_itself_finds_what_its_xtuner_had_saved(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, folder = tmp_path / "hold", tmp_path / "job"
    monkeypatch.setenv("TOY_HOLD", str(hold))
    monkeypatch.setenv("TOY_STEP_S", "0.1")
    made = planned(toy)
    running = toy_xtuner.run(made, folder, os.environ)
    until(lambda: steps(folder) == [3], 60, "its first checkpoint")
    hold.touch()
    children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait(10)
    for child in children:  # the supervisor does that
        child.kill()
    psutil.wait_procs(children, timeout=10)
    # As if it had been killed between the move of a checkpoint and its mark, and in the middle of another.
    (folder / "checkpoints" / "step-00000003" / "complete.json").unlink()
    (folder / "xtuner" / "work" / "iter_6.pth").write_text("half")
    hold.unlink()
    monkeypatch.setenv("TOY_STEP_S", "0")
    trained = train(job(made, folder), made)
    assert trained.step == 12
    assert sorted(losses(folder)) == list(range(1, 13))
    assert not (folder / "xtuner" / "work" / "iter_6.pth").exists()


def test_a_request_to_stop_saves_at_once_and_resume_goes_on_from_there(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_STEP_S", "0.1")
    made, folder = planned(toy, save_every=50, eval_every=50, max_steps=60, epochs=60), tmp_path / "job"
    running = toy_xtuner.run(made, folder, os.environ)
    until(lambda: (folder / "events.jsonl").exists() and losses(folder).get(2), 60, "the second step")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    saved = steps(folder)
    assert saved  # nothing was due before step 50
    assert saved[-1] < 50
    assert not (folder / "adapter").exists()
    monkeypatch.setenv("TOY_STEP_S", "0")
    trained = train(job(made, folder), made)
    assert trained.step == 60
    said = [event["step"] for event in events(folder) if event["phase"] == "train"]
    assert said == list(range(1, 61))  # none lost, none twice


def test_a_stop_before_the_first_step_ends_it_without_waiting(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, folder = tmp_path / "hold", tmp_path / "job"
    hold.touch()
    monkeypatch.setenv("TOY_HOLD", str(hold))
    running = toy_xtuner.run(planned(toy), folder, os.environ)
    until(lambda: (folder / "xtuner" / "watch.jsonl").exists(), 60, "XTuner is there")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert steps(folder) == []


def test_a_person_who_is_content_gets_the_best_so_far(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_STEP_S", "0.1")
    made, folder = planned(toy, max_steps=200, epochs=200), tmp_path / "job"
    running = toy_xtuner.run(made, folder, os.environ)
    until(lambda: (folder / "events.jsonl").exists() and losses(folder).get(3), 60, "the third step")
    control.finish(folder)
    assert running.wait(60) == 0, (folder / "out.txt").read_text()
    result = json.loads((folder / "result.json").read_text())
    assert result["ended"] == "asked"
    assert 3 <= result["step"] < 100
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    # And not again, had it been killed before the adapter was made.
    assert train(job(made, folder), made).ended == "asked"


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("oom", "finetune_out_of_memory", "backward pass, after step 4"),
        ("nan", "finetune_nan", "After step 5 the training loss was no number any more"),
        ("full", "workspace_full", "is full"),
        ("exit", "xtuner_failed", "exit code 1: KeyError: 'nonsense'"),
        ("kill", "finetune_out_of_memory", "The system ended it"),
    ],
)
def test_what_ends_it_is_said_and_the_last_whole_checkpoint_stays(
    how: str, code: str, said: str, toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_BREAKS", how)
    monkeypatch.setenv("TOY_AT", "5")
    made, folder = planned(toy), tmp_path / "job"
    with pytest.raises(PanelError) as caught:
        train(job(made, folder), made)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert steps(folder) == [3]
    record = files.read(folder / files.OUT_OF_MEMORY, files.OutOfMemory)
    assert (record is not None) == (code == "finetune_out_of_memory")
    if how == "oom":
        assert record is not None
        assert (record.phase, record.step, record.asked) == ("backward", 4, 2 << 30)


def test_a_later_run_goes_on_from_a_checkpoint_or_begins_with_its_weights(toy: Workspace, tmp_path: Path) -> None:
    first = planned(toy)
    train(job(first, tmp_path / "first"), first)
    start = str(tmp_path / "first" / "checkpoints" / "step-00000012")
    more = planned(toy, start_from=start, max_steps=18, epochs=9)
    trained = train(job(more, tmp_path / "more"), more)
    assert (trained.step, list(losses(tmp_path / "more"))) == (18, list(range(13, 19)))
    speeds = [event["metrics"].get("tokens_s") for event in events(tmp_path / "more") if event["phase"] == "train"]
    assert speeds == [None, *[pytest.approx(20)] * 5]  # what the other run had learned from is none of its speed
    branch = planned(toy, start_from=start, start_mode="branch", max_steps=6)
    assert train(job(branch, tmp_path / "branch"), branch).step == 6
    # It begins where the other one had ended, and counts from one.
    assert losses(tmp_path / "branch")[1] == losses(tmp_path / "more")[13]
    # Half the batch and twice the accumulation: XTuner's own count does not fit any more, what is left is learned.
    smaller = planned(toy, start_from=start, batch_size=1, accumulation=2, max_steps=18, epochs=9)
    trained = train(job(smaller, tmp_path / "smaller"), smaller)
    assert (trained.step, trained.steps) == (6, 6)


def test_a_checkpoint_of_another_engine_or_one_that_is_done_is_refused(toy: Workspace, tmp_path: Path) -> None:
    first = planned(toy)
    train(job(first, tmp_path / "first"), first)
    start = tmp_path / "first" / "checkpoints" / "step-00000012"
    again = planned(toy, start_from=str(start))
    with pytest.raises(PanelError, match="at step 12 already, and the training ends at step 12"):
        train(job(again, tmp_path / "again"), again)
    (start / "iter_12.pth").rename(start / "trainer_state.json")
    with pytest.raises(PanelError, match="holds no checkpoint of XTuner"):
        train(job(again, tmp_path / "other"), again)


def test_it_trains_on_its_copy_of_the_rows_after_the_dataset_is_gone(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.data.store import Datasets

    made, folder = planned(toy), tmp_path / "job"
    monkeypatch.setenv("TOY_BREAKS", "kill")
    monkeypatch.setenv("TOY_AT", "8")
    with pytest.raises(PanelError):
        train(job(made, folder), made)
    Datasets(toy).delete("lesson")
    monkeypatch.delenv("TOY_BREAKS")
    assert train(job(made, folder), made).step == 12


def test_the_rows_of_a_batch_are_about_equally_long_and_nothing_is_lost(toy: Workspace, tmp_path: Path) -> None:
    from backend.data.tokens import xtuner as rows_of_xtuner
    from tests.support.datasets import keep, row

    keep(toy, "mixed", [row(f"Say {n}.", "yes " * (1 + n * 7 % 20)) for n in range(101)])
    made = planned(toy, dataset="mixed", batch_size=4, validation_share=0.0)
    given = set_up(job(made, tmp_path / "job"), made)
    assert "shuffle=False" in (given.home / xtuner.CONFIG).read_text()
    lines = [json.loads(line) for line in (given.home / xtuner.ROWS).read_text().splitlines()]
    asked = [int(line["messages"][0]["content"][4:-1]) for line in lines]
    assert sorted(asked) == list(range(101))
    assert asked != sorted(asked)
    lengths = [len(rows_of_xtuner.encode(given.model, line).ids) for line in lines]

    def filled(of: list[int]) -> float:
        batches = [of[start : start + 4] for start in range(0, len(of), 4)]
        return sum(max(batch) * len(batch) for batch in batches) / sum(of)

    assert filled(lengths) < 1.15 < 1.4 < filled([lengths[asked.index(n)] for n in range(101)])
    longest = [max(lengths[start : start + 4]) for start in range(0, 96, 4)]
    assert longest != sorted(longest), "batches of long rows and of short ones take turns"
    again = set_up(job(made, tmp_path / "other"), made)
    assert (again.home / xtuner.ROWS).read_bytes() == (given.home / xtuner.ROWS).read_bytes()


def test_packed_rows_and_those_of_a_gpu_come_in_another_order_each_epoch() -> None:
    assert not xtuner.in_order(FinetuneSpec(model="m", dataset="d", engine="xtuner", device="cpu", packing=True))
    assert not xtuner.in_order(FinetuneSpec(model="m", dataset="d", engine="xtuner", device="cuda", packing=False))


def test_rows_that_xtuner_would_train_wrongly_stop_it_before_it_starts(toy: Workspace, tmp_path: Path) -> None:
    from tests.support.datasets import keep, row

    keep(toy, "bad", [row("a", "b"), row("c", " "), row("d", "e")])
    made = planned(toy, dataset="bad", validation_share=0.0)
    with pytest.raises(PanelError, match="an answer is empty") as caught:
        train(job(made, tmp_path / "job"), made)
    assert caught.value.code == "xtuner_row"


def test_without_its_environment_it_says_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    toy_xtuner.rows(workspace)
    made = planned(workspace)
    with pytest.raises(PanelError, match="XTuner is not installed here") as caught:
        train(job(made, tmp_path / "job"), made)
    assert caught.value.hint


def test_a_config_of_ones_own_is_what_is_trained(toy: Workspace, tmp_path: Path) -> None:
    text = planned(toy).config
    edited = text.replace("iterations = 12", "iterations = 6").replace("lr=0.5", "lr=0.25")
    made = planned(toy, config_text=edited)
    trained = train(job(made, tmp_path / "job"), made)
    assert (trained.step, trained.steps) == (6, 6)
    assert losses(tmp_path / "job")[1] == pytest.approx(3 / 1.25)
    assert (tmp_path / "job" / "adapter" / "xtuner_config.py").read_text() == edited


def test_a_rehearsal_takes_three_steps_with_the_longest_rows_and_measures_them(toy: Workspace, tmp_path: Path) -> None:
    from tests.support.datasets import keep, row

    keep(toy, "mixed", [*(row(f"short {n}", "yes") for n in range(20)), *(row("long " * 9, f"{n}") for n in range(4))])
    made, folder = planned(toy, dataset="mixed", accumulation=4, eval_every=5), tmp_path / "job"
    found = rehearse(job(made, folder), made)
    assert (found.step_s, found.losses) == (2.0, [pytest.approx(3 / (1 + 0.5 * n)) for n in (2, 4, 6)])
    assert (found.peak_bytes, found.held_bytes, found.before_bytes) == (1000, 1200, 500)
    assert (found.device, found.restore_s, found.tokens_per_step) == ("cpu", 0.02, 40)
    assert found.load_s > 0
    assert found.checkpoint_bytes > 0
    assert found.eval_rows > 0
    assert found.settings["batch_size"] == 2
    assert files.read(folder / files.REHEARSAL, files.Rehearsal) == found
    assert not (folder / "xtuner" / "rehearsal").exists()
    assert {event["phase"] for event in events(folder)} == {"rehearse"}
    assert not any("metrics" in event for event in events(folder))
    # The run itself comes after it, in the same folder.
    assert train(job(made, folder), made).step == made.steps


def test_a_rehearsal_fails_with_the_words_of_the_run(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_BREAKS", "oom")
    monkeypatch.setenv("TOY_AT", "2")
    made = planned(toy)
    with pytest.raises(PanelError, match="backward pass, after step 1"):
        rehearse(job(made, tmp_path / "job"), made)


def test_a_folder_of_several_processes_is_taken_when_all_have_written_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "iter_4.pth").mkdir(parents=True)
    (work / "iter_4.pth" / "rank0.pt").write_text("state")
    (work / "last_checkpoint").write_text(str(work / "iter_4.pth"))

    def describe(done: int) -> files.Checkpoint:
        return files.Checkpoint(step=done, epoch=1.0, created=0.0)

    assert xtuner_checkpoints.adopt(tmp_path, work, describe, until=4) == []
    # Named only after the measurements were read: what was measured of it is not known yet.
    assert xtuner_checkpoints.adopt(tmp_path, work, describe, newest=0, until=5) == []
    assert [one.bytes for one in xtuner_checkpoints.adopt(tmp_path, work, describe, until=5)] == [5]
    assert steps(tmp_path) == [4]


def test_a_stop_request_in_a_rehearsal_leaves_nothing_running(
    toy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(toy)
    running = job(made, tmp_path / "job")
    running.stop_requested = True
    with pytest.raises(Stopped):
        rehearse(running, made)
    left: list[Any] = [p for p in psutil.Process().children(recursive=True) if "xtuner.tools.train" in p.cmdline()]
    assert left == []


def test_the_program_of_the_job_rehearses_trains_and_registers_with_it(toy: Workspace, tmp_path: Path) -> None:
    from jobs import finetune

    made, folder = planned(toy, merge=False, prove=False, rehearse=True), tmp_path / "job"
    result = finetune.run(job(made, folder))
    assert result is not None
    assert (result["complete"], result["step"], result["ended"]) == (True, 12, "done")
    assert (folder / files.REHEARSAL).is_file()
    assert json.loads((folder / "trained.json").read_text())["adapter"] == str(folder / "adapter")
    phases = list(dict.fromkeys(event["phase"] for event in events(folder) if "phase" in event))
    assert phases == ["rehearse", "prepare", "load", "evaluate", "train", "convert", "register"]
