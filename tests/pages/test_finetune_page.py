"""Fine-tune, *New run*: four answers make a plan that is whole, faults are mended by a press, and the button makes that job."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.finetune import files
from backend.finetune.files import Rehearsal
from backend.finetune.plan import plan
from backend.queue.store import Store
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace
from tests.support import datasets, models
from tests.support.finetune_page import field, figure, off, open_finetune, persona, press, said
from tests.support.page_text import labels
from ui import words

START = "Fine-tune starter on 'My persona'"


@pytest.fixture
def page(workspace: Workspace) -> AppTest:
    """New run, with the shipped model and a dataset that teaches a name."""
    persona(workspace)
    return open_finetune()


def settings(app: AppTest, group: str) -> AppTest:
    """*All settings* unfolded at ``group``."""
    app.session_state["finetune_more"] = True
    app.session_state["finetune_group"] = group
    return app.run()


def asked(app: AppTest) -> dict[str, str]:
    """The address as it stands now."""
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


# --- the plan


def test_the_plan_stands_there_before_anything_is_chosen(page: AppTest) -> None:
    told = said(page)
    assert page.pills(key="finetune_purpose").value == "identity", "that is what this dataset was made for"
    assert page.segmented_control(key="finetune_time").value == "minutes", "the choice of a machine without a GPU"
    assert "small add-on to starter is trained" in told
    assert int(figure(page, "Steps").replace(",", "")) >= 100
    assert "min" in figure(page, "Time")
    assert "that are free now (estimate)" in told
    assert "base and tuned model are asked" in told
    assert not off(page, START)


def test_an_answer_changes_the_plan_at_once_and_stands_in_the_address(page: AppTest, workspace: Workspace) -> None:
    before = figure(page, "Steps")
    datasets.keep(workspace, "Sums", datasets.sums(40))
    page.run()
    assert page.selectbox(key="finetune_dataset").value == "My persona", "what was proposed stays"
    page.selectbox(key="finetune_dataset").set_value("Sums").run()
    page.pills(key="finetune_purpose").set_value("own").run()
    page.segmented_control(key="finetune_time").set_value("night").run()
    assert figure(page, "Steps") != before
    address = asked(page)
    assert (address["dataset"], address["purpose"], address["time"]) == ("Sums", "own", "night")
    again = open_finetune(**address)
    assert again.selectbox(key="finetune_dataset").value == "Sums", "a reload shows the same"
    assert again.segmented_control(key="finetune_time").value == "night"
    assert figure(again, "Steps") == figure(page, "Steps")


def test_links_open_the_page_with_their_model_or_dataset(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "llama"))
    persona(workspace)
    datasets.keep(workspace, "Sums", datasets.sums(40))
    app = open_finetune(model="llama", dataset="My persona")
    assert app.selectbox(key="finetune_model").value == "llama"
    assert app.selectbox(key="finetune_dataset").value == "My persona"
    app.query_params["dataset"] = "Sums"
    app.run()
    assert app.selectbox(key="finetune_model").value == "llama", "what a link does not name stays"
    assert app.selectbox(key="finetune_dataset").value == "Sums"


def test_models_that_cannot_be_taught_are_named_with_the_reason(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    persona(workspace)
    app = open_finetune()
    assert app.selectbox(key="finetune_model").options == ["starter"]
    app.session_state["finetune_refused"] = True
    assert "'lora' is an adapter" in said(app.run())


def test_without_a_dataset_the_way_to_one_is_offered(workspace: Workspace) -> None:
    app = open_finetune()
    assert "First, something to learn from" in said(app)
    assert {"Teach a name", "Import a file"} <= set(labels(app))
    assert not [label for label in labels(app) if label.startswith("Fine-tune")]


# --- settings by hand


def test_every_field_of_the_spec_can_be_set_somewhere(page: AppTest) -> None:
    from ui.finetune.more import GROUPS

    shown = {name for _title, names in GROUPS.values() for name in names}
    answers = {"model", "dataset", "version", "purpose"}
    assert shown | answers | {"template", "config_text"} == set(FinetuneSpec.model_fields)


def test_a_setting_changed_by_hand_is_marked_and_can_be_put_back(page: AppTest, store: Store) -> None:
    settings(page, "steps")
    usual = field(page, "learning_rate").value
    field(page, "learning_rate").set_value(5e-4).run()
    assert "Changed by you:" in said(page)
    assert "Learning rate: 0.0005" in [label.replace("\\", "") for label in labels(page)]
    assert asked(page)["learning_rate"] == "0.0005"
    press(page, "Learning rate: 0.0005")
    assert field(page, "learning_rate").value == usual
    assert "Changed by you:" not in said(page)


def test_a_setting_says_what_it_costs_in_memory(page: AppTest) -> None:
    settings(page, "rows")
    assert "Memory: twice of it takes" in field(page, "max_length").help
    assert "costs next to nothing" in field(page, "seed").help


def test_what_cannot_run_here_is_shown_with_the_reason_and_cannot_be_chosen(page: AppTest) -> None:
    settings(page, "method")
    assert field(page, "method").options == ["LoRA", "Whole model"]
    assert field(page, "engine").options == ["transformers + peft"]
    told = said(page)
    assert "**QLoRA** · This machine shows no NVIDIA GPU." in told
    assert "**XTuner** · XTuner is not installed here." in told


# --- faults


def test_a_fault_is_mended_by_a_press(page: AppTest) -> None:
    broken = open_finetune(method="qlora")
    assert "QLoRA needs an NVIDIA GPU" in said(broken)
    assert off(broken, START)
    assert "What is marked red above has to be mended first." in said(broken)
    press(broken, "Train a LoRA")
    assert "QLoRA needs" not in said(broken)
    assert not off(broken, START)


def test_nonsense_in_the_address_is_a_fault_and_no_crash(page: AppTest) -> None:
    broken = open_finetune(batch_size="many", learning_rate="7", purpose="nothing", time="never", version="abc")
    assert off(broken, START)
    told = said(broken)
    assert "Batch size" in told
    assert "Learning rate" in told


def test_what_belonged_to_another_dataset_goes_with_it(page: AppTest, workspace: Workspace) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(40))
    app = open_finetune(dataset="My persona", start_from="/gone/checkpoint", epochs="4.0")
    assert "The checkpoint /gone/checkpoint is not there any more." in said(app)
    app.selectbox(key="finetune_dataset").set_value("Sums").run()
    assert "/gone/checkpoint" not in said(app)
    assert asked(app)["epochs"] == "4.0"


# --- starting it


def test_the_button_makes_the_job_of_the_plan(page: AppTest, store: Store, workspace: Workspace) -> None:
    told = figure(page, "Steps")
    press(page, START)
    (row,) = store.queue()
    assert row.verb == "finetune"
    spec = store.spec(row.id)
    assert (spec["model"], spec["dataset"], spec["purpose"]) == ("starter", "My persona", "identity")
    assert len(spec["version"]) == 12
    assert spec["template"], "the template that was agreed on goes with it"
    assert f"{plan(workspace, spec).steps:,}" == told
    assert asked(page) == {"view": "runs", "job": str(row.id)}
    assert f"Job {row.id} is on its way." in said(page)


def test_rehearse_only_makes_one_rehearsal_and_stays(page: AppTest, store: Store) -> None:
    press(page, "Rehearse only")
    press(page, "Rehearse only")
    (row,) = store.queue()
    assert row.verb == "rehearse"
    assert f"#{row.id}" in said(page), "its card stands on the page"
    assert not off(page, START)


def test_what_changed_since_it_was_drawn_is_said_instead_of_starting(page: AppTest, store: Store) -> None:
    button = next(button for button in page.button if button.label == START)
    from backend.data.store import Datasets

    Datasets(store.workspace).delete("My persona")
    button.click().run()
    assert store.queue() == []
    assert "This training cannot be started." in said(page)


def test_a_rehearsal_with_these_settings_tells_what_it_measured(
    page: AppTest, store: Store, workspace: Workspace
) -> None:
    press(page, "Rehearse only")
    (row,) = store.queue()
    record = Rehearsal(
        step_s=0.5, peak_bytes=900 << 20, held_bytes=900 << 20, before_bytes=300 << 20, tokens_per_step=1024, longest=61,
        load_s=2.0, eval_s=1.0, eval_rows=43, save_s=0.3, restore_s=0.4, checkpoint_bytes=3 << 20, device="cpu",
        losses=[3.2, 3.1, 3.0], made=time.time(),
    )  # fmt: skip
    files.write(workspace.job_dir(row.id) / files.REHEARSAL, record)
    store.cancel(row.id)
    page.session_state["finetune_rehearsal"] = True
    told = said(page.run())
    assert "measured by a rehearsal" in told
    assert f"Rehearsed just now as job {row.id}: 0.5 s a step" in "\n".join(e.label for e in page.expander)
    foreseen = plan(workspace, store.spec(row.id)).seconds
    assert foreseen is not None
    assert foreseen.source == "rehearsal"
    assert figure(page, "Time") == words.duration(foreseen.likely)


def test_the_settings_of_a_run_are_taken_over_and_some_changed(page: AppTest, store: Store) -> None:
    # A preset for names says itself how often is looked; here that follows from the steps.
    page = settings(open_finetune(purpose="own"), "steps")
    field(page, "learning_rate").set_value(5e-4).run()
    settings(page, "watch")
    at_first = field(page, "eval_every").value
    press(page, START)
    (row,) = store.queue()
    again = settings(open_finetune(view="new", from_job=str(row.id), epochs="6.0"), "steps")
    assert again.selectbox(key="finetune_dataset").value == "My persona"
    assert field(again, "learning_rate").value == 5e-4
    assert field(again, "epochs").value == 6.0
    settings(again, "watch")
    assert store.spec(row.id)["eval_every"] == 0, "left open"
    assert field(again, "eval_every").value > at_first, "more steps, not looked at more often"


def test_a_run_that_is_gone_is_said(page: AppTest) -> None:
    assert "There is no job 77." in said(open_finetune(from_job="77"))


# --- to take along


def test_the_command_and_the_spec_can_be_taken_along(page: AppTest) -> None:
    page.session_state["finetune_command"] = True
    page.run()
    code = [block.value for block in page.code]
    assert any("backend finetune run finetune.json" in text for text in code)
    spec = next(json.loads(text) for text in code if text.startswith("{"))
    assert FinetuneSpec.model_validate(spec).dataset == "My persona"


def test_an_expert_edits_the_config_of_xtuner_which_is_checked(page: AppTest) -> None:
    app = open_finetune(engine="xtuner")
    app.session_state["finetune_config"] = True
    shown = next(block.value for block in app.run().code if "train_dataloader" in block.value)
    press(app, "Edit this file")
    app.text_area(key="finetune_config_text").set_value(shown.replace("accumulation =", "accumulated =")).run()
    assert "The config has no 'accumulation' any more" in said(app)
    assert off(app, "Use this file")
    app.text_area(key="finetune_config_text").set_value("# my own\n" + shown).run()
    assert "XTuner can read this file." in said(app)
    press(app, "Use this file")
    assert "This file was edited by hand" in said(app)
    assert any(block.value.startswith("# my own") for block in app.code)
    press(app, "Make it from the settings again")
    assert "This file was edited by hand" not in said(app)


# --- from other pages


def test_a_dataset_and_a_model_lead_here(workspace: Workspace) -> None:
    from tests.support.datasets_page import open_datasets

    persona(workspace)
    for app in (open_datasets(), open_datasets(set="My persona")):
        links = [link.proto for link in app.get("page_link") if link.proto.label == "Fine-tune with this"]
        assert [link.query_string for link in links] == ["dataset=My+persona"]
