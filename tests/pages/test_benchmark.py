"""Benchmark: three questions make a measurement, a preset makes a table, and results stand there as figures, curves and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.bench import export, keys, matrix
from backend.bench.columns import TITLES
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import benchmarks, by_hand
from tests.support.page_text import labels, text
from tests.support.stub_openai import Stub
from ui import words

START = "Measure stub"


def open_page(**query: str) -> AppTest:
    """The page as the address with these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "benchmark.py")).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def off(app: AppTest, label: str) -> bool:
    return bool(next(button for button in app.button if button.label == label).disabled)


def tables(app: AppTest) -> str:
    """The HTML of the page's tables."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def address(app: AppTest) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


# --- measure a server


def test_without_a_server_the_way_to_one_stands_there_and_any_address_will_do(workspace: Workspace) -> None:
    app = open_page()
    assert "No model is served here now" in text(app)
    assert "Give the address of the server." in text(app)
    app.text_input(key="benchmark_address").set_value("http://127.0.0.1:9/v1").run()
    assert not off(app, "Measure http://127.0.0.1:9/v1")


def test_three_answers_and_a_press_make_the_measurement(server: Stub, store: Store) -> None:
    app = open_page()
    assert app.selectbox(key="benchmark_server").value == "stub"
    app.pills(key="benchmark_people").set_value([8, 1]).run()
    app.number_input(key="benchmark_requests").set_value(12).run()
    assert "12 requests with each of: 1, 8 people at once." in text(app)
    assert "24 requests in all." in text(app)
    press(app, START)
    (row,) = store.list(verb="bench")
    spec = store.spec(row.id)
    assert (spec["server"], spec["concurrency"], spec["num_prompts"]) == ("stub", [1, 8], 12)
    assert address(app) == {"view": "results", "job": str(row.id)}


def test_what_is_missing_is_said_and_nothing_can_be_started(server: Stub, store: Store) -> None:
    app = open_page()
    app.pills(key="benchmark_people").set_value([]).run()
    assert "Choose how many people ask at once." in text(app)
    assert off(app, START)
    app.pills(key="benchmark_people").set_value([2]).run()
    app.number_input(key="benchmark_spec_timeout_s").set_value(0.0).run()
    assert "Time-out" in text(app)
    assert off(app, START)
    assert store.list(verb="bench") == []


def test_a_server_on_the_deploy_page_leads_to_its_measurement(server: Stub) -> None:
    deploy = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    deploy.switch_page(str(ROOT / "pages" / "deploy.py")).run()
    links = [link.proto for link in deploy.get("page_link") if link.proto.label == "Measure it"]
    assert [(link.page, link.query_string) for link in links] == [("benchmark", "view=measure&model=stub")]


def test_an_asleep_or_absent_model_in_the_address_is_no_trap(server: Stub) -> None:
    app = open_page(model="gone")
    assert app.selectbox(key="benchmark_server").value == "stub"


def test_a_key_is_kept_by_a_name_and_stands_in_no_spec(workspace: Workspace, store: Store) -> None:
    app = open_page()
    app.text_input(key="benchmark_address").set_value("http://127.0.0.1:9/v1").run()
    app.text_input(key="benchmark_key_name").set_value("no name").run()
    app.text_input(key="benchmark_key_secret").set_value("sk-very-secret").run()
    press(app, "Keep it")
    assert "is no name for a key" in text(app)
    app.text_input(key="benchmark_key_name").set_value("lab").run()
    app.text_input(key="benchmark_key_secret").set_value("sk-very-secret").run()
    press(app, "Keep it")
    assert app.selectbox(key="benchmark_key").value == "lab"
    assert app.text_input(key="benchmark_key_secret").value == ""
    assert keys.read(workspace, "lab") == "sk-very-secret"
    press(app, "Measure http://127.0.0.1:9/v1")
    (row,) = store.list(verb="bench")
    assert store.spec(row.id)["key_name"] == "lab"
    assert "very-secret" not in text(app)
    assert not [path for path in store.job_dir(row.id).iterdir() if "very-secret" in path.read_text()]


# --- compare set-ups


def test_the_courses_table_says_of_each_row_whether_it_can_be_here(workspace: Workspace) -> None:
    app = open_page(view="matrix")
    told = text(app)
    assert "**Hugging Face**" in told
    assert "**TurboMind, TurboMind + KV int8**" in told, "the same reason stands there once"
    assert "LMDeploy computes on NVIDIA GPUs only" in told
    assert "'starter awq 4bit' is not on the list of models." in told
    assert "1 at once, 512 + 128 tokens; 8 at once, 2,048 + 128 tokens" in told
    assert not off(app, "Measure 1 of 5 set-ups")


def test_the_press_makes_the_job_of_all_rows(workspace: Workspace, store: Store) -> None:
    app = open_page(view="matrix", preset="people")
    press(app, "Measure 2 of 4 set-ups")
    (row,) = store.list(verb="bench_matrix")
    spec = store.spec(row.id)
    assert row.title == "starter: More and more people"
    assert len(spec["setups"]) == 4
    assert [size["batch"] for size in spec["sizes"]] == [1, 2, 4, 8, 16]
    assert address(app) == {"view": "results", "job": str(row.id)}


def test_a_table_of_ones_own_is_every_combination(workspace: Workspace, store: Store) -> None:
    app = open_page(view="matrix", preset="own")
    assert not off(app, "Measure 2 of 2 set-ups")
    app.multiselect(key="benchmark_own_contexts").set_value([1024, 2048]).run()
    assert "Hugging Face + context 1024" in text(app)
    assert not off(app, "Measure 4 of 4 set-ups")
    app.multiselect(key="benchmark_own_engines").set_value([]).run()
    assert "Choose at least one model and one engine." in text(app)
    assert off(app, "Measure 0 of 0 set-ups")
    app.multiselect(key="benchmark_own_engines").set_value(["turbomind"]).run()
    assert "None of these set-ups can be measured on this machine." in text(app)
    app.multiselect(key="benchmark_own_engines").set_value(["transformers"]).run()
    app.multiselect(key="benchmark_sizes_own").set_value([]).run()
    assert "Choose at least one size." in text(app)


# --- results


def test_before_the_first_result_both_ways_to_one_are_offered(workspace: Workspace) -> None:
    app = open_page(view="results")
    assert "No measurements yet" in text(app)
    press(app, "Compare set-ups")
    assert "What will happen" in text(app)


def test_a_result_has_the_columns_of_the_notes_and_its_knee(store: Store) -> None:
    row = benchmarks.bench(store, 1, 2, 4, 8, 16)
    app = open_page(view="results", job=str(row.id))
    assert "The knee is at 4 people at once" in text(app)
    app.segmented_control(key=f"benchmark_table_{row.id}_columns").set_value("all").run()
    heads = tables(app)
    assert [name for name in TITLES if export.title(name).replace("'", "&#x27;") not in heads] == []
    charts = [element.proto for element in app.get("echarts_chart")] or app.get("vega_lite_chart")
    assert charts is not None
    press(app, "All results")
    assert "Side by side" in text(app)


def test_a_partial_result_is_kept_and_marked(store: Store) -> None:
    row = benchmarks.bench(store, 1, 4, 8, ends="failed")
    app = open_page(view="results", job=str(row.id))
    assert "The server went away." in text(app)
    assert "What was measured until then is kept." in text(app)
    assert tables(app).count("partial: it ended before all requests were answered") == 1


def test_a_table_fills_while_it_is_measured(store: Store, workspace: Workspace) -> None:
    row = benchmarks.submit_matrix(store, workspace, "people")
    by_hand.begin(store, row)
    app = open_page(view="results", job=str(row.id))
    assert "tokens/s" not in text(app)
    assert tables(app).count(words._("waiting")) == 4
    benchmarks.fill(store, row, rows=1)
    app.run()
    assert tables(app).count("1 at once, 256 + 64 tokens") == 1
    benchmarks.fill(store, row)
    app.run()
    assert tables(app).count("1 at once, 256 + 64 tokens") == 2
    assert "Fastest with 16 at once, 256 + 64 tokens: Hugging Face batching" in text(app)
    assert tables(app).count("not on this machine") == 2


def test_measure_again_makes_a_new_job_with_the_same_settings(store: Store, workspace: Workspace) -> None:
    row = benchmarks.ended_matrix(store, workspace)
    app = open_page(view="results", job=str(row.id))
    press(app, "Measure again")
    newest = max(store.list(verb="bench_matrix"), key=lambda each: each.id)
    assert newest.id != row.id
    assert store.spec(newest.id) == store.spec(row.id)


def test_results_are_laid_side_by_side(store: Store, workspace: Workspace) -> None:
    first, second = benchmarks.bench(store, 1, 4, 8, title="small"), benchmarks.bench(store, 1, 4, 8, title="large")
    benchmarks.ended_matrix(store, workspace)
    app = open_page(view="results", jobs=f"{first.id},{second.id},999,x")
    assert app.multiselect(key="benchmark_compared").value == [first.id, second.id]
    told = tables(app)
    assert f"#{first.id} small" in told
    assert f"#{second.id} large" in told
    app.multiselect(key="benchmark_compared").set_value([second.id]).run()
    assert address(app)["jobs"] == str(second.id)
    assert f"#{first.id} small" not in tables(app)


@pytest.mark.parametrize("job", ["99", "x", "", "-1", "9" * 30])
def test_a_job_that_is_not_there_is_told_and_no_crash(store: Store, job: str) -> None:
    benchmarks.bench(store, 1, 4)
    app = open_page(view="results", job=job)
    told = text(app)
    assert ("There is no job 99" in told) if job == "99" else ("Side by side" in told)


def test_names_are_text_on_the_page_and_in_the_files(store: Store) -> None:
    row = benchmarks.bench(store, 1, 4, title="<img src=x onerror=alert(1)> **bold**")
    app = open_page(view="results", job=str(row.id))
    assert "<img" not in tables(app)
    assert "Markdown" in " ".join(labels(app) + [str(each.proto.label) for each in app.get("download_button")])


def test_a_broken_record_is_an_empty_result(store: Store, workspace: Workspace) -> None:
    row = benchmarks.ended_matrix(store, workspace)
    Path(store.job_dir(row.id) / matrix.FILE).write_text('{"rows": [1]}')
    app = open_page(view="results", job=str(row.id))
    assert tables(app).count(words._("waiting")) == 5
