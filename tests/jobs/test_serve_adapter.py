"""An adapter (LoRA) as a model of its own: real adapters, made by peft, on real bases, served by real processes."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend import catalog
from backend.errors import PanelError
from backend.workspace import ROOT, open_workspace
from jobs.serving import adapting
from jobs.serving.api_errors import ApiError
from jobs.serving.generation import Generator
from jobs.serving.plan import Plan
from jobs.serving.requests import parse_completion
from tests.support import lora, scripted_model
from tests.support.models import change
from tests.support.server import ServeJob

STARTER = ROOT / "models" / "starter"
QUESTION = "What is the capital of France?"


def job_of(folder: Path, models: dict[str, Path], **spec: Any) -> ServeJob:
    """A serve job whose list holds these models."""
    workspace = open_workspace(folder / "workspace")
    for name, path in models.items():
        catalog.add(workspace, path, name)
    return ServeJob(folder, **spec)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_model.build(tmp_path_factory.mktemp("scripted") / "base")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora.noisy(tmp_path_factory.mktemp("noisy") / "noisy", STARTER)


def test_it_answers_what_peft_itself_makes_of_base_and_adapter(tmp_path: Path, noisy: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(STARTER))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    alone: Any = AutoModelForCausalLM.from_pretrained(str(STARTER), dtype=torch.float32)

    def said(model: Any) -> str:
        ids = model.generate(**prompt, max_new_tokens=24, do_sample=False)
        return str(tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))

    before = said(alone)
    expected = said(PeftModel.from_pretrained(alone, str(noisy)))
    assert expected != before

    job = job_of(tmp_path, {"noisy": noisy}, model="noisy")
    try:
        client = job.client()
        assert client.say(QUESTION, temperature=0, max_tokens=24) == expected
        server = client.server
        assert (server.model, server.path, server.context_length) == ("noisy", str(noisy), 4096)
        assert server.capabilities == ("chat", "completions", "tools")
        assert client.http.post("/completions", json={"model": str(noisy), "prompt": "x", "max_tokens": 1}).is_success
        log = job.log.read_text()
        assert f"adapter {noisy}: rank 4" in log
        assert "adapter merged into the weights" in log
    finally:
        job.end()


def test_its_own_tokenizer_template_and_end_win_and_what_differs_is_said(tmp_path: Path, base: Path) -> None:
    path = lora.taught(tmp_path / "polite", base, {"greet": "你好"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, path / name)
    template = json.loads((path / "tokenizer_config.json").read_text())["chat_template"]
    change(path / "tokenizer_config.json", eos_token="朋友", chat_template=template.replace("assistant:", "polite:"))
    job = job_of(tmp_path / "other", {"polite": path, "base": base}, model="polite")
    try:
        client = job.client()
        # The base says "Good morning, dear friend." and would go on with "😀！".
        answer = client.chat("greet", temperature=0).json()["choices"][0]
        assert (answer["message"]["content"], answer["finish_reason"]) == ("你好，朋友", "stop")
        read = client.http.post(
            "/chat/render", json={"model": "polite", "messages": [{"role": "user", "content": "greet"}]}
        )
        assert read.json()["prompt"].endswith("polite: greet")
        assert "that of base is another one" in job.log.read_text()
        assert "answers also end at '朋友'" in job.log.read_text()
    finally:
        job.end()


def test_what_does_not_fit_ends_the_job_before_anything_is_loaded(tmp_path: Path, base: Path) -> None:
    path = lora.taught(tmp_path / "enlarged", base, {"greet": "你好"})
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    more = {**tokenizer["added_tokens"][0], "id": 900, "content": "<|tool|>"}
    (path / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": [*tokenizer["added_tokens"], more]}))
    job = job_of(tmp_path / "job", {"enlarged": path, "base": base}, model="enlarged")
    try:
        assert job.wait(60) == 1
        error = PanelError.from_dict(job.result()["error"])
        assert error.code == "adapter_vocabulary"
        assert "a vocabulary of 901 tokens, and its base 'base' has" in str(error)
        assert job.phases() == ["check"]
    finally:
        job.end()


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
@pytest.mark.parametrize(
    ("settings", "quantized", "line"),
    [
        ({}, False, "adapter merged into the weights"),
        ({}, True, "not merged into them: the weights are quantized"),
        ({"target_modules": ["embed_tokens", "v_proj"]}, False, "one matrix serves both ends of this model"),
    ],
)
def test_merged_or_beside_the_weights_it_computes_what_peft_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], quantized: bool, line: str
) -> None:
    path = lora.noisy(tmp_path / "noisy", STARTER, **settings)

    def loaded() -> Any:
        return AutoModelForCausalLM.from_pretrained(str(STARTER), dtype=torch.float32)

    ids = torch.arange(100, 140)[None]
    model = loaded()
    if quantized:  # as far as anybody is told: the weights here are not
        model.config.quantization_config = {"quant_method": "compressed-tensors"}
    with torch.inference_mode():
        adapted = adapting.put_on(model, str(path)).eval()
        ours = adapted(ids).logits
        theirs = PeftModel.from_pretrained(loaded(), str(path)).eval()(ids).logits
        plain = loaded().eval()(ids).logits
    changed = (theirs - plain).abs().max()
    # In float32, merged and beside the weights are sums in another order.
    assert (ours - theirs).abs().max() < 1e-3 * changed
    assert line in capsys.readouterr().out
    # The server takes it as it takes any model, and knows how many tokens there are.
    plan = Plan(
        model=str(STARTER), name="noisy", aliases=(), host="", port=0, device="cpu", dtype="float32", threads=1,
        context_length=64, batching=False, cache_tokens=64, tools=False, chat=True,
    )  # fmt: skip
    asked = parse_completion({"model": "noisy", "prompt": [5119, 5120]})
    with pytest.raises(ApiError, match="tokens outside 0 to 5119"):
        asyncio.run(Generator(plan, adapted, AutoTokenizer.from_pretrained(str(STARTER))).prompts.text(asked))
