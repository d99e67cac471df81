"""What engines say before anything is started: who takes what, what does not fit together, how much memory it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import ModelCard
from backend.cli import main as cli
from backend.engines import ENGINES, Place, adapters, check, kv, pick
from backend.engines.choice import COMMON
from backend.engines.lmdeploy import RUNTIME_BYTES, LMDeployEngine
from backend.engines.lmdeploy_options import core
from backend.errors import ModelError, PanelError, SpecError
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace

GIB = 2**30
LLAMA = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
LMDEPLOY = LMDeployEngine()


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """Llama 3 8B as its headers tell it; its folder holds a config only."""
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "config.json").write_text(json.dumps(LLAMA))
    return ModelCard(
        "llama",
        tmp_path / "llama",
        "LlamaForCausalLM",
        dtype="bfloat16",
        size_bytes=15 * GIB,
        context_length=8192,
        chat_template=True,
    )


def fields_of(spec: dict[str, Any], card: ModelCard, gpus: int | None = None) -> list[str]:
    return [p.field for p in LMDEPLOY.problems(ServeSpec(model="m", engine="lmdeploy", **spec), card, gpus)]


def flags(spec: dict[str, Any], card: ModelCard, free: int | None = 78 * GIB) -> list[str]:
    return LMDEPLOY.command(ServeSpec(model="m", engine="lmdeploy", **spec), card, Place(1, free_bytes=free))


# --- the KV cache


def test_a_token_of_llama_3_8b_takes_128_kib_and_a_block_8_mib(card: ModelCard) -> None:
    shape = kv.shape(card)
    assert shape == kv.KvShape(32, 8, 128)
    assert shape.token_bytes() == 128 * 1024
    assert kv.blocks(shape, 1, 64) == 128
    # Half and a quarter, and a scale and a zero point of 2 bytes for each head.
    assert shape.token_bytes(8) == 64 * 1024 + 32 * 8 * 2 * 4
    assert shape.token_bytes(4) == 32 * 1024 + 32 * 8 * 2 * 4
    assert shape.token_bytes(tp=4) == 32 * 1024
    assert shape.token_bytes(tp=16) == 16 * 1024  # a KV head is not cut


def test_gib_become_blocks_for_pytorch_and_a_share_of_what_the_weights_leave_for_turbomind(card: ModelCard) -> None:
    assert "--num-gpu-blocks=512" in flags({"kv_cache_gib": 4, "backend": "pytorch"}, card)
    left = 78 * GIB - 15 * GIB - RUNTIME_BYTES
    assert f"--cache-max-entry-count={4 * GIB / left:.4f}" in flags({"kv_cache_gib": 4}, card)
    # What is reserved of a GPU bounds weights, workspaces and cache together.
    reserved = 24 * GIB - 15 * GIB - RUNTIME_BYTES
    assert f"--cache-max-entry-count={reserved / left:.4f}" in flags({"gpu_mib": 24 * 1024}, card)
    assert f"--num-gpu-blocks={reserved // (8 << 20)}" in flags({"gpu_mib": 24 * 1024, "backend": "pytorch"}, card)
    assert "--cache-max-entry-count=0.8" in flags({}, card)
    assert "--cache-max-entry-count=SHARE" in flags({"kv_cache_gib": 4}, card, free=None)


def test_weights_wider_than_16_bits_shrink_in_memory(card: ModelCard) -> None:
    assert LMDEPLOY.memory_bytes(card, 1000) == {
        "weights": 15 * GIB,
        "kv_cache": 1000 * 128 * 1024,
        "runtime": RUNTIME_BYTES,
    }
    assert LMDEPLOY.memory_bytes(replace(card, dtype="float32"), 0)["weights"] == 15 * GIB // 2


# --- which core, which flags


@pytest.mark.parametrize(
    ("spec", "change", "chosen"),
    [
        ({}, {}, "turbomind"),
        ({"adapters": ("law",)}, {}, "pytorch"),
        ({"eager_mode": True}, {}, "pytorch"),
        ({"backend": "pytorch"}, {}, "pytorch"),
        ({}, {"architecture": "Gemma2ForCausalLM"}, "pytorch"),
        ({}, {"quantization_method": "awq", "quantization_group_size": 128}, "turbomind"),
        ({}, {"quantization_method": "awq", "quantization_group_size": 64}, "pytorch"),
        ({}, {"quantization_method": "gptq"}, "turbomind"),
        ({}, {"quantization_method": "compressed-tensors", "quantization_bits": 8}, "pytorch"),
        ({"model_format": "fp8"}, {}, "pytorch"),
    ],
)
def test_auto_takes_turbomind_where_it_can_do_all_that_is_asked(
    card: ModelCard, spec: dict[str, Any], change: dict[str, Any], chosen: str
) -> None:
    changed = replace(card, **change)
    assert core(ServeSpec(model="m", **spec), changed) == chosen
    assert f"--backend={chosen}" in flags(spec, changed)


def test_a_plain_command_is_short_and_listens_on_loopback_only(card: ModelCard) -> None:
    words = flags({}, card)[2:]
    assert words == [
        "serve",
        "api_server",
        str(card.path),
        "--server-name=127.0.0.1",
        "--server-port=1",
        "--model-name=m",
        "--backend=turbomind",
        "--disable-fastapi-docs",
        "--cache-max-entry-count=0.8",
    ]


def test_code_of_the_model_runs_only_where_a_person_allowed_it(card: ModelCard) -> None:
    needing = replace(card, needs_code=True)
    assert LMDEPLOY.refuses(needing) is not None
    assert "--trust-remote-code" not in flags({}, needing)
    assert "--trust-remote-code" in flags({}, replace(needing, code_allowed=True))
    # Allowed once, but the model needs none of it any more.
    assert "--trust-remote-code" not in flags({}, replace(card, code_allowed=True))


def test_a_model_without_a_chat_template_is_served_for_completions_with_a_bare_one(card: ModelCard) -> None:
    plain = replace(card, chat_template=False)
    assert "--chat-template=base" in flags({"completions_only": True}, plain)
    assert "--chat-template=base" not in flags({"completions_only": True}, card)


# --- what does not fit


@pytest.mark.parametrize(
    ("spec", "change", "fields"),
    [
        ({}, {}, []),
        ({"device": "cpu"}, {}, ["device"]),
        ({"dtype": "float32"}, {}, ["dtype"]),
        ({"tp": 3}, {}, ["tp", "tp"]),
        ({"tp": 4}, {}, ["tp"]),
        ({"tp": 2, "gpu_mib": 40_000}, {}, ["gpu_mib"]),
        ({"gpu_mib": 15_000}, {}, ["gpu_mib"]),
        ({"gpu_mib": 17_000}, {}, ["gpu_mib"]),
        ({"gpu_mib": 18_000}, {}, []),
        ({"kv_cache_gib": 0.1}, {}, ["kv_cache_gib"]),
        ({"kv_cache_gib": 0.125}, {}, []),
        ({"kv_cache_gib": 0.04, "quant_policy": 4}, {}, []),
        ({"kv_cache_gib": 4, "cache_max_entry_count": 0.5}, {}, ["kv_cache_gib"]),
        ({"kv_cache_gib": 30, "gpu_mib": 24_000}, {}, ["kv_cache_gib"]),
        ({"backend": "turbomind", "adapters": ("law",)}, {}, ["adapters"]),
        ({"backend": "turbomind", "eager_mode": True}, {}, ["eager_mode"]),
        ({"backend": "turbomind"}, {"architecture": "Gemma2ForCausalLM"}, ["backend"]),
        ({"backend": "pytorch"}, {"quantization": "gptq", "quantization_method": "gptq"}, ["backend"]),
        ({}, {"quantization_method": "compressed-tensors", "quantization_bits": 4, "quantization_group_size": 32}, []),
        ({}, {"quantization_method": "compressed-tensors", "quantization_bits": 8}, ["backend"]),
        ({}, {"quantization_method": "compressed-tensors", "quantization_group_size": 64}, ["backend"]),
        ({"model_format": "awq"}, {}, ["model_format"]),
        ({"model_format": "hf"}, {}, []),
        ({"model_format": "fp8"}, {}, []),
        ({"model_format": "fp8", "backend": "turbomind"}, {}, ["model_format"]),
        ({"model_format": "hf"}, {"quantization_method": "awq"}, ["model_format"]),
        ({"chat_template": "klingon"}, {}, ["chat_template"]),
        ({"chat_template": "vicuna"}, {}, []),
        ({}, {"template_chosen": "chatml"}, ["chat_template"]),
        ({"chat_template": "vicuna"}, {"template_chosen": "chatml"}, []),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(
    card: ModelCard, spec: dict[str, Any], change: dict[str, Any], fields: list[str]
) -> None:
    assert fields_of(spec, replace(card, **change), gpus=2) == fields


def test_a_cache_that_compresses_has_no_size_in_gib_for_pytorch(card: ModelCard) -> None:
    (card.path / "config.json").write_text(json.dumps({**LLAMA, "kv_lora_rank": 512}))
    assert fields_of({"kv_cache_gib": 4, "backend": "pytorch"}, card) == ["kv_cache_gib"]
    assert fields_of({"kv_cache_gib": 4}, card) == []


def test_all_that_does_not_fit_is_told_at_once_and_what_another_engine_has_too(card: ModelCard) -> None:
    spec = ServeSpec(model="m", device="cpu", dtype="float32", threads=4, continuous_batching="on", chat_template="x")
    with pytest.raises(SpecError) as caught:
        check(LMDEPLOY, spec, card, 1)
    assert [p["field"] for p in caught.value.problems] == [
        "threads",
        "continuous_batching",
        "device",
        "dtype",
        "chat_template",
    ]
    assert "threads: LMDeploy has no such setting;" in str(caught.value)
    with pytest.raises(SpecError, match="quant_policy: transformers has no such setting; tp: transformers has"):
        check(ENGINES["transformers"], ServeSpec(model="m", quant_policy=4, tp=2), card)


# --- which engine


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """LMDeploy could run here. (Whether it really can is tested with processes, in tests/jobs/test_serve_lmdeploy.py.)"""
    monkeypatch.setattr(LMDeployEngine, "unavailable", lambda self: None)


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize(
    ("spec", "change", "name"),
    [
        ({}, {}, "lmdeploy"),
        ({"device": "cpu"}, {}, "transformers"),
        ({"engine": "transformers"}, {}, "transformers"),
        ({}, {"builtin": True}, "transformers"),
        ({"engine": "lmdeploy"}, {"builtin": True}, "lmdeploy"),
        ({}, {"architecture": "GPT2LMHeadModel"}, "transformers"),
        ({}, {"quantization": "bitsandbytes 4 bit", "quantization_method": "bitsandbytes"}, "transformers"),
        ({}, {"quantization": "awq 4 bit", "quantization_method": "awq"}, "lmdeploy"),
        ({"threads": 4}, {}, "transformers"),
        ({}, {"template_chosen": "chatml"}, "transformers"),
    ],
)
def test_the_first_engine_that_can_do_what_is_asked_serves(
    card: ModelCard, spec: dict[str, Any], change: dict[str, Any], name: str
) -> None:
    assert pick(ServeSpec(model="m", **spec), replace(card, **change)).name == name


def test_an_engine_that_is_asked_for_and_cannot_says_why(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.memory.machine.gpus", lambda: ((), ""))
    with pytest.raises(PanelError, match="NVIDIA GPUs only"):
        pick(ServeSpec(model="m", engine="lmdeploy"), card)
    with pytest.raises(ModelError, match="quantized with awq"):
        pick(ServeSpec(model="m"), replace(card, quantization="awq 4 bit", quantization_method="awq"))


@pytest.mark.parametrize("architecture", ["BertModel", "", "Qwen2ForRewardModel", "DeepseekMTPModel"])
def test_lmdeploy_refuses_what_it_does_not_know_or_cannot_talk_with(card: ModelCard, architecture: str) -> None:
    refusal = LMDEPLOY.refuses(replace(card, architecture=architecture))
    assert refusal is not None
    assert refusal.code == "model_architecture_unknown"


def test_a_server_on_gpus_is_given_as_many_as_share_the_model() -> None:
    assert ServeSpec(model="m", engine="lmdeploy", tp=4).resources().gpus == 4
    assert ServeSpec(model="m", engine="lmdeploy", gpu_mib=9000).resources().model_dump() == {
        "cpu": 0,
        "gpus": 0,
        "gpu_mib": 9000,
        "ports": 1,
    }
    assert ServeSpec(model="m", engine="transformers").resources().gpus == 0


# --- the command line


def test_settings_are_typed_as_name_and_value(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["serve", "start", "starter", "--dry-run", "--json", "--set", "threads=2", "--set", "name=12"]
    assert cli(words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spec"] == {"model": "starter", "name": "12", "engine": "transformers", "threads": 2}
    assert shown["command"][-1] == "JOB_FOLDER/serving.json"
    for wrong, said in [
        ("threads", "'threads' is no setting. Write NAME=VALUE"),
        ("threads=many", "threads: Input should be a valid integer"),
        ("quant_policy=5", "quant_policy: Input should be 0, 4 or 8"),
        ("quant_policy=8", "quant_policy: transformers has no such setting"),
        ("colour=red", "colour: Extra inputs are not permitted"),
    ]:
        assert cli(["serve", "start", "starter", "--dry-run", "--set", wrong]) == 1
        assert said in capsys.readouterr().err
    assert cli(["serve", "engines", "--json"]) == 0
    listed = {engine["engine"]: engine for engine in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(ENGINES)
    assert listed["transformers"]["problem"] is None
    assert set(listed["lmdeploy"]["settings"]) == {"name", *LMDEPLOY.options()}


def test_every_setting_belongs_to_an_engine() -> None:
    known = {name for engine in ENGINES.values() for name in engine.options()}
    assert known | COMMON == set(ServeSpec.model_fields)
    for engine in ENGINES.values():
        order = [name for name in ServeSpec.model_fields if name in engine.options()]
        assert list(engine.options()) == order


# --- adapters


def test_adapters_are_found_by_name_or_folder_and_every_wrong_one_is_told(
    workspace: Workspace, card: ModelCard, tmp_path: Path
) -> None:
    lora = tmp_path / "law"
    lora.mkdir()
    (lora / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "llama", "r": 8})
    )
    (lora / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    catalog.add(workspace, lora, "law")
    spec = ServeSpec(model="m", adapters=("law", f"medicine={lora}"))
    assert adapters.find(workspace, spec) == ([("law", lora), ("medicine", lora)], [])
    wrong = ServeSpec(model="m", adapters=("nothing", "starter", "law", f"law={lora}", f"-x={lora}", f"m={lora}"))
    found, problems = adapters.find(workspace, wrong)
    assert found == [("law", lora)]
    assert [p.field for p in problems] == ["adapters"] * 5
    assert "no model called 'nothing'" in problems[0].message
    assert "'starter' is a whole model" in problems[1].message
    words = LMDEPLOY.command(spec, card, Place(1, adapters=tuple(adapters.find(workspace, spec)[0])))
    assert words[-3:] == ["--adapters", f"law={lora}", f"medicine={lora}"]
