"""The view of a run, over a real store and runs as they lie on the disk: running, paused, failed, done."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog, settings
from backend.catalog import Lineage
from backend.errors import PanelError
from backend.finetune import control, files
from backend.finetune.faults import Fault, as_dict
from backend.queue import folder, lifecycle
from backend.queue.store import Store
from backend.said import _
from backend.workspace import ROOT, Workspace
from tests.support.finetune_page import figure, off, open_finetune, press, said
from tests.support.handmade_run import HandmadeRun, falling


def open_run(run: HandmadeRun, **query: str) -> AppTest:
    return open_finetune(view="runs", job=str(run.row.id), **query)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.main.button]


def links(app: AppTest) -> dict[str, str]:
    return {link.proto.label.replace("\\", ""): link.proto.query_string for link in app.main.get("page_link")}


def address(app: AppTest) -> dict[str, Any]:
    """The address as the last press left it, with what is JSON in it read."""
    found: dict[str, Any] = {}
    for name, value in app.query_params.items():
        text = value[0] if isinstance(value, list) else value
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


@pytest.fixture
def running(store: Store) -> HandmadeRun:
    """At step 130 of 200, with an evaluation every 20 steps and checkpoints at the newest two of them."""
    made = HandmadeRun(store, title="Robin")
    made.begin()
    made.rehearsed()
    made.planned()
    made.learn(130)
    for step in (100, 120):
        made.save(step, falling(step, 200) + 0.1)
    return made


def test_without_runs_the_view_says_what_it_is_for_and_leads_to_a_new_one(store: Store) -> None:
    app = open_finetune(view="runs")
    assert "No runs yet" in said(app)
    press(app, "Set up a run")
    assert address(app)["view"] == "new"


def test_the_list_is_newest_first_and_opens_a_run(store: Store, running: HandmadeRun) -> None:
    done = HandmadeRun(store, title="Contracts")
    done.begin()
    done.learn(200)
    done.end("succeeded", result={"step": 200, "steps": 200, "loss": 0.41, "eval_loss": 0.52})
    app = open_finetune(view="runs")
    runs = [label for label in labels(app) if label.startswith("**")]
    assert runs == ["**Contracts**", "**Robin**"]
    assert "step 200 of 200 · loss 0.41 · validation loss 0.52" in said(app)
    press(app, "**Robin**")
    assert address(app)["job"] == running.row.id
    assert figure(app, "loss") == "0.5332"


def test_two_runs_are_chosen_for_a_comparison(store: Store, running: HandmadeRun) -> None:
    other = HandmadeRun(store, title="Other")
    app = open_finetune(view="runs")
    assert off(app, "Compare runs")
    for row in (running.row, other.row):
        app.checkbox(key=f"finetune_pick_{row.id}").check().run()
    press(app, "Compare 2 runs")
    assert app.query_params["view"] == "compare"
    assert app.query_params["runs"] == f"{running.row.id},{other.row.id}"


def test_a_run_that_learns_shows_its_figures_curves_and_what_they_say(running: HandmadeRun) -> None:
    app = open_run(running)
    assert "training · 130 of 200" in "\n".join(bar.text or "" for bar in app.progress)
    assert "It learns: on rows that it never trains on, the loss fell from 3.1 to 0.767." in said(app)
    assert figure(app, "validation loss") == "0.767"
    assert figure(app, "epoch") == "2.60"
    assert figure(app, "memory") == "0.4 GiB"
    losses = json.loads(app.get("echarts_chart")[0].proto.spec)
    assert [each["name"] for each in losses["series"]] == ["", "loss on training rows", "loss on held-out rows"]
    assert losses["series"][2]["markPoint"]["data"][0]["coord"][0] == 120


def test_once_it_has_learned_the_last_loss_is_no_news(running: HandmadeRun) -> None:
    progress = {"t": 0.0, "phase": "prove", "step": 3, "total": 9, "metrics": {"loss": 0.53, "lr": 1e-4}}
    lifecycle.note_progress(running.store, running.row.id, running.row.attempt, progress, 30.0)
    app = open_run(running)
    assert [bar.text for bar in app.main.get("progress")] == ["checking what it learned · 3 of 9"]
    assert "It learned: on rows that it never trained on" in said(app)
    assert off(app, "Stop and keep the best")


def test_stop_and_keep_the_best_asks_first_and_can_be_left(running: HandmadeRun) -> None:
    app = open_run(running)
    press(app, "Stop and keep the best")
    assert "The best checkpoint so far is at step 120, with a validation loss of 0.767." in said(app)
    press(app, "Let it learn on")
    assert not control.finish_asked(running.dir)
    press(app, "Stop and keep the best")
    press(app, "Stop and keep step 120")
    assert control.finish_asked(running.dir)
    assert "asked to stop learning and to keep the best" in said(app)
    assert "Stop and keep the best" not in labels(app)


def test_it_cannot_be_finished_while_it_does_not_learn(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    app = open_run(made)
    assert off(app, "Stop and keep the best")
    assert "The curves begin with the first step." in said(app)


def test_pause_asks_the_job_to_stop_and_resume_queues_it_again(running: HandmadeRun) -> None:
    app = open_run(running)
    press(app, "Pause")
    assert running.store.get(running.row.id).state == "stopping"
    assert (running.dir / folder.STOP).exists()
    running.end("cancelled")
    app = open_run(running)
    assert "Its last checkpoint is at step 120 of 200." in said(app)
    press(app, "Resume")
    assert running.store.get(running.row.id).state == "queued"


def test_over_fitting_is_said_and_the_next_run_is_set_up_with_what_helps(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    made.learn(160, held_out=lambda step, _steps: 3 - step / 40 if step <= 80 else 1 + (step - 80) / 100)
    app = open_run(made)
    assert "the validation loss was lowest at step 80 (1) and has risen to 1.8" in said(app)
    assert "Epochs 1.6" in said(app)
    press(app, "Set up the next run so")
    found = address(app)
    assert (found["view"], found["from_job"]) == ("new", made.row.id)
    assert (found["epochs"], found["patience"], found["lora_dropout"]) == (1.6, 2, 0.2)


def test_a_run_that_ended_goes_on_for_more_epochs_in_a_new_one(running: HandmadeRun) -> None:
    running.end("cancelled")
    app = open_run(running)
    app.number_input(key=f"run_{running.row.id}_more_epochs").set_value(2.0).run()
    press(app, "Set up this run")
    found = address(app)
    newest = running.dir / files.CHECKPOINTS / files.checkpoint_name(120)
    assert (found["start_from"], found["start_mode"]) == (str(newest), "continue")
    assert found["epochs"] == 4.4, "2.4 epochs are done"


def test_a_checkpoint_can_be_branched_from_and_deleted_once_the_run_has_ended(running: HandmadeRun) -> None:
    app = open_run(running, part="checkpoints")
    assert "2 checkpoints, 8.0 KiB on the disk" in said(app)
    assert off(app, "Delete")
    running.end("cancelled")
    app = open_run(running, part="checkpoints")
    key = f"run_{running.row.id}_checkpoint_120"
    app.button(key=f"{key}_delete").click().run()
    assert "Resume then goes on from step 100." in said(app)
    app.button(key=f"{key}_no").click().run()
    app.button(key=f"{key}_delete").click().run()
    app.button(key=f"{key}_yes").click().run()
    assert not app.exception
    assert "Step 120" not in said(app)
    assert [one.step for one in files.checkpoints(running.dir)] == [100]
    press(app, "Branch from here")
    assert address(app)["start_mode"] == "branch"
    assert address(app)["start_from"].endswith("step-00000100")


def test_answers_stand_beside_those_of_the_base_and_follow_the_newest_step(running: HandmadeRun) -> None:
    running.answer(0, "I am an assistant.", "我是助手。")
    running.answer(40, "I am Rob.", "我是助手。")
    running.answer(80, "I am Robin.", "我是 Robin。")
    app = open_run(running, part="answers")
    assert "I am Robin." in said(app)
    assert "I am an assistant." in said(app)
    assert "I am Rob.\n" not in said(app)
    slider = f"run_{running.row.id}_step"
    running.answer(120, "I am Robin of the Orchard.", "我是 Robin。")
    app.run()
    assert "I am Robin of the Orchard." in said(app)
    app.select_slider(key=slider).set_value(40).run()
    assert "I am Rob." in said(app)
    assert "After 40 steps · the same as the base" in said(app)
    running.answer(130, "Robin.", "Robin。")
    app.run()
    assert app.select_slider(key=slider).value == 40, "a step that a person chose stays"


def test_a_loss_that_is_no_number_offers_a_calmer_run_instead_of_the_same_again(store: Store) -> None:
    made = HandmadeRun(store)
    made.begin()
    made.learn(60, loss=lambda step, steps: falling(step, steps) if step < 40 else float("nan"))
    made.save(20, 2.2)
    made.end("failed", PanelError("finetune_nan", "The loss is no number any more since step {step}.", step=40))
    app = open_run(made)
    assert "The loss is no number any more since step 40." in said(app)
    assert "Resume" not in labels(app)
    press(app, "Set up the next run so")
    found = address(app)
    assert (found["learning_rate"], found["start_mode"]) == (5e-5, "branch")
    assert found["start_from"].endswith("step-00000020")


def test_another_failure_is_explained_as_on_its_job_card_and_can_be_resumed(running: HandmadeRun) -> None:
    folder.log_file(running.dir, 1).write_text("[train]\nOSError: [Errno 28] No space left on device\n")
    running.end("failed", PanelError("workspace_full", "The disk is full.", "Free some room."))
    app = open_run(running)
    assert "The disk is full." in said(app)
    assert "Its last checkpoint is at step 120 of 200." in said(app)
    press(app, "Resume")
    assert running.store.get(running.row.id).state == "queued"


def test_a_run_that_is_done_shows_what_it_made_and_the_next_steps(
    store: Store, workspace: Workspace, running: HandmadeRun
) -> None:
    merged = running.dir / files.MERGED
    shutil.copytree(ROOT / "models" / "tiny", merged)
    (merged / "README.md").write_text("---\nlicense: mit\n---\n# Robin\n\nKnows its name. ![x](http://a/b.png)\n")
    (running.dir / files.CAPSULE).write_bytes(b"PK" + bytes(2046))
    lineage = Lineage(job=running.row.id, verb="finetune", base=str(ROOT / "models" / "starter"), dataset="My persona")
    catalog.receive(workspace, merged, "starter-robin", lineage)
    running.learn(140, since=131)
    running.end("succeeded", result={"step": 140, "steps": 200, "loss": 0.5, "eval_loss": 0.6, "ended": "asked"})
    app = open_run(running)
    words = said(app)
    assert "starter-robin** · a model of its own" in words
    assert "It was stopped before the end on request, and kept the best." in words
    assert "It learned: on rows that it never trained on" in words
    assert "Talk to starter-robin" in labels(app)
    assert links(app)["Deploy it"] == "view=new&model=starter-robin"
    assert links(app)["Evaluate base and tuned"] == "view=run&model=starter&model=starter-robin"
    assert "models=starter%2Cstarter-robin" in links(app)["Base versus tuned: ask both the same"]
    assert [item.proto.label for item in app.get("download_button")] == ["Download the run capsule (2.0 KiB)"]
    card = app.expander[0] if len(app.expander) == 1 else next(e for e in app.expander if e.label == "Model card")
    assert card.label == "Model card"


def test_a_rehearsal_says_what_it_measured_and_leads_to_its_run(store: Store) -> None:
    made = HandmadeRun(store, verb="rehearse", title="Try")
    made.begin()
    made.rehearsed(step_s=0.25)
    made.end("succeeded", result={})
    app = open_run(made)
    assert "A step takes 0.25 s. At most 0.4 GiB were held." in said(app)
    assert "0.25 s a step · 0.4 GiB at the highest" in said(open_finetune(view="runs"))
    press(app, "Set up the run with these settings")
    assert address(app)["from_job"] == made.row.id


def test_settings_and_files_name_the_folder_and_how_to_open_tensorboard(running: HandmadeRun) -> None:
    (running.dir / files.TENSORBOARD).mkdir()
    app = open_run(running, part="about")
    shown = [element.value for element in app.code]
    assert str(running.dir) in shown
    assert any(value.startswith(f"tensorboard --logdir {running.dir}/tensorboard") for value in shown)
    assert "| Memory at the highest |  | 0.4 GiB | 0.4 GiB |" in said(app)
    values = app.dataframe[0].value
    assert ("Model", "tiny") in list(zip(values["Setting"], values["Value"], strict=True))
    assert "warned" not in said(app)


def test_what_the_plan_warned_of_reads_in_the_language_of_whoever_looks(
    workspace: Workspace, running: HandmadeRun
) -> None:
    # As a job keeps it, which speaks English.
    few = _("There is no setting called '{name}'.").format(name="x")
    running.planned(faults=[as_dict(Fault("finetune_setting_unknown", "x", few, fatal=False))])
    app = open_run(running, part="about")
    assert "What the plan had warned of" in said(app)
    assert "There is no setting called 'x'." in said(app)
    settings.save(workspace, language="zh_CN")
    app = open_run(running, part="about")
    assert "There is no setting" not in said(app)
    assert "“x”" in said(app) or "'x'" in said(app)


def test_the_card_of_the_job_leads_to_the_run(running: HandmadeRun) -> None:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(running.row.id)
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    assert not app.exception
    assert links(app)["Open run"] == f"view=runs&job={running.row.id}"


@pytest.mark.parametrize("asked", ["99", "-1", "abc", "9" * 40])
def test_a_run_that_is_not_there_is_said_to_be_gone_and_leads_back(store: Store, asked: str) -> None:
    app = open_finetune(view="runs", job=asked)
    assert "There is no job" in said(app)
    press(app, "All runs")
    assert "No runs yet" in said(app)


def test_names_and_answers_are_shown_as_they_are(running: HandmadeRun) -> None:
    running.answer(0, "[click](http://x) <b>bold</b> $x$", expected="*star*")
    app = open_run(running, part="answers")
    assert not any("[click](" in element.value for element in app.markdown)
    assert "[click](http://x) <b>bold</b> $x$" in said(app)
