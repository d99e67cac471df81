"""Home: the newcomer's one button, the later visit's overview, and what is wrong with the machine."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.errors import PanelError
from backend.memory.machine import Gpu, Machine
from backend.queue.events import EventWriter
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support import models
from tests.support.datasets import keep, sums
from tests.support.handmade_run import HandmadeRun
from tests.support.page_text import labels, text
from ui import machine_view

GIB = 2**30


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def test_a_newcomer_reads_what_it_is_and_has_one_primary_button(open_page: OpenPage) -> None:
    app = open_page("home")
    assert app.title[0].value == "Welcome to TuneDeck"
    assert "takes a language model through its whole life" in text(app)
    primary = [b.label for b in app.button if b.proto.type == "primary"]
    assert primary == ["Talk to the starter model"]
    assert "Nothing runs, waits or has ended yet." in text(app)


def test_the_button_starts_the_starter_as_one_job_and_a_second_press_makes_no_second(
    open_page: OpenPage, store: Store
) -> None:
    for _press in range(2):
        app = open_page("home")
        app.button(key="talk").click().run()
        assert not app.exception
    rows = store.list()
    assert [(row.verb, row.title, row.state) for row in rows] == [("serve", "starter", "queued")]


def test_a_later_visit_shows_what_waits_and_no_welcome(open_page: OpenPage, store: Store) -> None:
    store.submit("drill", {}, title="Practice <b>*one*</b>")
    app = open_page("home")
    assert app.title[0].value == "Home"
    assert "Waiting" in [s.value for s in app.subheader]
    assert "Practice" in text(app)
    assert "<b>" not in text(app).replace("\\<b\\>", "")  # a title is text, never markup


def test_a_failed_job_needs_the_person_until_it_was_tried_again(open_page: OpenPage, store: Store) -> None:
    first = store.submit("drill", {}, title="retried")
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'failed', ended = unixepoch() WHERE id = ?", (first.id,))
    assert "Needs you" in [s.value for s in open_page("home").subheader]
    store.submit("drill", {}, title="retried")
    assert "Needs you" not in [s.value for s in open_page("home").subheader]


def test_a_starter_that_is_damaged_is_said_plainly_and_offers_no_button(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "models" / "starter", root / "models" / "starter")
    (root / "models" / "starter" / "model.safetensors").write_bytes(b"\x10\x00")
    monkeypatch.setattr("backend.catalog.entries.ROOT", root)
    app = open_page("home")
    assert "The starter model is not usable" in [s.value for s in app.subheader]
    assert "Talk to the starter model" not in labels(app)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine("box", 8, 16 * GIB, 8 * GIB, 100 * GIB, 50 * GIB), []),
        (Machine("box", 8, 16 * GIB, 8 * GIB, 100 * GIB, 2 * GIB), ["The disk is nearly full: 2.0 GiB left."]),
        (Machine("box", 8, 16 * GIB, GIB // 2, None, None), ["Memory is nearly used up: 0.5 GiB left."]),
        (
            Machine("box", 8, 16 * GIB, 8 * GIB, None, None, (), "Driver/library version mismatch"),
            ["The GPU driver does not answer: Driver/library version mismatch"],
        ),
        (
            Machine("box", 8, 16 * GIB, 8 * GIB, None, None, (Gpu(3, "", "", None, None, None),)),
            ["GPU 3 does not answer any more."],
        ),
    ],
)
def test_what_is_wrong_with_the_machine_is_said_in_words(machine: Machine, said: list[str]) -> None:
    assert machine_view.problems(machine) == said


def primary(app: AppTest) -> list[str]:
    """The labels of the primary buttons, of which there is one."""
    return [button.label.replace("\\", "") for button in app.main.button if button.proto.type == "primary"]


def ways(app: AppTest) -> dict[str, tuple[str, str]]:
    """label -> (page, query) of every link on the page."""
    return {link.proto.label: (link.proto.page, link.proto.query_string) for link in app.main.get("page_link")}


def made_by(store: Store, workspace: Workspace, folder: Path, verb: str, base: str, name: str) -> JobRow:
    """A job that ended well and made the model ``name`` from ``base``."""
    run = HandmadeRun(store, verb=verb, title=f"Job of {name}", model=base)
    run.begin()
    models.folder(folder)
    catalog.receive(workspace, folder, name, Lineage(job=run.row.id, verb=verb, base=base, created=time.time() + 5))
    writer = EventWriter(run.dir)
    writer.artifact("model", folder, name)
    writer.artifact("file", run.dir / "run.zip", "run.zip")
    writer.close()
    return run.end("succeeded", result={})


def test_rows_that_nothing_learned_from_lead_to_fine_tuning_with_them(
    open_page: OpenPage, workspace: Workspace, store: Store
) -> None:
    keep(workspace, "My [persona]", sums(12))
    app = open_page("home")
    assert "The dataset **My [persona]** has 12 rows, and no model has learned from them yet." in text(app).replace(
        "\\", ""
    )
    assert primary(app) == ["Fine-tune a model with My [persona]"]
    press(app, "teach")
    assert app.selectbox(key="finetune_dataset").value == "My [persona]"

    # Once a run has taken it, the next step is another one; a run that failed taught nothing.
    run = HandmadeRun(store, dataset="My [persona]")
    run.begin()
    app = open_page("home")
    assert primary(app) == ["Talk to the starter model"]
    assert ways(app)["Teach a model with your rows"][0] == "finetune"
    run.end("failed", PanelError("out_of_memory", "It did not fit."))
    assert primary(open_page("home")) == ["Fine-tune a model with My [persona]"]


def test_a_run_that_goes_on_and_what_one_made_are_told_like_those_of_other_jobs(
    open_page: OpenPage, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    made_by(store, workspace, tmp_path / "merged", "finetune", "starter", "robin")
    running = HandmadeRun(store, title="Second try")
    running.begin()
    running.learn(130)
    app = open_page("home")
    assert {"Running", "Finished"} <= {one.value for one in app.main.subheader}
    assert "training · 130 of 200" in "\n".join(bar.text or "" for bar in app.progress)
    assert "Made the model **robin**." in text(app)
    assert "run.zip" not in text(app)  # what people go on with is told, and that in one line
    assert [label for label in ways(app) if label == "Open run"], "the cards lead to the runs"


def test_a_taught_model_is_to_be_tried_and_from_it_one_gets_to_smaller_and_faster(
    open_page: OpenPage, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    keep(workspace, "persona", sums(3))
    made_by(store, workspace, tmp_path / "merged", "finetune", "starter", "robin")
    app = open_page("home")
    assert "**robin** was made from starter. Ask it something, and see what it has learned." in text(app)
    assert primary(app) == ["Talk to robin"]
    assert "Base versus tuned: ask both the same" in ways(app)
    for page, label in (("quantize", "Make a model smaller"), ("benchmark", "Measure how fast a model answers")):
        there = (ROOT / "pages" / f"{page}.py").is_file()
        assert (label in ways(app)) == there, "only pages that there are"
        if there:
            assert ways(app)[label][0] == page
            assert "model=robin" in ways(app)[label][1]
    press(app, "talk")
    assert [(row.verb, row.title) for row in store.queue()] == [("serve", "robin")]


def test_a_smaller_copy_is_to_be_measured(
    open_page: OpenPage, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    made_by(store, workspace, tmp_path / "small", "quantize", "starter", "starter-w4")
    app = open_page("home")
    assert "**starter-w4** is a smaller copy of starter." in text(app)
    benchmark = (ROOT / "pages" / "benchmark.py").is_file()
    assert primary(app) == ["Measure how fast starter-w4 answers" if benchmark else "Talk to starter-w4"]
