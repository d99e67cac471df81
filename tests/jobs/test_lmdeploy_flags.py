"""Every command line that a spec can become, read by the real command line of the pinned LMDeploy, which loads on a CPU.

The environment for it is made by scripts/engine_parsers.py (some ten seconds the first time, 25 MB).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from backend.catalog import ModelCard
from backend.engines import Place
from backend.engines.choice import foreign
from backend.engines.lmdeploy import LMDeployEngine
from backend.engines.lmdeploy_env import facts
from backend.specs.serve import ModelFormat, ReasoningParser, ServeSpec, ToolParser
from scripts import engine_parsers
from tests.support import read_flags

ENGINE = LMDeployEngine()
WANTED = 300
SHAPE = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "head_dim": 128,
}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"architecture": "LlamaForCausalLM", "chat_template": True},
    "no template": {"architecture": "LlamaForCausalLM"},
    "--help": {"architecture": "Qwen3ForCausalLM", "chat_template": True, "quantization": "awq 4 bit"},
    "awq of 32": {"architecture": "LlamaForCausalLM", "quantization": "awq 4 bit", "quantization_group_size": 32},
    "gptq": {"architecture": "Qwen2ForCausalLM", "quantization": "gptq 4 bit", "quantization_group_size": 128},
    "fp8": {"architecture": "Qwen3MoeForCausalLM", "quantization": "fp8"},
    "w8a8": {"architecture": "LlamaForCausalLM", "quantization": "compressed-tensors 8 bit", "quantization_bits": 8},
    "mxfp4": {"architecture": "GptOssForCausalLM", "quantization": "mxfp4"},
    "gemma": {"architecture": "Gemma3ForConditionalGeneration", "vision": True, "chat_template": True},
    "own code": {
        "architecture": "InternLM2ForCausalLM",
        "needs_code": True,
        "code_allowed": True,
        "chat_template": True,
    },
    "mla": {"architecture": "DeepseekV3ForCausalLM", "chat_template": True},
}
NAMES = ("", "m", "-x", "--api-keys", "a b", "模型 😀", "x=y", "a.b", "--a.b=c", "'q'", '"', "$HOME", "\\n")


@pytest.fixture(scope="module")
def python() -> Path:
    """An environment in which the real parser loads."""
    try:
        return engine_parsers.make()
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("the packages of LMDeploy's command line cannot be had here")


def read(python: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    """What the real command line makes of each; the two words before are our Python and our file."""
    words = json.dumps([command[2:] for command in commands])
    program = [str(python), str(Path(read_flags.__file__))]
    done = subprocess.run(program, input=words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == len(commands)
    return answers


def cards(folder: Path) -> list[ModelCard]:
    made = []
    for name, facts_ in MODELS.items():
        path = folder / name
        path.mkdir()
        (path / "config.json").write_text(json.dumps(SHAPE | ({"kv_lora_rank": 512} if name == "mla" else {})))
        more = {"quantization_method": str(facts_.get("quantization", "")).split(" ")[0], **facts_}
        sizes = {"size_bytes": 15 << 30, "dtype": "float16", "context_length": 8192}
        made.append(ModelCard(name, path, **sizes, **more))
    return made


def specs(dice: random.Random, template_file: str) -> dict[str, Any]:
    """Fields by chance, most of them left alone, as people do."""
    choices: dict[str, Any] = {
        "name": NAMES,
        "device": ("auto", "cuda", "cpu"),
        "gpu_mib": (0, 16_000, 17_100, 24_000, 80_000),
        "max_batch_size": (0, 1, 16, 4096),
        "context_length": (0, 1, 2048, 10_000_000),
        "kv_cache_gib": (None, 0.001, 0.5, 4.0, 60.0),
        "cache_max_entry_count": (0.8, 0.01, 0.5, 0.999),
        "quant_policy": (0, 4, 8),
        "dtype": ("auto", "float16", "bfloat16", "float32"),
        "completions_only": (False, True),
        "backend": ("auto", "turbomind", "pytorch"),
        "model_format": get_args(ModelFormat),
        "tp": (1, 2, 3, 4, 8, 16),
        "cache_block_seq_len": (64, 128, 256),
        "max_prefill_token_num": (8192, 64, 1_000_000),
        "enable_prefix_caching": (False, True),
        "eager_mode": (False, True),
        "adapters": ((), ("law",), ("law", "medicine.v2")),
        "chat_template": ("", *facts()["chat_templates"], template_file, "klingon", "--x"),
        "tool_call_parser": get_args(ToolParser),
        "reasoning_parser": get_args(ReasoningParser),
        "idle_s": (0, 60),
        "max_restarts": (0, 3),
    }
    assert set(choices) == {"name", *ENGINE.options()}
    # Without those that are refused alone, a few chosen fields would hardly ever fit together.
    return {name: dice.choice(values) for name, values in choices.items() if dice.random() < 0.25}


def test_no_spec_becomes_a_command_that_the_real_command_line_refuses(python: Path, tmp_path: Path) -> None:
    template_file = tmp_path / "my template.json"
    template_file.write_text(json.dumps({"model_name": "mine", "user": "U:"}))
    dice = random.Random(20261126)
    models = cards(tmp_path)
    made: list[tuple[ServeSpec, Place, list[str]]] = []
    refused = 0
    while len(made) < WANTED:
        card = dice.choice(models)
        spec = ServeSpec(model=str(card.path), engine="lmdeploy", **specs(dice, str(template_file)))
        assert ENGINE.refuses(card) is None
        if ENGINE.problems(spec, card, gpus=8):
            refused += 1
            continue
        assert foreign(ENGINE, spec) == []
        folder = tmp_path / "my=adapter -x"
        adapters = tuple((name, folder) for name in spec.adapters)
        place = Place(dice.choice((1024, 23456)), tmp_path, dice.choice((20 << 30, 80 << 30)), adapters)
        made.append((spec, place, ENGINE.command(spec, card, place)))
    assert refused > WANTED / 2, "the dice hardly ever fell on what does not fit"
    wrong = []
    for (spec, place, command), answer in zip(made, read(python, [c for _s, _p, c in made]), strict=True):
        said = answer.get("error") or differences(spec, place, answer)
        if said:
            wrong.append((said, command[4:], spec.model_dump(exclude_defaults=True)))
    assert wrong == []


def differences(spec: ServeSpec, place: Place, answer: dict[str, Any]) -> dict[str, Any]:
    """Where LMDeploy understood something else than the spec says."""
    engine, served = answer["engine"], answer["served"]
    wanted = {
        "server_name": "127.0.0.1",
        "server_port": place.port,
        "model_path": spec.model,
        "model_name": spec.served_name(),
        "api_keys": None,
        "tool_call_parser": spec.tool_call_parser or None,
        "reasoning_parser": spec.reasoning_parser or None,
        "trust_remote_code": spec.model.endswith("own code"),
        "disable_fastapi_docs": True,
    }
    chosen = "pytorch" if engine["kind"] == "PytorchEngineConfig" else "turbomind"
    if spec.backend != "auto":
        wanted["backend"] = spec.backend
    engine_wanted: dict[str, Any] = {
        "tp": spec.tp,
        "quant_policy": spec.quant_policy,
        "session_len": min(8192, spec.context_length) or None,
        "max_batch_size": spec.max_batch_size or 128,
        "enable_prefix_caching": spec.enable_prefix_caching,
        "max_prefill_token_num": spec.max_prefill_token_num,
        "dtype": spec.dtype,
        "block_size" if chosen == "pytorch" else "cache_block_seq_len": spec.cache_block_seq_len,
        "enable_metrics": True,
    }
    if spec.kv_cache_gib is None and not spec.gpu_mib:
        engine_wanted["cache_max_entry_count"] = spec.cache_max_entry_count
    if chosen == "pytorch":
        engine_wanted["adapters"] = {name: str(folder) for name, folder in place.adapters} or None
        engine_wanted["eager_mode"] = spec.eager_mode
        absolute = spec.kv_cache_gib is not None or bool(spec.gpu_mib)
        assert (engine["num_gpu_blocks"] >= 16) is absolute
    else:
        assert 0 < engine["cache_max_entry_count"] < 1, "TurboMind aborts on anything else"
    found = {**{k: served[k] for k in wanted}, **{k: engine[k] for k in engine_wanted}}
    return {k: (v, found[k]) for k, v in (wanted | engine_wanted).items() if found[k] != v}


def test_what_we_offer_is_what_this_version_knows(python: Path) -> None:
    assert engine_parsers.facts() == engine_parsers.FACTS.read_text()
    known, fields = facts(), ServeSpec.model_fields
    assert f"lmdeploy=={known['lmdeploy']}" == engine_parsers.LMDEPLOY
    # Two names for the same thing are offered once.
    assert set(get_args(ToolParser)) == {"", *known["tool_parsers"]} - {"kimi_k2"}
    assert set(get_args(ReasoningParser)) == {"", *known["reasoning_parsers"]} - {"deepseek-v3.2"}
    options = known["options"]
    assert set(get_args(ModelFormat)) == {"auto", *options["--model-format"]["choices"]}
    assert set(get_args(fields["backend"].annotation)) == {"auto", *options["--backend"]["choices"]}
    assert set(get_args(fields["dtype"].annotation)) - {"float32"} == set(options["--dtype"]["choices"])
    for name in ("tp", "quant_policy", "cache_max_entry_count", "cache_block_seq_len", "max_prefill_token_num"):
        assert fields[name].default == options[f"--{name.replace('_', '-')}"]["default"], name
    for name in ("enable_prefix_caching", "eager_mode"):
        assert options[f"--{name.replace('_', '-')}"]["default"] is fields[name].default is False


def test_the_reader_says_no_when_lmdeploy_does(python: Path) -> None:
    base = ["python", "shim", "serve", "api_server", "/m"]
    bad = [
        ["--quant-policy=5"],
        ["--backend=jax"],
        ["--chat-template=klingon"],
        ["--tool-call-parser=morse"],
        ["--backend=pytorch", "--cache-max-entry-count=1000"],
        ["--backend=pytorch", "--adapters", "a", "b"],
        ["--nonsense"],
    ]
    answers = read(python, [base, *([*base, *words] for words in bad)])
    assert ["error" in answer for answer in answers] == [False, *[True] * len(bad)]


def test_a_key_is_read_whatever_it_begins_with_and_whatever_follows(python: Path) -> None:
    """As jobs/shims/lmdeploy_server.py puts it in: the fourth word, before all flags."""
    command = [
        "python",
        "shim",
        "serve",
        "api_server",
        "/m",
        "--api-keys=-secret",
        "--backend=pytorch",
        "--adapters",
        "a=/b",
    ]
    (answer,) = read(python, [command])
    assert answer["served"]["api_keys"] == ["-secret"]
    assert answer["engine"]["adapters"] == {"a": "/b"}
