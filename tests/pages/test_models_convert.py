"""Pickled weights on the Models page: where they are met, the button that converts them, and what is on its way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.queue.store import Store
from backend.workspace import ROOT
from tests.pages.test_models_add import add, press, view
from tests.support.page_text import labels, text
from tests.support.panel import end_all_of

LABEL = "Convert to safetensors"


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "old_model"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "models" / "tiny" / "config.json", folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    return folder


def specs(store: Store) -> list[dict[str, object]]:
    return [store.spec(row.id) for row in store.list(verb="convert")]


def test_a_pickled_folder_that_is_added_offers_to_convert_it_under_the_name_that_was_typed(
    store: Store, pickled: Path
) -> None:
    app = press(add(view("add"), str(pickled), "mine"), LABEL)
    assert specs(store) == [{"path": str(pickled), "name": "mine"}]
    assert [t.value for t in app.toast] == ["Job 1 converts it; it comes onto the list when it is done."]
    assert LABEL not in labels(app), "what was wrong is being mended"
    press(add(app, str(pickled), "mine"), LABEL)
    assert len(specs(store)) == 1, "one conversion of it is enough"


def test_one_found_below_a_folder_offers_it_too_and_then_leads_to_its_job(store: Store, pickled: Path) -> None:
    app = press(view("add", folder=str(pickled.parent)), LABEL)
    assert specs(store) == [{"path": str(pickled), "name": "old_model"}]
    assert LABEL not in labels(app)
    assert "Job 1 converts it" in [link.proto.label for link in app.get("page_link")]
    listing = view("list")
    assert "convert old" in text(listing).replace("\\", "")


@pytest.fixture(autouse=True)
def _nothing_left(store: Store) -> object:
    yield
    end_all_of(store.workspace.root)
