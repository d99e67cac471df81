"""Quantize: the plan stands beside every step, what cannot be done says why, faults are mended by a press, the button makes that job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.quantize.plan import plan
from backend.queue.store import Store
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace
from tests.support import datasets, models
from tests.support.finetune_page import figure, off, press, said
from tests.support.page_text import labels
from tests.support.quantize_page import PACKED, address, links, open_quantize
from ui import words

GPTQ, RTN = "Quantize starter to 4 bits (GPTQ)", "Quantize starter to 4 bits (plain rounding)"


@pytest.fixture
def page(workspace: Workspace) -> AppTest:
    """The first step, with the shipped model."""
    return open_quantize()


def number(app: AppTest, name: str) -> int:
    return int(app.number_input(key=f"quantize_set_{name}").value or 0)


def go(app: AppTest, **query: str) -> None:
    """Follow a link to the page with these parameters."""
    for name in list(app.query_params):
        del app.query_params[name]
    for name, value in query.items():
        app.query_params[name] = value
    app.run()


# --- the steps and the plan


def test_the_plan_stands_beside_every_step(page: AppTest, workspace: Workspace) -> None:
    made = plan(workspace, {"model": "starter", "method": "gptq"})
    assert made.bytes_after is not None
    for step in ("model", "method", "calibration", "plan"):
        page.query_params["step"] = step
        page.run()
        assert figure(page, "Size of the copy") == words.size(made.bytes_after.likely)
        assert f"now {words.size(made.bytes_before)}" in said(page)
        assert "starter stays as it is." in said(page)
        assert "that are free now (estimate)" in said(page)
        assert not off(page, GPTQ)


def test_one_walks_from_step_to_step_and_back(page: AppTest) -> None:
    for label, step in (
        ("Next: Method", "method"),
        ("Next: Calibration", "calibration"),
        ("Next: Plan", "plan"),
        ("Back", "calibration"),
    ):
        press(page, label)
        assert address(page)["step"] == step


def test_a_link_opens_the_method_of_its_model(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "llama"))
    app = open_quantize(step="method", model="llama", group_size="16")
    assert "llama stays as it is." in said(app)
    go(app, step="plan", method="rtn")
    assert "llama stays as it is." in said(app), "what a link does not name stays"
    assert number(app, "group_size") == 16
    go(app, step="plan", model="starter")
    assert number(app, "group_size") == 128, "what was about the other model goes with it"


def test_what_is_chosen_stands_in_the_address(page: AppTest) -> None:
    page.query_params["step"] = "method"
    page.run()
    page.radio(key="quantize_method").set_value("rtn").run()
    assert address(page) == {"step": "method", "model": "starter", "method": "rtn"}
    again = open_quantize(**address(page))
    assert again.radio(key="quantize_method").value == "rtn"
    assert not off(again, RTN)


# --- models and methods that cannot be taken


def test_methods_that_cannot_run_here_are_listed_with_the_reason(page: AppTest) -> None:
    page.query_params["step"] = "method"
    page.run()
    offered = page.radio(key="quantize_method").options
    assert {"**GPTQ, 4 bits**", "**Plain rounding, 4 bits**"} <= set(offered)
    assert not any("AWQ" in option for option in offered)
    told = said(page)
    assert "**AWQ, 4 bits**" in told
    assert "LMDeploy is not installed here." in told
    assert "**SmoothQuant, 8 bits**" in told
    assert "this machine shows no NVIDIA GPU" in told
    assert links(page)["Open Environments"].lower() == "engine=lmdeploy"
    assert "KV cache, 8 or 4 bits" in told, "it happens while a model is served, and is told of"


def test_a_method_that_cannot_run_here_and_is_asked_for_says_why(page: AppTest) -> None:
    app = open_quantize(step="method", method="awq")
    assert app.radio(key="quantize_method").value == "awq"
    assert "LMDeploy is not installed here." in said(app)
    assert off(app, "Quantize starter to 4 bits (AWQ)")


def test_models_that_cannot_be_taken_are_named_with_the_reason(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "small", quantization_config=PACKED))
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    app = open_quantize()
    assert app.selectbox(key="quantize_model").options == ["starter"]
    app.session_state["quantize_refused"] = True
    told = said(app.run())
    assert "'small' is quantized already" in told
    assert "**lora** · 'lora' is an adapter" in told
    asked = open_quantize(model="small")
    assert asked.selectbox(key="quantize_model").value == "small", "a link to it is not answered with another model"
    assert "'small' is quantized already" in said(asked)
    assert off(asked, "Quantize small to 4 bits (GPTQ)")


# --- calibration


def test_a_dataset_calibrates_and_too_few_rows_are_mended_by_a_press(workspace: Workspace) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(40))
    app = open_quantize(step="calibration")
    app.radio(key="quantize_calibration").set_value("dataset").run()
    assert address(app)["dataset"] == "Sums"
    assert "40" in said(app)
    assert off(app, GPTQ)
    way = next(button for button in app.button if (button.key or "").startswith("quantize_way_"))
    way.click().run()
    assert not off(app, GPTQ)
    assert "of 'Sums'" in said(app)


def test_the_texts_can_be_looked_at_as_the_model_reads_them(workspace: Workspace) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(40))
    app = open_quantize(step="calibration", calibration="dataset", dataset="Sums", samples="20")
    app.session_state["quantize_rows"] = True
    app.run()
    assert "The first of 20 rows, as the model reads them:" in said(app)
    assert any("plus" in block.value and "<|" in block.value for block in app.code)


def test_a_method_that_looks_at_no_texts_asks_for_none(page: AppTest) -> None:
    app = open_quantize(step="calibration", method="rtn")
    assert "There is nothing to choose here." in said(app)
    assert "It looks at no texts." in said(app)
    assert [radio.key for radio in app.radio if radio.key == "quantize_calibration"] == []


# --- settings and faults


def test_a_group_size_that_does_not_divide_is_mended_by_a_press(page: AppTest) -> None:
    app = open_quantize(step="plan", group_size="100")
    assert off(app, GPTQ)
    assert "What is marked red above has to be mended first." in said(app)
    way = next(button for button in app.button if (button.key or "").startswith("quantize_way_"))
    way.click().run()
    assert not off(app, GPTQ)
    assert number(app, "group_size") == int(address(app)["group_size"]) != 100


def test_nonsense_in_the_address_is_a_fault_and_no_crash(page: AppTest) -> None:
    for query in (
        {"samples": "many"},
        {"method": "magic"},
        {"group_size": "-3", "report": "perhaps"},
        {"calibration": "dataset"},
        {"calibration": "moon", "step": "calibration"},
        {"device": "abacus", "step": "plan"},
        {"step": "nowhere", "seed": "1e99"},
    ):
        app = open_quantize(**query)
        assert "starter" in said(app), query
        assert not [label for label in labels(app) if label == GPTQ and not off(app, GPTQ)], query


def test_every_field_of_the_spec_can_be_set_somewhere(page: AppTest, workspace: Workspace) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(40))
    seen = set()
    for step in ("model", "method", "calibration", "plan"):
        app = open_quantize(step=step, calibration="dataset", dataset="Sums")
        app.session_state["quantize_rows"] = True
        app.run()
        widgets = (app.selectbox, app.radio, app.number_input, app.toggle, app.text_input)
        seen |= {str(widget.key).removeprefix("quantize_").removeprefix("set_") for kind in widgets for widget in kind}
    assert set(QuantizeSpec.model_fields) - {"version", "template"} <= seen


# --- starting it


def test_the_button_makes_the_job_of_the_plan_once(page: AppTest, store: Store) -> None:
    app = open_quantize(step="plan", method="rtn")
    app.text_input(key="quantize_set_name").set_value("small one").run()
    button = next(button for button in app.button if button.label == RTN)
    button.click()
    app.run()
    (row,) = store.queue()
    spec = store.spec(row.id)
    assert (row.verb, spec["model"], spec["method"], spec["name"]) == ("quantize", "starter", "rtn", "small one")
    assert spec["template"], "the template that was agreed on goes with it"
    assert address(app) == {"step": "run", "job": str(row.id)}
    assert f"Job {row.id} is on its way." in said(app)
    assert "starter → Plain rounding, 4 bits" in said(app)


def test_what_changed_since_it_was_drawn_is_said_instead_of_starting(workspace: Workspace, store: Store) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(40))
    app = open_quantize(step="plan", calibration="dataset", dataset="Sums", samples="20")
    button = next(button for button in app.button if button.label == GPTQ)
    from backend.data.store import Datasets

    Datasets(workspace).delete("Sums")
    button.click().run()
    assert store.queue() == []
    assert "Sums" in said(app)
    assert address(app)["step"] == "plan"


def test_the_settings_of_a_run_are_taken_over(page: AppTest, store: Store) -> None:
    row = store.submit("quantize", {"model": "starter", "method": "rtn", "group_size": 64, "name": "first"})
    app = open_quantize(step="plan", from_job=str(row.id))
    assert number(app, "group_size") == 64
    assert app.text_input(key="quantize_set_name").value == "", "a copy made anew gets a name of its own"
    assert not off(app, RTN)
    assert "There is no job 77." in said(open_quantize(from_job="77"))


def test_the_command_and_the_spec_can_be_taken_along(page: AppTest) -> None:
    app = open_quantize(step="plan")
    app.session_state["quantize_command"] = True
    code = [block.value for block in app.run().code]
    assert any("backend quantize run quantize.json" in text for text in code)
    spec = next(json.loads(text) for text in code if text.startswith("{"))
    assert QuantizeSpec.model_validate(spec).model == "starter"
