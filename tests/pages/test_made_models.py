"""What a job made is on the list of models, or one press away from it; and goes with the job only after saying so."""

from __future__ import annotations

import shutil
from pathlib import Path

from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.queue.events import EventWriter
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import by_hand, models
from tests.support.page_text import labels, text


def page(name: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def links(app: AppTest) -> list[str]:
    return [link.proto.label for link in app.main.get("page_link")]


def ended(store: Store) -> tuple[JobRow, Path]:
    """A job that ended well and made a model in its folder, as one of an older version did: without the list."""
    row = by_hand.running(store, "drill", {"steps": 1})
    folder = models.folder(store.job_dir(row.id) / "model")
    events = EventWriter(store.job_dir(row.id))
    events.artifact("model", folder, "mine")
    events.close()
    return by_hand.end(store, row), folder


def test_a_model_that_is_not_on_the_list_is_added_by_one_press_with_its_job(store: Store, workspace: Workspace) -> None:
    row, _folder = ended(store)
    app = press(page("jobs", job=str(row.id)), "Add mine to the list of models")
    card = catalog.find(workspace, "mine")
    assert (card.made_by, card.lineage and card.lineage.verb) == (row.id, "drill")
    assert "Add mine to the list of models" not in labels(app)
    assert "Show mine on the list of models" in links(app)


def test_what_the_job_itself_wrote_about_its_model_is_kept(store: Store, workspace: Workspace) -> None:
    row, folder = ended(store)
    catalog.write_lineage(folder, Lineage(job=row.id, verb="drill", base="starter", dataset="persona"))
    press(page("jobs", job=str(row.id)), "Add mine to the list of models")
    lineage = catalog.find(workspace, "mine").lineage
    assert lineage is not None
    assert (lineage.base, lineage.dataset) == ("starter", "persona")


def test_a_model_that_is_broken_is_not_added_and_the_card_says_why(store: Store, workspace: Workspace) -> None:
    row, folder = ended(store)
    (folder / "model.safetensors").unlink()
    app = press(page("jobs", job=str(row.id)), "Add mine to the list of models")
    assert "holds no weights" in text(app)
    assert [card.name for card in catalog.models(workspace)] == ["starter"]


def test_a_model_that_is_gone_is_not_offered(store: Store) -> None:
    row, folder = ended(store)
    shutil.rmtree(folder)
    assert not [label for label in labels(page("jobs", job=str(row.id))) if label.startswith("Add")]


def test_the_way_to_the_list_narrows_it_to_that_model(store: Store, workspace: Workspace, tmp_path: Path) -> None:
    for name in ("alpha", "beta", "gamma"):
        catalog.add(workspace, models.folder(tmp_path / name))
    app = page("models", model="beta")
    shown = [name for m in app.markdown if (name := m.value.strip("*")) in ("starter", "alpha", "beta", "gamma")]
    assert shown == ["beta"]
    app.text_input(key="models_search").set_value("").run()
    assert "alpha" in text(app)


def test_deleting_a_job_says_which_models_go_and_takes_them_off_the_list(store: Store, workspace: Workspace) -> None:
    row, folder = ended(store)
    catalog.receive(workspace, folder, "mine", Lineage(job=row.id, verb="drill"))
    app = press(page("jobs", job=str(row.id)), "Delete job")
    assert "These models on the list lie in its folder, and go with it: mine." in text(app)
    press(app, next(label for label in labels(app) if label.startswith("Delete and free")))
    assert [card.name for card in catalog.models(workspace)] == ["starter"]
