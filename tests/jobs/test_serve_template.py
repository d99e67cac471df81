"""A model whose tokenizer has no chat template: refused, until a person chooses a known one; then it chats and stops."""

from __future__ import annotations

import json
from pathlib import Path

from backend import catalog
from backend.workspace import open_workspace
from tests.support import scripted_model
from tests.support.models import change
from tests.support.server import ServeJob


def test_a_chosen_template_lets_it_chat_and_ends_its_answers(tmp_path: Path) -> None:
    folder = scripted_model.build(tmp_path / "plain", chat=False)
    # Its own end token is another one than that of the template, as with base models.
    begin = json.loads((folder / "generation_config.json").read_text())["bos_token_id"]
    for name in ("generation_config.json", "config.json"):
        change(folder / name, eos_token_id=begin)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    workspace = open_workspace(tmp_path / "job" / "workspace")
    catalog.add(workspace, folder)
    refused = ServeJob(tmp_path / "job", model="plain")
    try:
        assert refused.wait(60) == 1
        assert refused.result()["error"]["code"] == "model_no_chat_template"
    finally:
        refused.end()
    catalog.choose_template(workspace, "plain", "llama3")
    job = ServeJob(tmp_path / "job", model="plain")
    try:
        answer = job.client().chat("greet", max_tokens=6)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["finish_reason"] == "stop", answer.text
        assert "chat template Llama 3, chosen here" in job.log.read_text()
    finally:
        job.end()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
