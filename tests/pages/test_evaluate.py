"""Evaluate: four questions make an evaluation, the plan says what it will take, a trial measures what nobody knows yet, and it is seen how far it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.evaluate import sets
from backend.evaluate.records import Answer, Run, Score, Tally
from backend.evaluate.store import open_runs
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import by_hand
from tests.support.evaluating import small_set, write_set
from tests.support.page_text import text
from tests.support.stub_openai import Stub
from ui.evaluate import command as evaluate_command
from ui.evaluate import evaluator as evaluate_evaluator
from ui.evaluate import live_table as evaluate_live_table
from ui.evaluate import questions as evaluate_questions

BUNDLED = "Bundled questions, English and Chinese"
START = f"Evaluate starter on '{BUNDLED}'"
SPLITS = ("dev", "val", "test")


def open_page(**query: Any) -> AppTest:
    """The page as the address with these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return sound(app.switch_page(str(ROOT / "pages" / "evaluate.py")).run())


def sound(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    return sound(next(button for button in app.button if button.label == label).click().run())


def off(app: AppTest, label: str) -> bool:
    return bool(next(button for button in app.button if button.label == label).disabled)


def address(app: AppTest) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def ceval(workspace: Workspace, where: Path, subjects: tuple[str, ...] = ("law", "physician")) -> None:
    """A benchmark in the layout of C-Eval, with three questions a subject."""
    for split in SPLITS:
        (where / split).mkdir(parents=True)
        for subject in subjects:
            rows = ["id,question,A,B,C,D,answer,explanation"]
            rows += [f"{n},{subject} 第{n}题,甲,乙,丙,丁,B,无" for n in range(3)]
            (where / split / f"{subject}_{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    sets.add(workspace, where, "ceval")


def begun(store: Store, **spec: Any) -> JobRow:
    """An evaluation that runs, without a program."""
    return by_hand.running(store, "evaluate", {"model": "stub", **spec})


def ended(store: Store, row: JobRow, state: str = "succeeded", **result: Any) -> JobRow:
    return by_hand.end(store, row, state, result=result if state == "succeeded" else None)


def half_way(workspace: Workspace, job: int) -> int:
    """A run of two subjects, of which one has been asked twice."""
    kept = open_runs(workspace)
    run = kept.begin(Run(0, "", "tunedeck", "1", "stub", "small", "v1", job=job))
    kept.plan(run, [Score("geo", n=4), Score("law", n=4)])
    said: dict[str, Any] = {"question": "Q?", "prompt": "[]", "said": "B", "taken": "B", "gold": "B"}
    kept.put_answers(
        run,
        [
            Answer("geo", 0, "k0", outcome="right", **said),
            Answer("geo", 1, "k1", outcome="unread", **said),
        ],
    )
    kept.close()
    return run


# --- the form and its plan


def test_the_first_screen_has_one_button_and_says_how_many_and_how_exact(workspace: Workspace) -> None:
    app = open_page()
    assert app.multiselect(key="evaluate_models").value == ["starter"]
    assert figures(app) == {"Questions": "120", "Time": "unknown", "Exact to": "± 9"}
    assert "starter is started for it." in text(app)
    assert [button.label for button in app.button if button.proto.type == "primary"] == [START]
    assert not off(app, START)


def test_one_press_makes_the_evaluation_and_shows_how_far_it_is(workspace: Workspace, store: Store) -> None:
    app = press(open_page(), START)
    (row,) = store.list(verb="evaluate")
    assert store.spec(row.id)["model"] == "starter"
    assert address(app) == {"view": "results", "job": str(row.id)}


def test_a_quick_look_asks_five_of_each_subject(workspace: Workspace, store: Store) -> None:
    app = press(open_page(), "Quick look")
    assert figures(app)["Questions"] == "60"
    assert "So few questions show whether it works." in text(app)
    press(app, START)
    (row,) = store.list(verb="evaluate")
    assert store.spec(row.id)["limit"] == 5


def test_several_models_are_several_jobs_with_the_same_settings(server: Stub, store: Store) -> None:
    app = open_page()
    app.multiselect(key="evaluate_models").set_value(["stub", "starter"])
    sound(app.segmented_control(key="evaluate_amount").set_value("some").run())
    sound(app.number_input(key="evaluate_limit").set_value(3).run())
    press(app, f"Evaluate 2 models on '{BUNDLED}'")
    specs = [store.spec(row.id) for row in store.list(verb="evaluate")]
    assert sorted(spec.pop("model") for spec in specs) == ["starter", "stub"]
    assert specs[0] == specs[1]
    assert specs[0]["limit"] == 3


def test_only_the_chosen_subjects_are_asked(workspace: Workspace, store: Store) -> None:
    app = open_page()
    sound(app.multiselect(key="evaluate_subjects").set_value(["group:english", "geography-zh"]).run())
    assert figures(app)["Questions"] == "70"
    press(app, START)
    (row,) = store.list(verb="evaluate")
    asked = store.spec(row.id)["subjects"]
    assert len(asked) == 7
    assert "geography-zh" in asked


def test_all_subjects_chosen_one_by_one_are_the_whole_set(workspace: Workspace) -> None:
    found = sets.get(workspace, "bundled")
    names = [one.name for one in found.subjects]
    assert evaluate_questions.resolved(found, names) == ()
    assert evaluate_questions.resolved(found, ["group:english", "gone"]) == tuple(names[:6])


def test_what_is_missing_is_said_and_nothing_can_be_started(workspace: Workspace) -> None:
    app = open_page()
    sound(app.multiselect(key="evaluate_models").set_value([]).run())
    assert "Choose at least one model." in text(app)
    assert off(app, f"Evaluate … on '{BUNDLED}'")


def test_a_server_at_another_address_can_be_asked(workspace: Workspace, store: Store) -> None:
    app = open_page()
    app.multiselect(key="evaluate_models").set_value([])
    app.text_input(key="evaluate_address").set_value("http://127.0.0.1:9/v1").run()
    press(sound(app), f"Evaluate v1 on '{BUNDLED}'")
    (row,) = store.list(verb="evaluate")
    assert store.spec(row.id)["base_url"] == "http://127.0.0.1:9/v1"
    assert not store.spec(row.id).get("model")


# --- addresses


def test_an_address_fills_the_form_until_somebody_changes_it(server: Stub) -> None:
    app = open_page(model=["starter", "stub", "gone"], limit="2", evaluator="tunedeck", subject="opposites-en")
    assert app.multiselect(key="evaluate_models").value == ["starter", "stub"]
    assert figures(app)["Questions"] == "2"
    sound(app.multiselect(key="evaluate_models").set_value(["stub"]).run())
    assert app.multiselect(key="evaluate_models").value == ["stub"]
    assert "model" not in address(app)


@pytest.mark.parametrize(
    "query",
    [
        {"model": "gone", "set": "gone", "limit": "-3", "evaluator": "x", "preset": "x", "subject": "<b>"},
        {"view": "nowhere", "run": "x", "job": "²", "runs": ",,", "limit": "9" * 40},
        {"preset": "ceval", "set": "../../etc"},
    ],
)
def test_an_address_with_nonsense_in_it_is_harmless(workspace: Workspace, query: dict[str, str]) -> None:
    app = open_page(**query)
    assert app.multiselect(key="evaluate_models").value == ["starter"]
    assert figures(app)["Questions"] == "120"


def test_a_model_on_the_models_page_leads_to_its_evaluation(workspace: Workspace) -> None:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)
    app.switch_page(str(ROOT / "pages" / "models.py")).run()
    links = [link.proto for link in sound(app).get("page_link") if link.proto.label == "Evaluate it"]
    assert [(link.page, link.query_string) for link in links] == [("evaluate", "view=run&model=starter")]


# --- evaluators


def test_the_course_presets_need_their_data_and_say_where_it_goes(workspace: Workspace, tmp_path: Path) -> None:
    app = open_page()
    assert "C-Eval as in the course · MMLU as in the course: bring in the folder" in text(app)
    assert "evaluate_preset_ceval" not in [button.key for button in app.button]
    ceval(workspace, tmp_path / "formal_ceval")
    app = press(open_page(), "C-Eval as in the course")
    assert app.radio(key="evaluate_evaluator").value == "opencompass"
    assert figures(app)["Questions"] == "6"
    told = text(app)
    assert "--answer-tokens 16" in told
    assert "--evaluator opencompass" in told


def test_an_evaluator_that_is_not_installed_says_so_and_leads_to_environments(workspace: Workspace) -> None:
    app = open_page(evaluator="opencompass")
    assert "OpenCompass is not installed" in text(app)
    assert off(app, START)
    ways = [link.proto for link in app.get("page_link") if link.proto.label == "Open Environments"]
    assert [way.query_string for way in ways] == ["engine=OpenCompass"]
    assert not off(press(app, "Use TuneDeck instead"), START)


def test_a_set_that_needs_a_judge_asks_for_one(server: Stub, workspace: Workspace, store: Store) -> None:
    rows = [{"subject": "style", "question": f"Write {n} words.", "answer": "Any.", "rule": "judge"} for n in range(3)]
    write_set(workspace, rows, "style")
    app = open_page(set="style", model="stub")
    told = text(app)
    assert "3 questions need a judge" in told
    assert "Choose the model that judges." in told
    assert off(app, "Evaluate stub on 'style'")
    sound(app.selectbox(key="evaluate_judge").set_value("starter").run())
    press(app, "Evaluate stub on 'style'")
    (row,) = store.list(verb="evaluate")
    assert store.spec(row.id)["judge"] == "starter"
    app = open_page(set="style", model="stub", evaluator="lm_eval")
    assert "This set needs a judge, and lm-evaluation-harness has none." in text(app)


def test_a_set_whose_folder_is_gone_can_be_chosen_and_not_started(workspace: Workspace, tmp_path: Path) -> None:
    where = tmp_path / "formal_ceval"
    ceval(workspace, where)
    where.rename(tmp_path / "elsewhere")
    app = open_page(set="ceval")
    assert "is not there any more" in text(app)
    assert off(app, "Evaluate starter on 'C-Eval'")


def test_an_edited_config_of_opencompass_is_what_runs(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_evaluator, "missing", lambda _name: None)
    app = open_page(evaluator="opencompass")
    app.session_state["evaluate_config"] = True
    sound(app.run())
    sound(app.toggle(key="evaluate_config_edit").set_value(True).run())
    written = app.text_area(key="evaluate_config_text").value
    assert written
    assert "Written by TuneDeck" in written
    sound(app.segmented_control(key="evaluate_amount").set_value("some").run())
    assert app.text_area(key="evaluate_config_text").value != "", "untouched, it follows the settings"
    sound(app.text_area(key="evaluate_config_text").set_value(f"{written}\n# mine").run())
    press(app, START)
    (row,) = store.list(verb="evaluate")
    assert store.spec(row.id)["config"].endswith("# mine")


def test_task_files_of_lm_eval_are_shown(workspace: Workspace) -> None:
    app = open_page(evaluator="lm_eval")
    app.session_state["evaluate_config"] = True
    sound(app.run())
    assert "local-chat-completions" in text(
        sound(app.selectbox(key="evaluate_file").set_value("lm-eval/run.yaml").run())
    )


def test_the_command_does_what_the_button_does(workspace: Workspace) -> None:
    spec = {
        "model": "my model",
        "questions": "bundled",
        "subjects": ["geography-en", "numbers-en"],
        "timeout_s": 5.0,
        "answer_tokens": 8,
        "config": "…",
    }
    line = evaluate_command.line(spec)
    assert line.endswith(
        "-m backend eval run --model 'my model' --set bundled --subjects geography-en,numbers-en "
        "--timeout 5.0 --answer-tokens 8 --config config.py"
    )


# --- a trial


def test_a_trial_measures_the_time_and_shows_the_answers(server: Stub, workspace: Workspace, store: Store) -> None:
    small_set(workspace)
    app = press(open_page(set="small", model="stub"), "Try 10 questions")
    (row,) = store.list(verb="evaluate")
    assert (store.spec(row.id)["trial"], row.title) == (10, "Try: stub")
    assert "Try: stub" in text(app)
    assert address(app).get("view", "run") == "run"
    store.cancel(row.id)
    answer = {"subject": "geo", "question": "Q1 of geo?\nA. red", "said": "B", "taken": "B", "gold": "B"}
    told: dict[str, Any] = {
        "each_s": [0.5] * 10,
        "seconds_per_question": 0.5,
        "concurrency": 4,
        "right": 1,
        "answers": [{**answer, "outcome": "right"}],
    }
    ended(store, begun(store, questions="small", trial=10), **told)
    app = open_page(set="small", model="stub")
    assert figures(app)["Time"] == "1 s"
    assert "Tried 1: 0.5 s each · 1 right" in text(app)
    assert "Try 10 questions" not in [button.label for button in app.button]


# --- while it runs


def test_each_subject_says_how_far_it_is_and_how_sure(server: Stub, workspace: Workspace, store: Store) -> None:
    row = begun(store, questions="small")
    other = store.submit("evaluate", {"model": "starter", "questions": "small"}, title="the next one")
    half_way(workspace, row.id)
    app = open_page(view="results", job=str(row.id))
    told = text(app)
    assert "**So far 50.0 %, between 9 and 91 % (95 %)**" in told
    assert "2 of 8 asked: 1 right · 1 not extracted" in told
    assert f"evaluate_other_{other.id}" in [button.key for button in app.button]
    html = "\n".join(str(element.proto.body) for element in app.get("html"))
    assert "2&thinsp;/&thinsp;4" in html


def test_before_its_first_answer_the_job_alone_is_shown(server: Stub, store: Store) -> None:
    row = begun(store, questions="small")
    assert "stub · small" in text(open_page(view="results", job=str(row.id)))


def test_a_stopped_evaluation_says_what_resume_will_not_ask_again(
    server: Stub, workspace: Workspace, store: Store
) -> None:
    row = begun(store, questions="small")
    half_way(workspace, row.id)
    ended(store, row, "cancelled")
    app = open_page(view="results", job=str(row.id))
    assert "2 of 8 answers are kept. Resume asks only what is missing." in text(app)
    press(app, "Resume")
    assert store.get(row.id).state == "queued"


def test_a_damaged_record_of_runs_is_told_and_the_form_still_works(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.evaluate_db) as db:
        db.execute("CREATE TABLE other (x)")
    assert figures(open_page())["Questions"] == "120"


def test_names_of_subjects_are_text_in_the_table() -> None:
    made = evaluate_live_table.table([Tally("<img src=x>", 3, right=1, wrong=1), Tally("later", 3)])
    assert "<img" not in made
    assert "&lt;img src=x&gt;" in made
    assert "waits" in made
