"""Models, machines and an LMDeploy for the plans of quantizations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.memory.forecast import ModelFacts, facts
from backend.quantize.plan import Plan, plan
from backend.workspace import Workspace
from tests.support import lmdeploy_stub
from tests.support.planning import CPU
from tests.support.token_models import qwen_like

NARROW: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 600,
    "hidden_size": 192,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "torch_dtype": "float16",
    "tie_word_embeddings": False,
}
"""192 and 320: groups of 128 do not come out even, groups of 64 do."""


def with_lmdeploy(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As if LMDeploy were installed, for the CPU."""
    environment = lmdeploy_stub.make(folder)
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(environment / "bin" / "python"))


def made_up(workspace: Workspace, folder: Path, **config: Any) -> str:
    """A model on the list of this config (without: :data:`NARROW`), with headers and a tokenizer, without weights."""
    from backend.memory.forecast.shapes import made_up as tensors
    from tests.support.models import weights, write

    folder.mkdir(parents=True)
    whole = {**NARROW, **config}
    write(folder / "config.json", whole)
    weights(folder / "model.safetensors", {name: (kind, list(shape)) for name, (kind, shape, _size) in tensors(whole, "F16")})  # fmt: skip
    qwen_like(folder)
    return catalog.add(workspace, folder).name


def made(workspace: Workspace, **fields: Any) -> Plan:
    """The plan for ``starter`` with ``fields`` on a machine without a GPU."""
    return plan(workspace, {"model": "starter", **fields}, CPU)


def codes(found: Plan) -> set[tuple[str, str]]:
    """(code, field) of all that is wrong with it."""
    return {(fault.code, fault.field) for fault in found.faults}


def starter_facts(workspace: Workspace) -> ModelFacts:
    """The facts of the model that ships with TuneDeck."""
    return facts.from_card(catalog.find(workspace, "starter"))
