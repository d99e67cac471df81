"""A known chat template for a tokenizer without one: which fit, the choice, and that it changes the list alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend import catalog
from backend.cli import main as cli
from backend.errors import ConflictError, NotFoundError
from backend.workspace import Workspace
from tests.support.models import adapter, change, folder, write


@pytest.fixture
def bare(tmp_path: Path, workspace: Workspace) -> Path:
    """A model on the list as ``bare``: no chat template, and the tokens of Llama 3's one."""
    path = folder(tmp_path / "bare")
    change(path / "tokenizer_config.json", chat_template=None)
    added = [{"id": 60 + n, "content": text} for n, text in enumerate(("<|start_header_id|>", "<|end_header_id|>"))]
    write(path / "tokenizer.json", {"added_tokens": added, "model": {"type": "BPE", "vocab": {"<|eot_id|>": 1}}})
    catalog.add(workspace, path)
    return path


def test_the_one_whose_tokens_the_tokenizer_has_comes_first(bare: Path) -> None:
    fits = catalog.fitting_templates(bare)
    assert (fits[0].template.key, fits[0].missing) == ("llama3", ())
    assert len(fits) == len(catalog.known_templates())
    assert fits[1].missing


@pytest.mark.parametrize(
    "tokenizer",
    [
        {"model": {"vocab": [["<|im_start|>", 0.0], ["<|im_end|>", 0.0]]}},
        {"added_tokens": [3, {"content": "<|im_start|>"}, {"content": "<|im_end|>"}], "model": None},
        {"added_tokens": {"no": "list"}, "model": {"vocab": 3}},
    ],
)
def test_any_shape_of_tokenizer_is_read_and_nonsense_fits_nothing(bare: Path, tokenizer: dict[str, object]) -> None:
    write(bare / "tokenizer.json", tokenizer)
    fits = catalog.fitting_templates(bare)
    assert fits[0].template.key == "chatml"
    assert bool(fits[0].missing) is isinstance(tokenizer.get("added_tokens"), dict)


def test_a_choice_makes_it_able_to_chat_lasts_and_leaves_the_folder_alone(bare: Path, workspace: Workspace) -> None:
    before = {file.name: file.read_bytes() for file in bare.iterdir()}
    assert not catalog.find(workspace, "bare").chat_template
    chosen = catalog.choose_template(workspace, "bare", "llama3")
    assert (chosen.chat_template, chosen.template_chosen, len(chosen.template_fingerprint)) == (True, "llama3", 16)
    assert catalog.add(workspace, bare).template_chosen == "llama3"  # added again: the choice stays
    found = catalog.chosen_template(workspace, bare)
    assert found is not None
    assert found.key == "llama3"
    assert {file.name: file.read_bytes() for file in bare.iterdir()} == before
    other = catalog.choose_template(workspace, "bare", "chatml")
    assert other.template_fingerprint != chosen.template_fingerprint
    back = catalog.choose_template(workspace, "bare", "")
    assert (back.chat_template, back.template_chosen, back.template_fingerprint) == (False, "", "")
    assert catalog.chosen_template(workspace, bare) is None


def test_a_template_of_its_own_wins_as_soon_as_there_is_one(bare: Path, workspace: Workspace) -> None:
    catalog.choose_template(workspace, "bare", "llama3")
    (bare / "chat_template.jinja").write_text("{{ messages }}")
    card = catalog.find(workspace, "bare")
    assert (card.chat_template, card.template_chosen) == (True, "")


def test_what_cannot_be_chosen_is_refused(bare: Path, workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, folder(tmp_path / "chatty"))
    catalog.add(workspace, adapter(tmp_path / "lora", "bare"))
    for name in ("chatty", "lora"):
        with pytest.raises(ConflictError, match="of its own"):
            catalog.choose_template(workspace, name, "llama3")
    with pytest.raises(NotFoundError, match="no known chat template called 'llama9'"):
        catalog.choose_template(workspace, "bare", "llama9")
    with pytest.raises(NotFoundError, match="no model called"):
        catalog.choose_template(workspace, "nothing", "llama3")


def test_the_command_line_offers_chooses_and_forgets(
    bare: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["models", "template", "bare"]) == 0
    said = capsys.readouterr().out
    assert "no chat template" in said
    assert "lacks <|im_start|>" in said
    assert cli(["models", "template", "bare", "--use", "llama3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["template_chosen"] == "llama3"
    assert cli(["models", "template", "bare", "--forget", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["chat_template"]
    assert cli(["models", "template", "starter"]) == 0
    assert "of its own" in capsys.readouterr().out
