"""Runs of the Quantize page, over a real store and copies as they lie on the disk: waiting, at work, failed, done; and the ways here."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.errors import PanelError
from backend.finetune import files
from backend.quantize import report_records
from backend.quantize.report_records import Cell, Report, Subject
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import models
from tests.support.finetune_page import figure, off, open_finetune, press, said
from tests.support.handmade_run import HandmadeRun
from tests.support.page_text import labels
from tests.support.quantize_page import HandmadeCopy, address, links, open_quantize
from ui import words


@pytest.fixture
def copy(store: Store) -> HandmadeCopy:
    """A quantization of the shipped model that has begun."""
    made = HandmadeCopy(store)
    made.begin()
    made.planned()
    return made


def open_run(made: HandmadeCopy, step: str = "run") -> AppTest:
    return open_quantize(step=step, job=str(made.row.id))


def report(made: HandmadeCopy) -> None:
    """A report card of base and copy, as far as the sizes."""
    subjects = [Subject(name, "/m", cells=(Cell("size_bytes", size, "B"),)) for name, size in (("starter", 9e6), ("starter-gptq", 4e6))]  # fmt: skip
    report_records.write(made.dir, Report(models=tuple(subjects), complete=True))


# --- runs


def test_without_runs_the_step_says_what_it_is_for_and_leads_to_a_model(store: Store) -> None:
    app = open_quantize(step="run")
    assert "No copies yet" in said(app)
    press(app, "Choose a model")
    assert address(app)["step"] == "model"


def test_a_run_at_work_shows_layers_time_left_and_the_plan_beside_it(copy: HandmadeCopy, store: Store) -> None:
    copy.layers(3)
    app = open_run(copy)
    assert [bar.text for bar in app.main.get("progress")] == ["quantizing layers · 3 of 8"]
    told = said(app)
    assert "s left, done about" in told
    assert ":green[:material/check_circle:] choose rows" in told
    assert "**make the copy**" in told
    assert "As planned" in told
    assert "times smaller" in told
    press(app, "Cancel")
    assert store.get(copy.row.id).state == "stopping"
    assert off(app, "Cancel")


def test_while_the_report_card_is_measured_it_can_be_read(copy: HandmadeCopy) -> None:
    copy.made()
    report(copy)
    app = open_run(copy)
    assert ":green[:material/check_circle:] check it" in said(app)
    assert "**report card**" in said(app)
    press(app, "Look at the report card so far")
    assert address(app)["step"] == "report"
    assert "starter-gptq" in said(app)


def test_the_list_is_newest_first_and_opens_a_run(copy: HandmadeCopy, store: Store) -> None:
    other = HandmadeCopy(store, method="rtn")
    app = open_quantize(step="run")
    opened = [label for label in labels(app) if label.startswith("**")]
    assert opened == ["**starter → Plain rounding, 4 bits**", "**starter → GPTQ, 4 bits**"]
    press(app, opened[0])
    assert address(app) == {"step": "run", "job": str(other.row.id)}
    press(app, "All copies")
    assert address(app) == {"step": "run"}


def test_a_copy_that_is_made_says_how_much_smaller_it_is_and_what_comes_next(copy: HandmadeCopy) -> None:
    copy.made()
    copy.end("succeeded", result={"complete": True, "model": "starter-gptq"})
    app = open_run(copy)
    assert "Made the model **starter-gptq**. starter is as it was." in said(app)
    size = next(card.size_bytes for card in catalog.models(copy.store.workspace) if card.name == "starter-gptq")
    assert figure(app, "Now") == words.size(size)
    assert "times smaller" in said(app)
    ways = links(app)
    assert "models=starter%2Cstarter-gptq" in ways["Chat with both"]
    assert ways["Deploy it"] == "model=starter-gptq"
    assert ways["Evaluate base and copy"] == "view=run&model=starter&model=starter-gptq"
    assert ways["Show it on the list of models"] == "model=starter-gptq"
    assert "Talk to starter-gptq" in labels(app)


def test_without_a_report_card_one_can_be_measured_afterwards(copy: HandmadeCopy, store: Store) -> None:
    copy.made()
    copy.end("succeeded", result={"complete": True})
    app = press(open_run(copy), "Measure a report card")
    (row,) = store.queue()
    assert (row.verb, store.spec(row.id)["models"]) == ("report_card", ["starter", "starter-gptq"])
    assert address(app) == {"step": "report", "job": str(row.id)}


def test_a_run_that_failed_says_why_and_its_settings_can_be_changed(copy: HandmadeCopy) -> None:
    copy.end("failed", PanelError("quantize_no_room", "The disk of {folder} is full.", "Free some.", folder="/w"))
    app = open_run(copy)
    assert "The disk of /w is full." in said(app)
    assert "Resume" in labels(app)
    press(app, "Change and run again")
    assert address(app) == {"step": "plan", "from_job": str(copy.row.id)}
    assert "starter stays as it is." in said(app)


def test_what_was_stopped_goes_on(copy: HandmadeCopy, store: Store) -> None:
    copy.end("cancelled")
    app = press(open_run(copy), "Resume")
    assert store.get(copy.row.id).state == "queued"
    assert "Resume" not in labels(app)


def test_a_copy_whose_report_card_was_stopped_can_be_used(copy: HandmadeCopy) -> None:
    copy.end("cancelled")
    assert "is whole" not in said(open_run(copy))
    copy.made()
    app = open_run(copy)
    assert "The copy **starter-gptq** is whole and can be used; only its report card is missing." in said(app)
    assert {"Resume", "Talk to starter-gptq"} <= set(labels(app))


def test_a_run_that_is_not_there_is_said(store: Store) -> None:
    for job in ("77", "²", "none"):
        assert "There is no job" in said(open_quantize(step="run", job=job))


# --- the report card


def test_without_a_report_card_the_step_says_what_it_will_hold(store: Store) -> None:
    assert "No report card yet" in said(open_quantize(step="report"))


def test_a_copy_leads_to_its_report_card(copy: HandmadeCopy) -> None:
    copy.made()
    report(copy)
    copy.end("succeeded", result={"complete": True})
    app = press(open_run(copy), "Read its report card")
    assert address(app) == {"step": "report", "job": str(copy.row.id)}
    assert "starter-gptq" in said(app)
    assert links(app)["Deploy it"] == "model=starter-gptq", "what comes next stands below it"


def test_the_newest_report_card_is_shown_and_another_can_be_chosen(copy: HandmadeCopy, store: Store) -> None:
    report(copy)
    copy.end("succeeded", result={"complete": True})
    other = HandmadeCopy(store, method="rtn")
    other.begin()
    report(other)
    other.end("succeeded", result={"complete": True})
    app = open_quantize(step="report")
    assert app.selectbox(key="quantize_report_job").value == other.row.id
    app.selectbox(key="quantize_report_job").set_value(copy.row.id).run()
    assert address(app)["job"] == str(copy.row.id)


def test_any_models_are_measured_beside_each_other(workspace: Workspace, store: Store, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "llama"))
    app = open_quantize(step="report")
    app.session_state["quantize_measure_other"] = True
    app.run()
    assert off(app, "Measure")
    app.multiselect(key="quantize_measure_models").set_value(["starter", "llama"]).run()
    press(app, "Measure starter, llama")
    (row,) = store.queue()
    assert (row.verb, store.spec(row.id)["models"]) == ("report_card", ["starter", "llama"])


# --- from other pages


def test_models_lead_here_unless_nothing_is_gained(workspace: Workspace, tmp_path: Path) -> None:
    from tests.support.quantize_page import PACKED

    catalog.add(workspace, models.folder(tmp_path / "small", quantization_config=PACKED))
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "models.py")).run()
    assert not app.exception
    ways = [link.proto.query_string for link in app.main.get("page_link") if link.proto.label == "Make smaller"]
    assert ways == ["step=method&model=starter"]


def test_a_finished_fine_tune_leads_here_with_the_merged_model(store: Store, workspace: Workspace) -> None:
    run = HandmadeRun(store, model="starter")
    run.begin()
    run.learn(200)
    folder = models.folder(run.dir / "merged")
    catalog.receive(workspace, folder, "robin", Lineage(job=run.row.id, verb="finetune", base="starter"))
    run.end("succeeded", result={"step": 200, "steps": 200})
    app = open_finetune(view="runs", job=str(run.row.id))
    assert links(app)["Make it smaller"] == "step=method&model=robin"
    adapter = models.adapter(run.dir / files.ADAPTER, "starter")
    catalog.remove(workspace, "robin", False)
    catalog.receive(workspace, adapter, "robin-lora", Lineage(job=run.row.id, verb="finetune", base="starter"))
    assert "Make it smaller" not in links(open_finetune(view="runs", job=str(run.row.id)))


def test_the_card_of_a_job_leads_to_its_run(copy: HandmadeCopy) -> None:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(copy.row.id)
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    assert links(app)["Show this run"] == f"step=run&job={copy.row.id}"
