"""Comparing runs and trying several settings, over a real store: what the page says, and what its presses do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from backend.finetune import sweeps
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.finetune_page import open_finetune, persona, press, said
from tests.support.handmade_run import HandmadeRun

RATES = (1e-4, 2e-4, 4e-4)


def falling_to(last: float) -> Callable[[int, int], float]:
    return lambda step, steps: 3.0 - step / steps * (3.0 - last)


@pytest.fixture
def three(store: Store) -> list[HandmadeRun]:
    """Runs that differ in their rate of learning; the middle one learned best."""
    made = []
    for rate, held_out in zip(RATES, (0.9, 0.4, 0.6), strict=True):
        run = HandmadeRun(store, steps=40, learning_rate=rate, title=f"taught <b>{rate:g}</b>")
        run.begin()
        run.learn(40, held_out=falling_to(held_out))
        run.end("succeeded", result={"step": 40, "steps": 40, "loss": 0.5, "eval_loss": held_out})
        made.append(run)
    return made


def compare(runs: list[HandmadeRun]) -> AppTest:
    return open_finetune(view="compare", runs=",".join(str(run.row.id) for run in runs))


def table(app: AppTest) -> str:
    (found,) = [element.proto.body for element in app.main.get("html") if 'class="tdc"' in element.proto.body]
    return str(found)


def test_without_runs_the_view_says_what_it_is_for(store: Store) -> None:
    app = open_finetune(view="compare")
    assert "Here you lay runs over one another" in said(app)
    press(app, "Set up a run")
    assert app.query_params["view"] in ("new", ["new"])


def test_with_runs_it_proposes_some(three: list[HandmadeRun]) -> None:
    app = open_finetune(view="compare")
    assert "Choose 2 to 16 runs" in said(app)
    press(app, "The newest 3 runs")
    assert "has the lowest validation loss" in said(app)


def test_the_best_is_named_and_only_what_differs_is_in_the_table(three: list[HandmadeRun]) -> None:
    app = compare(three)
    assert (
        f"#{three[1].row.id} rate 0.0002** has the lowest validation loss, 0.400; the next one is 0.200 above it"
        in said(app)
    )
    html = table(app)
    assert ">Learning rate<" in html
    assert ">LoRA rank<" not in html
    order = [html.index(f"</i>#{run.row.id}<") for run in (three[1], three[2], three[0])]
    assert order == sorted(order), "the best first"
    assert html.count("★") == 1


def test_each_run_has_one_colour_on_the_curves_and_in_the_table(three: list[HandmadeRun]) -> None:
    from backend.finetune import comparing
    from ui.finetune import compare as finetune_compare
    from ui.finetune import compare_chart as finetune_compare_chart

    found = comparing.contenders(three[0].store, [run.row.id for run in three])
    labels = comparing.labels(found)
    chart = finetune_compare_chart.options(found, labels, "eval_loss", "step")["baseOption"]["series"]
    html = finetune_compare.table(found, comparing.differences(found))
    for run, line in zip(three, chart, strict=True):
        assert line["name"].startswith(f"#{run.row.id} ")
        assert line["data"][-1][0] == 40
        before = html[: html.index(f"</i>#{run.row.id}<")]
        assert before.endswith(f'solid {line["color"]}">')


def test_three_runs_are_drawn_as_lines_through_their_settings(three: list[HandmadeRun]) -> None:
    app = compare(three)
    assert len(app.main.get("plotly_chart")) == 1
    assert "Drag along an axis" in said(app)
    assert len(compare(three[:2]).main.get("plotly_chart")) == 0


def test_names_from_outside_stay_text(store: Store, three: list[HandmadeRun]) -> None:
    other = HandmadeRun(store, steps=40, dataset="<img src=x>", title="<img src=x>")
    other.begin()
    other.learn(40)
    other.end("succeeded")
    app = compare([three[0], other])
    assert "&lt;img src=x&gt;" in table(app)
    assert "<img" not in table(app)


def test_a_job_that_cannot_be_compared_can_be_left_out(store: Store, three: list[HandmadeRun]) -> None:
    drill = store.submit("drill", {"steps": 1})
    app = open_finetune(view="compare", runs=f"{three[0].row.id},{three[1].row.id},{drill.id}")
    assert f"Job {drill.id} is no training." in said(app)
    press(app, "Leave it out")
    assert "has the lowest validation loss" in said(app)


def test_a_sweep_is_offered_by_its_number(store: Store, workspace: Workspace, three: list[HandmadeRun]) -> None:
    persona(workspace)
    spec = {"model": "starter", "dataset": "My persona", "device": "cpu", "epochs": 1.0}
    rows = sweeps.start(store, sweeps.make(workspace, spec, {"seed": [1, 2]}))
    app = press(open_finetune(view="compare"), f"The 2 runs of sweep #{rows[0].id}")
    assert "2 runs have not ended yet." in said(app)


def sweep_form(workspace: Workspace) -> AppTest:
    """New run with *Try several settings* open."""
    app = open_finetune(view="new", model="starter", dataset="My persona", purpose="identity")
    app.session_state["finetune_sweep"] = True
    return app.run()


def test_a_sweep_says_what_it_takes_and_becomes_jobs(workspace: Workspace, store: Store) -> None:
    persona(workspace)
    app = sweep_form(workspace)
    assert not app.exception, app.exception
    fields = next(each for each in app.multiselect if each.key == "finetune_sweep_fields")
    fields.set_value(["seed"]).run()
    text = said(app)
    assert "runs: 3" in text
    assert "time, all together: " in text
    assert "disk, all together: " in text
    press(app, "Start 3 runs")
    rows = store.list()
    assert [store.spec(row.id)["seed"] for row in reversed(rows)] == [42, 43, 44]
    assert {store.spec(row.id)["merge"] for row in rows} == {False}
    assert "3 runs are on their way." in said(app)
    assert "3 runs have not ended yet." in said(app)
