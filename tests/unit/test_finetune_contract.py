"""The template contract: what a model was taught with is named, compared, refused when it changed, and put back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend import catalog
from backend.catalog import Lineage
from backend.cli import main as cli
from backend.engines import ENGINES
from backend.errors import ModelError, PanelError
from backend.finetune import contract
from backend.workspace import ROOT, Workspace
from tests.support.models import adapter, change, folder, lora_shapes, write

TINY = ROOT / "models" / "tiny"


@pytest.fixture
def made(workspace: Workspace, tmp_path: Path) -> Path:
    """A copy of the tiny model, as a job has made it: with its contract beside it."""
    path = tmp_path / "made"
    shutil.copytree(TINY, path)
    found = contract.of(path)
    contract.record(path, found, {"kind": "merged"})
    catalog.receive(workspace, path, "made", Lineage(job=3, verb="finetune", template=found.fingerprint))
    return path


def refusal(workspace: Workspace, name: str) -> PanelError | None:
    return ENGINES["transformers"].refuses(catalog.find(workspace, name))


def test_its_fingerprint_is_the_one_on_the_models_card(workspace: Workspace) -> None:
    for name in catalog.models(workspace):
        found = contract.of_card(workspace, name)
        assert found.fingerprint == name.template_fingerprint != ""
    found = contract.of(TINY)
    config = json.loads((TINY / "generation_config.json").read_text())
    assert list(found.eos) == sorted(config["eos_token_id"])
    assert "<|start_header_id|>" in found.template
    assert contract.parse(json.loads(json.dumps(found.to_dict()))) == found
    assert contract.parse({"fingerprint": "x"}) is contract.parse("x") is None


def test_what_differs_is_said_in_words() -> None:
    one = contract.Contract("a", "{{ bos }}User: {{ text }}", {"eos_token": "</s>", "bos_token": "<s>"}, (2,))
    other = contract.Contract("b", "{{ bos }}Human: {{ text }}", {"eos_token": "<end>", "bos_token": "<s>"}, (2, 7))
    assert contract.same(one, one) == []
    found = contract.same(one, other)
    assert [each.part for each in found] == ["template", "eos_token", "eos"]
    template, token, ends = map(str, found)
    assert "User: {{ text }}" in template
    assert "Human: {{ text }}" in template
    assert token == "the special token eos_token (</s> became <end>)"
    assert ends == "the tokens that end an answer (2 became 2, 7)"
    contract.check("m", "", other, one)
    contract.check("m", "b", other, one)
    with pytest.raises(
        ModelError, match=r"no longer what they were \(a; now b\). Changed: .*</s> became <end>"
    ) as caught:
        contract.check("m", "a", other, one)
    assert caught.value.code == "template_changed"


def test_a_template_chosen_on_the_list_is_part_of_it(workspace: Workspace, tmp_path: Path) -> None:
    plain = folder(tmp_path / "plain")
    change(plain / "tokenizer_config.json", chat_template=None)
    catalog.add(workspace, plain)
    assert contract.of_card(workspace, catalog.find(workspace, "plain")).fingerprint == ""
    catalog.choose_template(workspace, "plain", "chatml")
    found = contract.of_card(workspace, catalog.find(workspace, "plain"))
    assert "<|im_start|>" in found.template
    assert found.fingerprint == catalog.find(workspace, "plain").template_fingerprint


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer_config.json", {"chat_template": "{{ 'other' }}"}),
        ("tokenizer_config.json", {"eos_token": "<|end_of_text|>"}),
        ("generation_config.json", {"eos_token_id": [1]}),
    ],
)
def test_a_model_whose_template_tokens_or_ends_changed_is_refused_and_can_be_put_right(
    workspace: Workspace, made: Path, capsys: pytest.CaptureFixture[str], file: str, changes: dict[str, object]
) -> None:
    assert refusal(workspace, "made") is None
    before = (made / file).read_bytes()
    change(made / file, **changes)
    refused = refusal(workspace, "made")
    assert refused is not None
    assert refused.code == "template_not_as_taught"
    assert contract.of(TINY).fingerprint in str(refused)
    # What its hint says, helps.
    assert "models template made --restore" in refused.localized()[1]
    assert cli(["models", "template", "made", "--restore"]) == 0
    assert (made / file).read_bytes() == before
    assert refusal(workspace, "made") is None


def test_a_file_that_came_to_stand_before_the_template_goes_again(workspace: Workspace, made: Path) -> None:
    (made / "chat_template.jinja").write_text("{{ 'another' }}")
    assert refusal(workspace, "made") is not None
    contract.restore(made)
    assert not (made / "chat_template.jinja").exists()
    assert refusal(workspace, "made") is None


def test_where_nothing_was_kept_nothing_can_be_put_back(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path / "foreign")
    catalog.add(workspace, path)
    assert refusal(workspace, "foreign") is None  # nobody wrote down what it was taught with
    assert cli(["models", "template", "foreign", "--restore"]) == 1
    assert "holds no copy of the chat template" in capsys.readouterr().err
    # The starter's own training.json tells something else.
    assert contract.kept(TINY) is None
    with pytest.raises(ModelError, match="holds no copy"):
        contract.restore(TINY)


def test_an_adapter_is_refused_when_its_base_changed_or_its_own_files_did(workspace: Workspace, tmp_path: Path) -> None:
    base = folder(tmp_path / "base-8B")
    catalog.add(workspace, base)
    taught = contract.of(base).fingerprint
    path = adapter(tmp_path / "lora", str(base), shapes=lora_shapes())
    catalog.receive(workspace, path, "lora", Lineage(job=3, verb="finetune", base="base-8B", template=taught))
    assert catalog.find(workspace, "lora").unfit is None
    before = (base / "tokenizer_config.json").read_bytes()
    change(base / "tokenizer_config.json", chat_template="{{ 'new' }}")
    found = catalog.find(workspace, "lora").unfit
    assert found is not None
    assert found.code == "template_of_base_changed"
    assert f"taught with another chat template ({taught}) than its base 'base-8B'" in str(found)
    assert refusal(workspace, "lora") == found
    # With a tokenizer of its own it speaks as it was taught, whatever the base has now.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, path / name)
    (path / "tokenizer_config.json").write_bytes(before)
    own = catalog.find(workspace, "lora")
    assert (own.unfit, own.template_differs) == (None, True)
    change(path / "tokenizer_config.json", eos_token="<x>")
    found = catalog.find(workspace, "lora").unfit
    assert found is not None
    assert found.code == "template_not_as_taught"


def test_a_lineage_without_a_template_or_with_nonsense_forbids_nothing(workspace: Workspace, made: Path) -> None:
    write(made / "tunedeck.json", {"format": 1, "job": 3, "verb": "finetune", "template": 7})
    assert catalog.read_lineage(made) == Lineage(job=3, verb="finetune")
    change(made / "tokenizer_config.json", chat_template="{{ 'other' }}")
    assert refusal(workspace, "made") is None
