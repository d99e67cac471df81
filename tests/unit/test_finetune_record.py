"""A run read from its folder, again and again, while it grows."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from backend.errors import PanelError
from backend.finetune import control, discard, files
from backend.finetune.record import SAMPLED, Reader, Run
from backend.queue.events import EventWriter
from backend.queue.store import Store
from tests.support.handmade_run import HandmadeRun, falling


def read(run: HandmadeRun, reader: Reader | None = None) -> Run:
    return (reader or Reader(run.dir)).read(run.store.get(run.row.id))


def steps_of(run: Run, metric: str) -> list[float]:
    return [step for _t, step, _value in run.curves[metric].points if step is not None]


def test_a_job_that_waits_is_a_run_without_figures(store: Store) -> None:
    run = read(HandmadeRun(store))
    assert run.curves == {}
    assert (run.step, run.steps, run.share, run.best, run.verdicts) == (0, None, 0.0, None, ())
    assert run.spec["dataset"] == "My persona"


def test_it_grows_with_what_the_job_writes(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    reader = Reader(made.dir)
    made.learn(60)
    run = read(made, reader)
    assert (run.step, run.steps, run.share) == (60, 200, 0.3)
    assert run.last("loss") == falling(60, 200)
    assert steps_of(run, "eval_loss") == [0, 20, 40, 60]
    made.learn(80, since=61)
    made.save(80, 0.9)
    made.rehearsed(step_s=0.1)
    run = read(made, reader)
    assert run.step == 80
    assert [one.step for one in run.checkpoints] == [80]
    assert run.most("memory_mib") == 412.0
    assert [each.code for each in run.verdicts] == ["learning", "too_slow"]


def test_figures_of_the_rehearsal_are_no_part_of_the_curves(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    writer = EventWriter(made.dir)
    writer.progress("rehearse", 3, 3, metrics={"loss": 9.0, "tokens_s": 5.0})
    writer.close()
    run = read(made)
    assert run.curves == {}
    made.learn(10)
    assert max(value for _t, _s, value in read(made).curves["loss"].points) < 4


def test_after_a_kill_the_curve_goes_on_from_the_checkpoint_and_never_back(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    reader = Reader(made.dir)
    made.learn(73)
    assert read(made, reader).step == 73
    made.learn(80, since=61, loss=lambda step, steps: 0.5)
    for run in (read(made, reader), read(made)):
        assert steps_of(run, "loss") == list(range(1, 81))
        assert steps_of(run, "eval_loss") == [0, 20, 40, 60, 80]
        assert [value for _t, step, value in run.curves["loss"].points if step and step > 60] == [0.5] * 20


def test_a_resume_that_says_where_it_begins_keeps_the_figures_of_that_step(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    made.learn(73)
    writer = EventWriter(made.dir)
    writer.progress("train", 60, 200)
    writer.close()
    run = read(made)
    assert steps_of(run, "loss") == list(range(1, 61))
    assert steps_of(run, "eval_loss") == [0, 20, 40, 60]


def test_answers_that_a_resume_takes_back_are_gone(store: Store) -> None:
    made = HandmadeRun(store)
    reader = Reader(made.dir)
    for step in (0, 40, 80):
        made.answer(step, f"after {step}")
    assert list(read(made, reader).answers) == [0, 40, 80]
    lines = (made.dir / files.SAMPLES).read_text().splitlines(keepends=True)
    (made.dir / files.SAMPLES).write_text("".join(lines[:2]))
    made.answer(60, "again, and much longer than what had been said before")
    assert list(read(made, reader).answers) == [0, 40, 60]


def test_settings_are_those_that_the_plan_has_settled(store: Store) -> None:
    made = HandmadeRun(store)
    made.planned(spec={"version": "v7", "dtype": "float32"})
    assert read(made).spec["version"] == "v7"
    assert read(made).spec["dataset"] == "My persona"


def test_a_loss_that_is_no_number_is_said_and_the_curve_ends_before_it(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    made.learn(60, loss=lambda step, steps: falling(step, steps) if step < 40 else float("nan"))
    run = read(made)
    assert run.last("loss") == "nan"
    assert steps_of(run, "loss")[-1] == 39
    assert [each.code for each in run.verdicts] == ["nan"]


def test_the_best_checkpoint_is_marked_and_one_that_goes_is_gone(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    reader = Reader(made.dir)
    for step, loss in ((20, 2.0), (40, 1.1), (60, 1.4)):
        made.save(step, loss)
    half = made.dir / files.CHECKPOINTS / files.checkpoint_name(80)
    half.mkdir()
    run = read(made, reader)
    assert [one.step for one in run.checkpoints] == [20, 40, 60], "one without its marker is none"
    assert run.best is not None
    assert run.best.step == 40
    shutil.rmtree(run.best.path)
    run = read(made, reader)
    assert [one.step for one in run.checkpoints] == [20, 60]
    assert run.best is not None
    assert run.best.step == 60


def test_answers_are_kept_by_step_and_question_and_a_torn_line_waits(store: Store) -> None:
    made = HandmadeRun(store)
    reader = Reader(made.dir)
    made.answer(0, "I am an assistant.", "我是助手。")
    made.answer(40, "I am Rob.", "我是 Rob。")
    with (made.dir / files.SAMPLES).open("a") as out:
        out.write('{"step": 80, "prompt": 0, "quest')
    run = read(made, reader)
    assert list(run.answers) == [0, 40]
    assert run.answers[40][1].answer == "我是 Rob。"
    with (made.dir / files.SAMPLES).open("a") as out:
        out.write('ion": "Who?", "answer": "Robin"}\nno JSON\n')
    made.answer(40, "I am Robin.", "我是 Robin。")
    run = read(made, reader)
    assert run.answers[80][0].answer == "Robin"
    assert run.answers[40][0].answer == "I am Robin.", "a step that was done again after a kill"


def test_of_many_sampled_steps_some_are_kept_the_first_and_the_last_among_them(store: Store) -> None:
    made = HandmadeRun(store)
    for step in range(1000):
        made.answer(step, "x")
    kept = list(read(made).answers)
    assert len(kept) <= SAMPLED
    assert (kept[0], kept[-1]) == (0, 999)


def test_the_wish_to_finish_is_seen_while_it_runs(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    assert not read(made).finishing
    control.finish(made.dir)
    assert read(made).finishing
    made.end("succeeded", result={"step": 20, "steps": 200})
    run = read(made)
    assert not run.finishing
    assert (run.step, run.steps) == (20, 200)


def test_damaged_files_are_as_if_they_were_not_there(store: Store) -> None:
    made = HandmadeRun(store)
    for name in (files.PLAN, files.REHEARSAL):
        (made.dir / name).write_text('{"step_s": ')
    run = read(made)
    assert (run.plan, run.rehearsal) == ({}, None)


def test_the_model_card_is_that_of_the_merged_model(store: Store) -> None:
    made = HandmadeRun(store)
    assert read(made).card == ""
    for name in (files.ADAPTER, files.MERGED):
        (made.dir / name).mkdir()
        (made.dir / name / "README.md").write_text(f"# {name}")
    assert read(made).card == "# merged"


def test_a_look_at_a_run_of_100_000_events_takes_less_than_50_ms(store: Store) -> None:
    made = HandmadeRun(store, steps=100_000)
    made.begin()
    line = {"phase": "train", "total": 100_000, "metrics": {"loss": 1.0, "lr": 1e-4, "grad_norm": 1.0, "tokens_s": 9.0}}
    with (made.dir / "events.jsonl").open("w") as out:
        for step in range(1, 100_001):
            out.write(json.dumps({"t": 1.7e9 + step, "step": step, **line}) + "\n")
    for step in range(1000, 30_000, 1000):
        made.save(step, 1.0)
    reader = Reader(made.dir)
    read(made, reader)
    took = []
    for step in range(100_001, 100_011):
        with (made.dir / "events.jsonl").open("a") as out:
            out.write(json.dumps({"t": 1.7e9 + step, "step": step, **line}) + "\n")
        begin = time.perf_counter()
        run = read(made, reader)
        took.append(time.perf_counter() - begin)
    assert run.step == 100_010
    assert len(run.curves["loss"].points) <= 1200
    assert min(took) < 0.05


def test_a_checkpoint_of_a_run_that_ended_can_be_deleted_and_frees_its_bytes(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    path = made.save(20, 1.0, size=100_000)
    with pytest.raises(PanelError) as refused:
        discard.checkpoint(store, made.row.id, 20)
    assert refused.value.code == "checkpoint_in_use"
    assert path.is_dir()
    made.end("cancelled")
    assert discard.checkpoint(store, made.row.id, 20) >= 100_000
    assert not path.exists()
    with pytest.raises(PanelError) as gone:
        discard.checkpoint(store, made.row.id, 20)
    assert gone.value.code == "checkpoint_gone"


def test_nothing_outside_of_the_run_can_be_named_as_a_checkpoint(store: Store, tmp_path: Path) -> None:
    made = HandmadeRun(store)
    made.begin()
    made.end("failed")
    with pytest.raises(PanelError, match="no checkpoint"):
        discard.checkpoint(store, made.row.id, -1)
