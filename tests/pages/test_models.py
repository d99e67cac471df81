"""Models: adding by path, what is wrong with a folder, starting and stopping, and how a program connects."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from backend import catalog
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.page_text import labels, text
from ui import connect

STARTER = ROOT / "models" / "starter"


def add(app, path: str, name: str = ""):  # type: ignore[no-untyped-def]
    app.text_input(key="add_path").set_value(path)
    app.text_input(key="add_name").set_value(name)
    submit = next(b for b in app.button if b.label == "Add to the list")
    return submit.click().run()


def test_the_starter_is_listed_with_size_parameters_and_context(open_page: OpenPage) -> None:
    app = open_page("models")
    assert "starter" in text(app)
    assert "parameters · context 1,024 tokens" in text(app).replace("\\", "")
    assert "Start server" in labels(app)


def test_a_folder_is_added_under_a_name_and_the_form_is_empty_again(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(STARTER, tmp_path / "my model")
    app = add(open_page("models"), str(tmp_path / "my model"), "水稻助手")
    assert not app.exception
    assert "水稻助手" in text(app)
    assert app.text_input(key="add_path").value == ""
    assert [card.name for card in catalog.models(workspace)] == ["starter", "水稻助手"]


@pytest.mark.parametrize("content", [None, "empty", "truncated"])
def test_a_folder_that_is_no_model_gives_a_card_that_says_what_to_do(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path, content: str | None
) -> None:
    folder = tmp_path / "broken"
    if content == "truncated":
        shutil.copytree(STARTER, folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100_000])
    elif content == "empty":
        folder.mkdir()
    app = add(open_page("models"), str(folder))
    assert not app.exception
    assert str(folder) in text(app).replace("\\", "")
    assert ":red[:material/error:]" in text(app)
    assert app.text_input(key="add_path").value == str(folder)  # what was typed is still there to be corrected
    assert [card.name for card in catalog.models(workspace)] == ["starter"]


def test_an_old_error_does_not_follow_to_another_page_and_back(open_page: OpenPage, tmp_path: Path) -> None:
    app = add(open_page("models"), str(tmp_path))
    assert "is not a model" in text(app)
    for page in ("settings", "models"):
        app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
        assert "is not a model" not in text(app)


def test_a_model_that_broke_later_hides_no_other_and_cannot_be_started(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(STARTER, tmp_path / "gone")
    catalog.add(workspace, tmp_path / "gone", "gone")
    shutil.rmtree(tmp_path / "gone")
    app = open_page("models")
    assert "not usable" in text(app)
    assert labels(app).count("Start server") == 1


def test_start_makes_a_job_that_waits_visibly_and_stop_ends_it(open_page: OpenPage, store: Store) -> None:
    app = open_page("models")
    next(b for b in app.button if b.label == "Start server").click().run()
    assert not app.exception
    assert [row.title for row in store.queue()] == ["starter"]
    assert "waiting" in text(app)
    next(b for b in app.button if b.label == "Stop server").click().run()
    assert store.queue() == []
    assert "not running" in text(app)


def test_examples_quote_any_model_name() -> None:
    name = """it's a "model" $HOME 模型"""
    shell = connect.curl("http://127.0.0.1:8501/v1", name, "Who are you?")
    words = shlex.split(shell.replace("\\\n", " "))
    assert words[1] == "http://127.0.0.1:8501/v1/chat/completions"
    assert json.loads(words[words.index("-d") + 1])["model"] == name
    compile(connect.python("http://127.0.0.1:8501/v1", name, "你是谁？"), "example", "exec")
