"""A model that would be asked otherwise than it was taught: its card on the Models page says what differs, and mends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.finetune import contract
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.models import adapter, change, folder, lora_shapes
from tests.support.page_text import labels, text

TINY = ROOT / "models" / "tiny"
PUT_BACK = "Put back what it was taught with"


def said(app: AppTest) -> str:
    return text(app).replace("\\", "")


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label.replace("\\", "") == label).click().run()
    assert not app.exception


@pytest.fixture
def made(workspace: Workspace, tmp_path: Path) -> Path:
    """The folder of the model ``made``, as a fine-tune leaves it: with the contract that it was taught with."""
    path = tmp_path / "made"
    shutil.copytree(TINY, path)
    found = contract.of(path)
    contract.record(path, found, {"kind": "merged"})
    catalog.receive(
        workspace, path, "made", Lineage(job=3, verb="finetune", base="starter", template=found.fingerprint)
    )
    return path


def test_one_that_is_asked_as_it_was_taught_says_nothing_of_it(open_page: OpenPage, made: Path) -> None:
    app = open_page("models")
    assert "taught" not in said(app)
    assert PUT_BACK not in labels(app)


@pytest.mark.parametrize(
    ("file", "changes", "difference"),
    [
        ("tokenizer_config.json", {"eos_token": "<end>"}, "the special token eos_token ("),
        ("tokenizer_config.json", {"chat_template": "{{ messages }} never seen"}, "the chat template (“"),
        ("generation_config.json", {"eos_token_id": [0]}, "the tokens that end an answer ("),
    ],
)
def test_what_differs_is_named_and_put_back_by_one_press(
    open_page: OpenPage, workspace: Workspace, made: Path, file: str, changes: dict[str, object], difference: str
) -> None:
    whole = (made / file).read_bytes()
    change(made / file, **changes)
    app = open_page("models")
    assert "'made' was taught with another chat template, other special tokens or ends" in said(app)
    assert f"- {difference}" in said(app)
    assert labels(app).count("Start server") == 1, "the starter's: asked like this it would only disappoint"
    press(app, PUT_BACK)
    assert (made / file).read_bytes() == whole
    assert "taught with another" not in said(app)
    assert labels(app).count("Start server") == 2


def test_one_whose_server_runs_says_it_too(open_page: OpenPage, store: Store, made: Path) -> None:
    store.submit("serve", {"model": "made"}, title="made")
    change(made / "tokenizer_config.json", eos_token="<end>")
    app = open_page("models")
    assert "Its server goes on with what it began with." in said(app)
    assert PUT_BACK in labels(app)


def test_where_nothing_was_kept_the_card_says_what_to_do(open_page: OpenPage, made: Path) -> None:
    (made / contract.FILE).unlink()
    change(made / "tokenizer_config.json", eos_token="<end>")
    app = open_page("models")
    assert "'made' was taught with another" in said(app)
    assert PUT_BACK not in labels(app)
    assert "models template made --restore" in said(app)


def test_an_adapter_names_its_base_and_gives_it_the_template_that_was_chosen(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    plain = folder(tmp_path / "plain")
    change(plain / "tokenizer_config.json", chat_template=None)
    catalog.add(workspace, plain)
    catalog.choose_template(workspace, "plain", "chatml")
    lora = adapter(tmp_path / "lora", "plain", shapes=lora_shapes())
    found = contract.of_card(workspace, catalog.find(workspace, "plain"))
    contract.record(lora, found, {"kind": "adapter"})
    catalog.receive(workspace, lora, "lora", Lineage(job=4, verb="finetune", base="plain", template=found.fingerprint))
    assert "taught with another" not in said(open_page("models"))

    catalog.choose_template(workspace, "plain", "gemma")
    app = open_page("models")
    assert "'lora' was taught with another chat template" in said(app)
    assert "than its base 'plain' has now" in said(app)
    assert "- the chat template (“" in said(app)
    press(app, "Give plain the template ChatML (Qwen, Yi, Hermes) again")
    assert "taught with another" not in said(app)
    assert catalog.find(workspace, "plain").template_chosen == "chatml"
