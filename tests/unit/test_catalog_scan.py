"""Finding models in the folders that people have: stores, caches, checkpoints, links in circles."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backend import catalog
from backend.cli import main as cli
from backend.errors import ModelError
from backend.workspace import Workspace
from tests.support.models import adapter, cached, folder, pointer, write


def names(top: Path, workspace: Workspace | None = None, depth: int = 6) -> list[str]:
    return [found.card.name for found in catalog.scan(top, workspace, depth).found]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A shared model store."""
    return tmp_path / "store"


def test_models_adapters_and_broken_ones_are_found_at_any_depth(store: Path) -> None:
    folder(store / "a")
    adapter(store / "team" / "lora", "a")
    folder(store / "team" / "deep" / "down" / "b")
    os.truncate(folder(store / "cut") / "model.safetensors", 20)
    result = catalog.scan(store)
    assert {f.card.name: f.card.problem.code if f.card.problem else "" for f in result.found} == {
        "a": "",
        "b": "",
        "cut": "model_truncated",
        "lora": "",
    }
    assert result.complete
    assert names(store, depth=1) == ["a", "cut"]


def test_what_only_looks_like_a_model_is_passed_over(store: Path) -> None:
    folder(store / ".hidden")
    folder(store / "node_modules" / "x")
    write(store / "config.json", {"name": "a web project"})
    (store / "pipeline").mkdir()
    write(store / "pipeline" / "model_index.json", {})
    folder(store / "pipeline" / "text_encoder")
    assert names(store) == []
    (store / "q.gguf").write_bytes(b"GGUF")
    assert names(store) == ["store"]


def test_a_clone_of_pointers_is_found_and_said_to_be_one(store: Path) -> None:
    store.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        pointer(store / name)
    (found,) = catalog.scan(store).found
    assert found.card.problem is not None
    assert found.card.problem.code == "model_pointer"


def test_links_are_followed_once_and_circles_end(store: Path, tmp_path: Path) -> None:
    folder(store / "a")
    folder(tmp_path / "elsewhere" / "b")
    (store / "linked").symlink_to(tmp_path / "elsewhere")
    (store / "again").symlink_to(store / "a")
    (store / "a" / "up").symlink_to(store)
    (store / "nowhere").symlink_to(tmp_path / "gone")
    (store / "self").symlink_to("self")
    assert names(store) == ["a", "b"]


def test_the_hugging_face_cache_gives_repositories_their_names(store: Path, workspace: Workspace) -> None:
    cached(store, "Qwen/Qwen3-0.6B")
    cached(store, "gpt2", ("b" * 40, "c" * 40), main="b" * 40)
    found = catalog.scan(store).found
    assert [(f.card.name, f.repo) for f in found] == [
        ("Qwen_Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("gpt2", "gpt2"),
        ("gpt2 ccccccc", "gpt2"),
    ]
    assert all(f.card.problem is None for f in found)
    added = catalog.add_all(workspace, [f.card for f in found])
    assert [one.problem for one in added] == [None, None, None]
    assert catalog.find(workspace, "Qwen_Qwen3-0.6B").parameters
    # A blob that is gone leaves a link to nothing.
    next((store / "models--gpt2" / "blobs").glob("b*3")).unlink()
    assert [c.name for c in catalog.models(workspace) if c.problem] == ["gpt2"]


def test_modelscope_names_get_their_dots_back(store: Path) -> None:
    folder(store / "Qwen" / "Qwen2___5-0___5B")
    (store / "Qwen" / "Qwen2.5-0.5B").symlink_to("Qwen2___5-0___5B")
    assert names(store) == ["Qwen2.5-0.5B"]


def test_folders_of_one_name_are_told_apart_by_the_one_above(store: Path, workspace: Workspace) -> None:
    for run in ("red", "blue"):
        folder(store / run / "checkpoint-500")
    assert names(store) == ["blue_checkpoint-500", "red_checkpoint-500"]
    for run in ("x", "y"):
        folder(store / run / "red" / "checkpoint-500")
    catalog.add_all(workspace, [f.card for f in catalog.scan(store).found])
    listed = [card.name for card in catalog.models(workspace)]
    assert listed == [
        "starter",
        "blue_checkpoint-500",
        "red_checkpoint-500",
        "red_checkpoint-500-2",
        "red_checkpoint-500-3",
    ]
    assert len({card.path for card in catalog.models(workspace)}) == 5


def test_what_is_on_the_list_says_so_even_through_a_link(store: Path, workspace: Workspace, tmp_path: Path) -> None:
    folder(store / "a")
    folder(store / "b")
    (tmp_path / "link").symlink_to(store / "b")
    catalog.add(workspace, store / "a", "first")
    catalog.add(workspace, tmp_path / "link", "second")
    assert [(f.card.path.name, f.listed) for f in catalog.scan(store, workspace).found] == [
        ("a", "first"),
        ("b", "second"),
    ]


def test_one_that_cannot_be_added_hinders_no_other(store: Path, workspace: Workspace) -> None:
    cards = [catalog.card(folder(store / "a")), catalog.card(store / "none"), catalog.card(folder(store / "c"))]
    added = catalog.add_all(workspace, [*cards, cards[0]])
    assert [one.card.name if one.card else one.problem.code for one in added if one.card or one.problem] == [
        "a",
        "model_missing",
        "c",
        "a",
    ]
    assert [card.name for card in catalog.models(workspace)] == ["starter", "a", "c"]


def test_a_folder_that_may_not_be_looked_into_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(store / "a")
    (store / "locked").mkdir()
    real = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = catalog.scan(store)
    assert [f.card.name for f in result.found] == ["a"]
    assert result.unreadable == [store / "locked"]


def test_a_scan_has_an_end_and_says_when_it_was_not_the_whole(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        folder(store / f"m{number}")
    monkeypatch.setattr("backend.catalog.scanning.MOST_FOLDERS", 5)
    result = catalog.scan(store)
    assert (len(result.found), result.complete) == (4, False)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_no_folder_is_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "file":
        path.write_text("x")
    with pytest.raises(ModelError, match="There is no folder at") as caught:
        catalog.scan(path)
    assert caught.value.code == "scan_no_folder"


def test_a_read_only_folder_can_be_added(store: Path, workspace: Workspace) -> None:
    path = folder(store / "a")
    before = sorted(path.iterdir())
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    try:
        assert catalog.add(workspace, path).problem is None
        assert sorted(path.iterdir()) == before
    finally:
        path.chmod(0o755)


def test_the_command_line_scans_and_adds(store: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder(store / "a")
    os.truncate(folder(store / "cut") / "model.safetensors", 20)
    assert cli(["models", "scan", str(store)]) == 0
    said = capsys.readouterr().out
    assert "cut off" in said
    assert "--add" in said
    assert cli(["models", "scan", str(store), "--add", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in data["models"]] == ["a", "cut"]
    assert [one["name"] for one in data["added"]] == ["a"]
    assert [card.name for card in catalog.models(workspace)] == ["starter", "a"]
    assert cli(["models", "scan", str(store)]) == 0
    assert "[on the list as a]" in capsys.readouterr().out
    assert cli(["models", "scan", str(store / "none"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "scan_no_folder"
