"""Evaluate, results: the number and how sure it is, why a cell is empty and the button beside it, the questions behind a number, past runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.data.collected import Collected
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.evaluate_page import address, moved, opened, press, tables
from tests.support.evaluated import GONE, SUBJECTS, evaluated
from tests.support.page_text import labels, text
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import runs as evaluate_runs


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def open_page(**query: str) -> AppTest:
    """The view *results* as the address with these parameters opens it."""
    return opened("results", **query)


def go(app: AppTest, **query: str) -> AppTest:
    """The same visitor at another address of the view."""
    return moved(app, "results", **query)


def metric(app: AppTest, label: str) -> str:
    return next(str(each.value) for each in app.metric if each.label == label)


# --- the list


def test_before_the_first_run_both_ways_to_one_are_offered(workspace: Workspace) -> None:
    app = open_page()
    assert "No scores yet" in text(app)
    assert "Bring in past results" in [each.label for each in app.expander]
    press(app, "Evaluate a model")
    assert address(app)["view"] == "run"


def test_the_list_says_of_each_run_its_score_and_how_sure_it_is(runs: EvaluateStore) -> None:
    first = evaluated(runs, "starter", right=0.5)
    second = evaluated(runs, "tuned", right=0.9, seed=2, began=1_790_000_100.0)
    rows = evaluate_runs.content(
        [(run, evaluate_figures.headline(runs.scores(run.id))) for run in runs.runs()], [first]
    )["rows"]
    assert [row["id"] for row in rows] == [second, first], "the newest first"
    assert rows[1]["href"] == f"?view=results&run={first}"
    assert [row["picked"] for row in rows] == [False, True]
    found = evaluate_figures.headline(runs.scores(first), runs.tallies(first))
    assert rows[1]["score"] == f"{100 * (found.right or 0) / 30:.1f} %"
    assert rows[1]["interval"] == f"{found.low:.1f}–{found.high:.1f}"


def test_runs_of_one_model_or_one_evaluator_are_found(runs: EvaluateStore) -> None:
    evaluated(runs, "starter")
    evaluated(runs, "tuned", evaluator="opencompass")
    app = open_page()
    assert app.selectbox(key="evaluate_filter_model").options == ["All models", "tuned", "starter"]
    app.selectbox(key="evaluate_filter_model").set_value("tuned").run()
    app.selectbox(key="evaluate_filter_evaluator").set_value("tunedeck").run()
    assert "No run is like that." in text(app)
    go(app, model="starter")
    assert app.selectbox(key="evaluate_filter_model").value == "starter"
    assert "No run is like that." not in text(app)


def test_ticked_runs_are_compared_the_oldest_first(runs: EvaluateStore) -> None:
    first, second = evaluated(runs, "starter"), evaluated(runs, "tuned", seed=2)
    app = open_page(runs=f"{second},{first}")
    press(app, "Compare 2 runs")
    assert address(app) == {"view": "compare", "runs": f"{first},{second}"}


# --- one run


def test_a_run_says_its_number_its_interval_and_that_nothing_is_missing(runs: EvaluateStore) -> None:
    run = evaluated(runs, right=0.6)
    found = evaluate_figures.headline(runs.scores(run), runs.tallies(run))
    app = open_page(run=str(run))
    assert metric(app, "Accuracy") == found.said()
    assert metric(app, "95 % interval") == f"{found.low:.1f}–{found.high:.1f} %"
    assert metric(app, "Right") == f"{found.right} of 30"
    assert "All 3 subjects have a score." in text(app)
    told = tables(app)
    assert [
        name for name in ("Dataset", "Metric", "Mode", "Score", "Not extracted", *SUBJECTS) if name not in told
    ] == []


def test_of_few_questions_the_interval_is_what_counts(runs: EvaluateStore) -> None:
    run = evaluated(runs, subjects={"capitals": 8})
    assert "8 questions are too few to lean on" in text(open_page(run=str(run)))


def test_a_missing_score_has_its_cause_its_evidence_and_a_button_that_runs_only_this(
    runs: EvaluateStore, store: Store
) -> None:
    spec = {"model": "starter", "questions": "bundled", "answer_tokens": 32}
    made = store.submit("evaluate", spec)
    store.cancel(made.id)
    run = evaluated(runs, missing=("animals",), job=made.id)
    app = open_page(run=str(run))
    told = text(app)
    assert "1 of 3 subjects has no score" in told
    assert GONE.message in told
    assert GONE.hint in told
    assert "ConnectionRefusedError" in told
    assert "The accuracy is that of the 2 of 3 subjects that have a score." in told
    press(app, "Run only this again")
    newest = max(store.list(verb="evaluate"), key=lambda row: row.id)
    again = store.spec(newest.id)
    assert (again["subjects"], again["into"], again["answer_tokens"]) == (["animals"], run, 32)
    assert address(app)["job"] == str(newest.id)


def test_many_cells_with_one_cause_are_one_story_with_one_button(runs: EvaluateStore, store: Store) -> None:
    made = store.submit("evaluate", {"model": "starter", "questions": "bundled"})
    store.cancel(made.id)
    subjects = {f"subject {n}": 2 for n in range(20)}
    run = evaluated(runs, subjects=subjects, missing=tuple(subjects)[:15], job=made.id)
    app = open_page(run=str(run))
    assert text(app).count(GONE.message) == 1
    assert labels(app).count("Run only this again") == 6
    press(app, "Run only these 15 again")
    newest = max(store.list(verb="evaluate"), key=lambda row: row.id)
    assert store.spec(newest.id)["subjects"] == [f"subject {n}" for n in range(15)]


def test_answers_that_could_not_be_read_are_not_wrong_and_stand_beside_the_solution(runs: EvaluateStore) -> None:
    run = evaluated(runs, right=0.4, unread=0.4)
    app = open_page(run=str(run))
    assert "no answer could be extracted" in text(app)
    assert "That depends on what you mean." in tables(app)
    press(app, "Look at all of them")
    assert (address(app)["part"], address(app)["only"]) == ("questions", "unread")
    unread = sum(tally.unread for tally in runs.tallies(run))
    assert f"Send all {unread} questions to a dataset" in labels(app)


# --- the questions behind a number


def test_questions_are_filtered_by_outcome_subject_and_text_and_the_address_says_so(runs: EvaluateStore) -> None:
    run = evaluated(runs, right=0.5)
    app = open_page(run=str(run), part="questions")
    assert tables(app).count('class="evq"') == 10, "a page"
    assert "1–10 of 30" in text(app)
    app.segmented_control(key="evaluate_browser_only").set_value("wrong").run()
    wrong = sum(tally.wrong for tally in runs.tallies(run))
    assert tables(app).count('class="evq"') == min(10, wrong)
    app.selectbox(key="evaluate_browser_subject").set_value("capitals").run()
    app.text_input(key="evaluate_browser_query").set_value("3 of").run()
    assert {name: address(app)[name] for name in ("only", "subject", "q")} == {
        "only": "wrong",
        "subject": "capitals",
        "q": "3 of",
    }
    app.segmented_control(key="evaluate_browser_only").set_value("all").run()
    assert tables(app).count("What is 3 of capitals?") == 1
    app.text_input(key="evaluate_browser_query").set_value("nothing like it").run()
    assert "No question is like that." in text(app)


def test_a_page_that_is_not_there_is_the_first(runs: EvaluateStore) -> None:
    run = str(evaluated(runs))
    app = open_page(run=run, part="questions", at="21")
    assert "21–30 of 30" in text(app)
    for at in ("999999999999", "x", "-3", "0"):
        assert "1–10 of 30" in text(go(app, run=run, part="questions", at=at)), at


def test_a_question_opens_to_the_exact_prompt_and_the_whole_answer(runs: EvaluateStore) -> None:
    run = evaluated(runs, subjects={"capitals": 1}, right=1.0)
    app = open_page(run=str(run), part="questions")
    assert "Answer with the letter." not in text(app)
    fold = next(each for each in app.expander if each.label == "Exact prompt and whole answer")
    app.session_state[str(fold.key)] = True
    app.run()
    codes = [str(each.value) for each in app.code]
    assert any(code.endswith("Answer with the letter.") for code in codes)
    assert any(code.startswith("The answer is ") for code in codes)


def test_wrong_answers_become_rows_with_the_right_answer_to_learn(runs: EvaluateStore, workspace: Workspace) -> None:
    run = evaluated(runs, subjects={"capitals": 12}, right=0.0)
    app = open_page(run=str(run), part="questions", only="wrong")
    press(app, "Send all 12 questions to a dataset")
    assert "cannot be judged by them any more" in text(app)
    press(app, "Add to dataset")
    (collection,) = Collected(workspace).list()
    rows = [json.loads(line) for line in collection.path.read_text().splitlines()]
    assert (collection.name, len(rows)) == ("From evaluation", 12)
    asked, learned = rows[0]["messages"]
    assert asked["content"].endswith("Answer with the letter.")
    assert learned == {"role": "assistant", "content": f"{_option(asked['content'], learned['content'][-2])}"}
    assert rows[0]["lineage"]["evaluation"] == run


def _option(shown: str, letter: str) -> str:
    """The text of the option of ``letter`` and the letter, as a model would say it."""
    line = next(line for line in shown.splitlines() if line.startswith(f"{letter}. "))
    return f"{line[3:]} ({letter})"


# --- names, files, removal


def test_a_run_is_renamed_and_removed_only_after_a_second_press(runs: EvaluateStore) -> None:
    run = evaluated(runs)
    app = open_page(run=str(run))
    app.text_input(key="evaluate_name").set_value("Before")
    press(app, "Keep this name")
    assert runs.run(run).name == "Before"
    press(app, "Remove Before")
    assert runs.runs() == []
    assert address(app) == {"view": "results"}


def test_a_run_that_is_not_there_is_told_and_no_crash(runs: EvaluateStore) -> None:
    evaluated(runs)
    app = open_page(run="99")
    assert "There is no evaluation 99" in text(app)
    for run in ("9" * 30, "x", "-1"):
        assert "Compare" in labels(go(app, run=run)), "the list"


def test_names_and_answers_are_text_on_the_page(runs: EvaluateStore) -> None:
    run = evaluated(runs, "<img src=x onerror=alert(1)>", {"<b>bold</b>": 3})
    app = open_page(run=str(run))
    for part in ("scores", "questions"):
        go(app, run=str(run), part=part)
        assert "<img" not in tables(app)
        assert "<b>bold" not in tables(app)


# --- past results

SUMMARY = """dataset                 version    metric    mode    old-model
----------------------  ---------  --------  ------  -----------
ceval-computer_network  db9ce2     accuracy  gen     47.37
ceval-operating_system  1c2571     accuracy  gen     -
"""


def test_a_pasted_table_is_shown_before_it_is_kept_and_not_kept_twice(runs: EvaluateStore) -> None:
    for time in (1, 2):
        app = open_page()
        app.session_state["evaluate_import"] = True
        app.run()
        app.segmented_control(key="evaluate_import_way").set_value("paste").run()
        app.text_area(key="evaluate_import_text").set_value(SUMMARY)
        press(app, "Look at it")
        assert "47.37" in tables(app)
        assert "1 subject has no score" in text(app)
        assert len(runs.runs()) == time - 1
        press(app, "Keep this run")
        (run,) = runs.runs()
        assert (run.model, run.source) == ("old-model", "import")
        assert address(app)["run"] == str(run.id)
        said = " ".join(str(toast.value) for toast in app.toast)
        assert ("1 run was kept" in said) if time == 1 else ("was here already and is not doubled" in said)


def test_a_path_that_is_no_result_is_told_in_words(workspace: Workspace, tmp_path: Path) -> None:
    app = open_page()
    app.session_state["evaluate_import"] = True
    app.run()
    app.text_input(key="evaluate_import_where").set_value(str(tmp_path / "nothing"))
    press(app, "Look at it")
    assert str(tmp_path / "nothing").replace("_", "\\_") in text(app)
    assert "Keep this run" not in labels(app)
