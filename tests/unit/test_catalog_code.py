"""``trust_remote_code``: what would run is named, and a consent holds for exactly that."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from backend import catalog
from backend.cli import main as cli
from backend.errors import ConflictError, ModelError, NotFoundError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.models import change, folder, write


@pytest.fixture
def model(tmp_path: Path, workspace: Workspace) -> Path:
    """A model on the list as ``odd`` that brings code along: modeling.py, which imports layers.py, which imports back."""
    path = folder(
        tmp_path / "odd",
        architectures=["OddForCausalLM"],
        auto_map={"AutoModelForCausalLM": "modeling.OddForCausalLM"},
    )
    (path / "modeling.py").write_text("import os\nfrom .layers import (\n    Layer,\n)\n")
    (path / "layers.py").write_text("    from . import modeling\n".lstrip())
    catalog.add(workspace, path)
    return path


def fingerprint(workspace: Workspace) -> str:
    return catalog.find(workspace, "odd").code_fingerprint


def test_the_files_that_would_run_are_named_with_size_and_hash(model: Path, workspace: Workspace) -> None:
    (model / "unused.txt").write_text("x")
    card = catalog.find(workspace, "odd")
    assert card.needs_code
    assert not card.code_allowed
    assert [f.name for f in card.code_files] == ["layers.py", "modeling.py"]
    raw = (model / "modeling.py").read_bytes()
    assert (card.code_files[1].size, card.code_files[1].sha256) == (len(raw), sha256(raw).hexdigest())


def test_code_of_the_tokenizer_counts_too(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    assert not catalog.card(path).needs_code
    (path / "tok.py").write_text("")
    for auto_map in ({"AutoTokenizer": ["tok.Tok", None]}, ["tok.Tok", None]):
        change(path / "tokenizer_config.json", auto_map=auto_map)
        assert [f.name for f in catalog.card(path).code_files] == ["tok.py"]
        assert catalog.card(path).needs_code


def test_a_consent_is_to_these_files_and_lapses_with_any_change(model: Path, workspace: Workspace) -> None:
    agreed = fingerprint(workspace)
    assert catalog.allow_code(workspace, "odd", agreed).code_allowed
    assert catalog.code_is_allowed(workspace, "odd")
    # Another process, adding it again: the consent stays.
    assert catalog.add(workspace, model).code_allowed
    good = (model / "layers.py").read_text()
    (model / "layers.py").write_text("import evil\n")
    assert not catalog.find(workspace, "odd").code_allowed
    assert not catalog.code_is_allowed(workspace, "odd")
    (model / "layers.py").write_text(good)
    assert catalog.find(workspace, "odd").code_allowed
    change(model / "config.json", auto_map={"AutoModelForCausalLM": "modeling.X", "AutoConfig": "more.C"})
    (model / "more.py").write_text("")
    assert not catalog.find(workspace, "odd").code_allowed


def test_code_of_the_same_size_and_time_is_still_other_code(model: Path, workspace: Workspace) -> None:
    catalog.allow_code(workspace, "odd", fingerprint(workspace))
    file = model / "modeling.py"
    before = file.stat()
    file.write_text(file.read_text().replace("os", "re"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert not catalog.find(workspace, "odd").code_allowed
    assert not catalog.code_is_allowed(workspace, "odd")


def test_a_consent_can_be_taken_back(model: Path, workspace: Workspace) -> None:
    catalog.allow_code(workspace, "odd", fingerprint(workspace))
    assert not catalog.allow_code(workspace, "odd", "").code_allowed
    assert not catalog.code_is_allowed(workspace, "odd")


def test_a_consent_to_what_was_not_seen_is_refused(model: Path, workspace: Workspace) -> None:
    seen = fingerprint(workspace)
    (model / "layers.py").write_text("import evil\n")
    for wrong in (seen, "0" * 64):
        with pytest.raises(ConflictError) as caught:
            catalog.allow_code(workspace, "odd", wrong)
        assert caught.value.code == "model_code_changed"
    with pytest.raises(NotFoundError):
        catalog.allow_code(workspace, "nothing", seen)


@pytest.mark.parametrize("reference", ["org/repo--modeling.X", "../other.X", "absent.X"])
def test_code_from_elsewhere_cannot_be_consented_to(model: Path, workspace: Workspace, reference: str) -> None:
    (model.parent / "other.py").write_text("")
    change(model / "config.json", auto_map={"AutoModel": reference})
    card = catalog.find(workspace, "odd")
    assert [(f.size, f.sha256) for f in card.code_files] == [(0, "")]
    with pytest.raises(ModelError) as caught:
        catalog.allow_code(workspace, "odd", card.code_fingerprint)
    assert caught.value.code == "model_code_missing"


LLAMA = {"AutoConfig": "configuration.C", "AutoModelForCausalLM": "modeling.LlamaForCausalLM"}


@pytest.mark.parametrize(
    ("config", "tokenizer", "needed"),
    [
        ({"auto_map": LLAMA}, {}, False),
        ({"auto_map": LLAMA, "architectures": ["OddForCausalLM"]}, {}, True),
        ({"auto_map": LLAMA, "model_type": "odd"}, {}, True),
        # Known, but not as a class of this type: transformers would take another one.
        ({"auto_map": LLAMA, "model_type": "qwen2"}, {}, True),
        ({"auto_map": LLAMA, "architectures": []}, {}, True),
        ({"auto_map": LLAMA, "architectures": ["LlamaForCausalLM", 3]}, {}, True),
        ({"auto_map": LLAMA}, {"auto_map": {"AutoTokenizer": ["tok.T", None]}}, True),
        (
            {"auto_map": LLAMA},
            {"auto_map": {"AutoTokenizer": ["tok.T", None]}, "tokenizer_class": "OddTokenizer"},
            True,
        ),
        (
            {"auto_map": LLAMA},
            {"auto_map": {"AutoTokenizer": ["tok.T", None]}, "tokenizer_class": "LlamaTokenizerFast"},
            False,
        ),
        ({"auto_map": {**LLAMA, "AutoTokenizer": ["tok.T", None]}}, {}, True),
        ({"auto_map": {**LLAMA, "AutoTokenizer": ["tok.T", None]}}, {"tokenizer_class": "Qwen2Tokenizer"}, False),
    ],
)
def test_code_that_transformers_has_itself_is_named_and_needs_no_consent(
    tmp_path: Path, config: dict[str, object], tokenizer: dict[str, object], needed: bool
) -> None:
    path = folder(tmp_path / "m", **config)
    change(path / "tokenizer_config.json", **tokenizer)
    card = catalog.card(path)
    assert card.code_files
    assert card.needs_code is needed


def test_code_for_pictures_counts_as_needed(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", auto_map=LLAMA)
    write(path / "preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "eyes.P"}})
    assert catalog.card(path).needs_code


def test_a_model_without_code_has_nothing_to_allow(tmp_path: Path, workspace: Workspace) -> None:
    catalog.add(workspace, folder(tmp_path / "plain"))
    with pytest.raises(ConflictError):
        catalog.allow_code(workspace, "plain", "0" * 64)
    assert not catalog.code_is_allowed(workspace, "plain")
    assert not catalog.code_is_allowed(workspace, "nothing")


def test_an_entry_of_an_older_format_is_read_anew(model: Path, workspace: Workspace) -> None:
    (entry,) = workspace.models.glob("*.json")
    data = json.loads(entry.read_text())
    del data["format"], data["code"]
    data["card"] = {"name": "odd", "path": str(model), "architecture": "Stale"}
    write(entry, data)
    catalog.entries._cards.clear()  # type: ignore[attr-defined]
    assert catalog.find(workspace, "odd").architecture == "OddForCausalLM"


@pytest.mark.parametrize(
    "card", [3, {}, {"path": 3}, {"path": "/x", "code_files": [3]}, {"path": "/x", "templates": 5}]
)
def test_a_stored_card_that_is_none_is_read_anew(model: Path, workspace: Workspace, card: object) -> None:
    (entry,) = workspace.models.glob("*.json")
    write(entry, json.loads(entry.read_text()) | {"card": card})
    catalog.entries._cards.clear()  # type: ignore[attr-defined]
    assert catalog.find(workspace, "odd").parameters


def test_the_command_line_shows_allows_and_forbids(
    model: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["models", "code", "odd"]) == 0
    said = capsys.readouterr().out
    assert "not allowed" in said
    assert "modeling.py" in said
    assert cli(["models", "code", "odd", "--allow", fingerprint(workspace), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code_allowed"]
    assert cli(["models", "code", "odd", "--forbid", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["code_allowed"]


def test_the_command_line_shows_a_folder_that_is_not_on_the_list(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    assert cli(["models", "card", ".", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(model)
    monkeypatch.chdir(model.parent)
    assert cli(["models", "card", "odd"]) == 0
    assert "modeling.py" in capsys.readouterr().out


def test_help_is_there_for_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("list", "add", "scan", "card", "remove", "code", "download"):
        assert cli(["models", verb, "--help"]) == 0
    assert "huggingface|modelscope" in capsys.readouterr().out.replace(" ", "")


def test_a_download_is_submitted_as_a_job(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing may start here: the job would ask a hub.
    monkeypatch.setattr("backend.queue.watcher.ensure_running", lambda workspace: None)
    args = [
        "models",
        "download",
        "Qwen/Qwen3-0.6B",
        "--from",
        "modelscope",
        "--revision",
        "v1",
        "--name",
        "q",
        "--json",
    ]
    assert cli(args) == 0
    said = json.loads(capsys.readouterr().out)
    row = store.get(said["job"])
    assert (row.verb, row.state) == ("download", "queued")
    spec = store.spec(row.id)
    wanted = {"source": "modelscope", "repo": "Qwen/Qwen3-0.6B", "revision": "v1", "name": "q"}
    assert {key: spec[key] for key in wanted} == wanted
    assert cli(["models", "download", "Qwen/Qwen3-0.6B", "--from", "elsewhere", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
