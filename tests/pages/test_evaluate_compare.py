"""Evaluate, compare: is the new model better? One sentence with an interval, a warning where it cannot be told, and the questions that show it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog.lineage import Lineage
from backend.evaluate.records import Outcome, Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from tests.support import models
from tests.support.evaluate_page import address, moved, opened, press, tables
from tests.support.evaluated import BEGAN, answer, evaluated
from tests.support.page_text import text
from ui.evaluate import compare_chart as evaluate_compare_chart
from ui.evaluate import compare_table as evaluate_compare_table
from ui.evaluate import history as evaluate_history
from ui.evaluate.compare_chart import Bar
from ui.evaluate.compare_table import Line


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def open_page(**query: str) -> AppTest:
    """The view *compare* as the address with these parameters opens it."""
    return opened("compare", **query)


def go(app: AppTest, **query: str) -> AppTest:
    """The same visitor at another address of the view."""
    return moved(app, "compare", **query)


def charts(app: AppTest) -> str:
    """All charts as they are sent to the browser."""
    return "\n".join(str(element.proto) for element in app.get("echarts_chart"))


def exact(store: EvaluateStore, model: str, right: Mapping[str, Sequence[bool]], **more: Any) -> int:
    """A run whose right and wrong answers are exactly these, by subject."""
    run = store.begin(Run(0, "", "tunedeck", "1", model, "bundled", "0123456789ab", began=BEGAN, **more))
    for subject, marks in right.items():
        said: list[Outcome] = ["right" if mark else "wrong" for mark in marks]
        store.put_answers(run, [answer(subject, number, outcome) for number, outcome in enumerate(said)])
        store.put_scores(run, [Score(subject, 100 * sum(marks) / len(marks), len(marks))])
    store.end(run, "done")
    return run


def pair(store: EvaluateStore) -> tuple[int, int]:
    """A base with 65 of 120 right, and a tuned model with 78, that is better in one subject and worse in another."""
    base = {
        "law": [True] * 25 + [False] * 15,
        "cooking": [True] * 10 + [False] * 30,
        "history": [True] * 30 + [False] * 10,
    }
    tuned = {
        "law": [True] * 28 + [False] * 12,
        "cooking": [True] * 30 + [False] * 10,
        "history": [True] * 20 + [False] * 20,
    }
    return exact(store, "base", base), exact(store, "tuned", tuned)


# --- the sentence


def test_without_two_runs_it_says_what_it_takes(workspace: Workspace) -> None:
    app = open_page()
    assert "Is the new model better?" in text(app)
    press(app, "Evaluate a model")
    assert address(app)["view"] == "run"


def test_without_an_address_two_models_of_the_same_questions_stand_side_by_side(runs: EvaluateStore) -> None:
    evaluated(runs, "other", set_name="own", began=BEGAN - 5)
    base = evaluated(runs, "starter", began=BEGAN - 10)
    evaluated(runs, "by OpenCompass", evaluator="opencompass", began=BEGAN + 10)
    tuned = evaluated(runs, "tuned", seed=2, began=BEGAN)
    app = open_page()
    assert app.multiselect(key="evaluate_compared").value == [base, tuned]


def test_a_tuned_model_stands_beside_its_base_and_its_history_begins_there(
    runs: EvaluateStore, workspace: Workspace, tmp_path: Path
) -> None:
    catalog.add(workspace, models.folder(tmp_path / "ground"), "ground")
    catalog.receive(workspace, models.folder(tmp_path / "tuned"), "tuned", Lineage(verb="finetune", base="ground"))
    base = evaluated(runs, "ground", began=BEGAN - 100)
    tuned = evaluated(runs, "tuned", seed=2, began=BEGAN)
    evaluated(runs, "another", seed=3, began=BEGAN - 50)
    evaluated(runs, "ground", seed=4, set_name="own", began=BEGAN)
    app = open_page()
    assert app.multiselect(key="evaluate_compared").value == [base, tuned], "the base, though another is newer"
    assert "Along the lineage" in text(app)
    found = evaluate_history.points(runs.run(tuned), workspace, runs)
    assert [bar.label.split("\n")[0] for bar in found] == ["ground", "tuned"]
    assert "Fine-tune" in found[1].label


def test_better_is_said_in_one_sentence_with_an_interval(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    told = text(open_page(runs=f"{base},{tuned}"))
    assert (
        "tuned is better on these questions than base: 65.0 % against 54.2 % right of the same 120, +10.8 points"
        in told
    )
    assert "of one of 10.8 points it takes" not in told


def test_few_questions_are_no_proof_and_it_is_said_how_many_it_would_take(runs: EvaluateStore) -> None:
    base = exact(runs, "base", {"law": [True] * 6 + [False] * 6})
    tuned = exact(runs, "tuned", {"law": [True] * 7 + [False] * 5})
    told = text(open_page(runs=f"{base},{tuned}"))
    assert "Too few questions to tell base and tuned apart" in told
    assert "To be sure of one of 8.3 points it takes about" in told


def test_what_cannot_be_compared_is_refused_in_words_and_stands_in_no_table(runs: EvaluateStore) -> None:
    base, tuned = evaluated(runs, "base"), evaluated(runs, "tuned", seed=2)
    other = evaluated(runs, "odd one", seed=3, evaluator="opencompass")
    later = evaluated(runs, "odd one", seed=3, set_version="ffffffffffff")
    app = open_page(runs=f"{base},{other},{tuned}")
    for odd, why in ((other, "each asks and marks in its own way"), (later, "They were asked different questions")):
        go(app, runs=f"{base},{odd},{tuned}")
        assert why in text(app)
        assert "odd one" not in tables(app)
        assert "C tuned" in tables(app), "the others keep their letters"


def test_scores_without_answers_have_no_interval_and_it_is_said(runs: EvaluateStore) -> None:
    ids = []
    for model, value in (("old", 60.0), ("new", 70.0)):
        run = runs.begin(Run(0, "", "opencompass", "", model, "ceval", "", source="import", began=BEGAN))
        runs.put_scores(run, [Score("ceval-law", value), Score("ceval-physics", value + 1)])
        runs.end(run, "done")
        ids.append(run)
    app = open_page(runs=",".join(map(str, ids)))
    assert "whether that is chance cannot be told without the answers" in text(app)
    assert "Questions" not in [str(each) for each in app.segmented_control(key="evaluate_compare_view").options]


def test_an_address_that_names_no_runs_is_no_trap(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    app = open_page(runs="99")
    for asked in ("99", "x,,-1", "9" * 40, ""):
        assert go(app, runs=asked).multiselect(key="evaluate_compared").value == [base, tuned], asked


def test_runs_are_chosen_and_the_address_says_so(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    third = evaluated(runs, "third")
    app = open_page(runs=f"{base},{tuned}")
    app.multiselect(key="evaluate_compared").set_value([tuned, base, third]).run()
    assert address(app)["runs"] == f"{tuned},{base},{third}"
    assert "base is worse on these questions than tuned" in text(app)


# --- where it differs


def test_the_table_has_the_difference_under_each_score_and_marks_what_is_beyond_chance(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    app = open_page(runs=f"{base},{tuned}")
    told = tables(app)
    assert "+50.0 ▲" in told, "cooking: 10 against 30 of 40"
    assert "−25.0 ▼" in told, "history: 30 against 20 of 40"
    assert ">+7.5<" in told, "law: three questions may be chance"
    assert [str(each.proto.label) for each in app.get("download_button")] == ["CSV", "Markdown", "HTML"]


def test_what_got_worse_leads_to_the_questions_that_were_lost(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    app = open_page(runs=f"{base},{tuned}", show="difference")
    told = text(app)
    assert "In 1 of 3 subjects it is worse beyond what chance explains." in told
    assert "**history** −25.0 points" in told
    press(app, "Questions that it lost")
    assert {name: address(app)[name] for name in ("show", "pair", "subject")} == {
        "show": "questions",
        "pair": "a_only",
        "subject": "history",
    }
    assert tables(app).count('class="evq"') == 10


def test_questions_of_both_are_filtered_by_who_was_right_and_both_answers_stand_there(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    app = open_page(runs=f"{base},{tuned}", show="questions", pair="b_only", q="29 of")
    shown = tables(app)
    assert shown.count("What is 29 of cooking?") == 1
    assert "A base" in shown
    assert "B tuned" in shown
    options = [str(each) for each in app.segmented_control(key="evaluate_pair_only").options]
    assert options == ["A right, B wrong 10", "B right, A wrong 23", "neither right 32", "both right 55", "all 120"]
    app.segmented_control(key="evaluate_pair_only").set_value("a_only").run()
    assert "What is 29 of history?" in tables(app)


def test_of_several_runs_one_is_held_against_the_first(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    third = exact(runs, "third", {"law": [False] * 40})
    app = open_page(runs=f"{base},{tuned},{third}", show="questions")
    assert app.segmented_control(key="evaluate_compare_with").value == tuned
    app.segmented_control(key="evaluate_compare_with").set_value(third).run()
    options = [str(each) for each in app.segmented_control(key="evaluate_pair_only").options]
    assert options[0] == "A right, C wrong 25"


def test_each_picture_is_drawn_where_there_is_enough_to_draw(runs: EvaluateStore) -> None:
    base, tuned = pair(runs)
    app = open_page(runs=f"{base},{tuned}")
    assert "A base" in charts(app), "the bars"
    for view, sign in {"difference": "Difference in points", "heat": "heatmap", "radar": "indicator"}.items():
        app.segmented_control(key="evaluate_compare_view").set_value(view).run()
        assert not app.exception
        assert sign in charts(app), view
    few = [exact(runs, model, {"law": [True] * 20}) for model in ("one", "two")]
    assert "Radar" not in go(app, runs=",".join(map(str, few))).segmented_control(key="evaluate_compare_view").options


def test_names_are_text_on_the_page(runs: EvaluateStore) -> None:
    ids = [evaluated(runs, name, seed=place) for place, name in enumerate(("<img src=x>", "{a} **b**"))]
    app = open_page(runs=",".join(map(str, ids)))
    for view in ("table", "difference", "questions"):
        go(app, runs=",".join(map(str, ids)), show=view)
        assert "<img" not in tables(app)


# --- what is sent to the browser


def test_whiskers_stand_where_the_interval_is_and_a_name_with_braces_is_no_template() -> None:
    options = evaluate_compare_chart.bar_options([(2, Bar("C {b} name", 65.0, 56.1, 73.0, "65.0 %"))])
    made = options["baseOption"]
    bar = made["series"][0]
    assert [point["coord"] for point in bar["markLine"]["data"][0]] == [[56.1, 0], [73.0, 0]]
    assert bar["data"][0]["itemStyle"]["color"] == evaluate_compare_chart.colour(2)
    assert "{b}" not in json.dumps(made["yAxis"])
    assert "{b}" not in bar["data"][0]["name"]


def test_a_difference_has_a_colour_only_beyond_chance() -> None:
    sure, chance = Bar("law", 20.0, 5.0, 33.0, "", 1), Bar("art", 20.0, -5.0, 40.0, "", 0)
    colours = [evaluate_compare_chart.judged(bar) for bar in (sure, chance)]
    assert colours == [evaluate_compare_chart.BETTER, evaluate_compare_chart.UNCLEAR]


def test_the_axis_of_differences_holds_all_intervals() -> None:
    axis = evaluate_compare_chart.difference_options([Bar("law", -20.0, -52.0, 3.0, "", -1)])["baseOption"]["xAxis"]
    assert (axis["min"], axis["max"]) == (-55.0, 55.0)


def test_a_cell_without_a_score_is_a_dash_and_has_no_difference() -> None:
    made = evaluate_compare_table.html([Line("law", (50.0, None), (None, None), "10")], [(0, "A"), (1, "B")])
    assert "<b>–</b></span>" in made


def test_history_is_drawn_from_the_base_on() -> None:
    made = evaluate_history.options([Bar("base", 50.0, 40.0, 60.0, "50.0 %"), Bar("tuned", 60.0, None, None, "60.0 %")])
    assert made["xAxis"]["data"] == ["base", "tuned"]
    assert len(made["series"][0]["markLine"]["data"]) == 1, "no interval where nobody knows how many questions"
