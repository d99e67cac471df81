"""What the forecast knows of a model, read from real headers of models of real sizes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backend import catalog
from backend.errors import ModelError
from backend.memory.forecast import ServePlan, estimate, facts
from backend.memory.forecast.facts import from_card, from_config, from_folder
from backend.workspace import Workspace
from tests.support import models
from tests.support.forecast_models import INTERNLM2_1_8B, LLAMA3_8B, LLAVA_LLAMA3, llama3

NUMBERS = 8_030_261_248
MATRICES = 6_979_321_856


def test_a_model_of_16_gb_is_told_by_its_headers_alone(tmp_path: Path) -> None:
    found = from_folder(llama3(tmp_path / "llama"))
    assert found.params.total == NUMBERS
    assert found.params.linear == MATRICES
    assert found.params.embed == found.params.head == 128256 * 4096
    assert found.stored.total == 2 * NUMBERS
    assert (found.layers, found.hidden, found.intermediate, found.kv_heads, found.head_size) == (
        32,
        4096,
        14336,
        8,
        128,
    )
    assert found.kv_values * found.layers * 2 == 128 << 10
    assert {one.name: (one.inputs, one.outputs, one.count) for one in found.linears}["down_proj"] == (14336, 4096, 32)
    # Nothing of the 16 GB was written to be read.
    assert (tmp_path / "llama" / "model.safetensors").stat().st_blocks * 512 < 1 << 20


def test_shards_say_the_same_as_one_file(tmp_path: Path) -> None:
    whole, parts = from_folder(llama3(tmp_path / "a")), from_folder(llama3(tmp_path / "b", shards=4))
    assert (whole.params, whole.stored, whole.linears) == (parts.params, parts.stored, parts.linears)


@pytest.mark.parametrize("packed", ["awq", "gptq", "nf4"])
def test_packed_matrices_are_counted_unpacked_and_the_ends_as_they_are(tmp_path: Path, packed: str) -> None:
    found = from_folder(llama3(tmp_path / "model", packed))
    assert found.params.total == NUMBERS
    assert found.bits == 4
    assert found.stored.embed == found.stored.head == 2 * 128256 * 4096
    assert 4.0 < 8 * found.stored.linear / MATRICES < 4.2
    assert {one.name: (one.inputs, one.outputs) for one in found.linears}["k_proj"] == (4096, 1024)
    assert found.dtype == "float16"


def test_a_config_alone_tells_the_same_as_the_files(tmp_path: Path) -> None:
    read, counted = from_folder(llama3(tmp_path / "model")), from_config(LLAMA3_8B)
    assert (read.params, read.stored, read.linears) == (counted.params, counted.stored, counted.linears)
    assert from_config(INTERNLM2_1_8B).params.total == 1_889_110_016
    packed = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    there = from_folder(llama3(tmp_path / "awq", "awq"))
    assert from_config({**LLAMA3_8B, **packed}).stored.linear == pytest.approx(there.stored.linear, rel=0.001)


def test_a_model_that_sees_has_its_eyes_apart() -> None:
    found = from_config(LLAVA_LLAMA3)
    assert found.params.language == NUMBERS
    assert found.params.vision == pytest.approx(303.5e6, rel=0.01)
    assert found.params.projector == 1024 * 4096 + 4096 * 4096
    assert found.eyes is not None
    assert (found.eyes.layers, found.eyes.tokens) == (24, 576)


def test_experts_count_whole_but_only_some_work() -> None:
    mixtral = {
        **LLAMA3_8B,
        "model_type": "mixtral",
        "vocab_size": 32000,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    }
    found = from_config(mixtral)
    assert found.params.total == pytest.approx(46.7e9, rel=0.01)
    assert found.intermediate == 2 * 14336
    assert sum(one.size for one in found.linears) == found.params.linear
    assert all(one.expert == (one.name in ("gate_proj", "up_proj", "down_proj")) for one in found.linears)


def test_one_matrix_for_both_ends_is_there_once() -> None:
    small = from_config({**LLAMA3_8B, "tie_word_embeddings": True})
    assert small.tied
    assert small.params.total == NUMBERS - 128256 * 4096


def test_a_head_that_no_one_uses_is_there_only_while_loading(tmp_path: Path) -> None:
    spare = from_folder(llama3(tmp_path / "model", "awq", tie_word_embeddings=True))
    assert spare.tied
    assert (spare.params.head, spare.stored.head, spare.spare_head) == (0, 0, 2 * 128256 * 4096)
    loading = estimate(spare, ServePlan("transformers", session_len=64))
    assert loading.allocated_p50 == pytest.approx(spare.stored.total + spare.spare_head, rel=0.001)


def test_a_compressed_cache_is_small() -> None:
    """DeepSeek-V2-Lite keeps 512 + 64 numbers of a token in each layer, whatever its heads."""
    found = from_config({**LLAMA3_8B, "kv_lora_rank": 512, "qk_rope_head_dim": 64})
    assert found.kv_values == 576


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    folder = models.folder(tmp_path / "model")
    assert from_folder(folder).params.head == 0
    tensors = {"model.embed_tokens.weight": ("BF16", [64, 16]), "lm_head.weight": ("BF16", [64, 16])}
    models.weights(folder / "model.safetensors", tensors)
    assert from_folder(folder).params.head == 64 * 16


def test_an_adapter_counts_with_its_base(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "base"))
    adapter = models.adapter(tmp_path / "lora", "base", shapes=models.lora_shapes())
    card = catalog.add(workspace, adapter)
    found = from_card(catalog.find(workspace, card.name))
    assert found.name == "lora"
    assert found.adapter == 4 * 8 * (16 + 16)
    assert found.params.language == from_folder(tmp_path / "base").params.language


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    gone = llama3(tmp_path / "gone", shards=3)
    (gone / "model-00002-of-00003.safetensors").unlink()
    cut = llama3(tmp_path / "cut")
    os.truncate(cut / "model.safetensors", 5 << 30)
    shapeless = llama3(tmp_path / "shapeless")
    (shapeless / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 2}))
    empty = tmp_path / "empty"
    empty.mkdir()
    said = {}
    for folder in (gone, cut, shapeless, empty, tmp_path / "nowhere"):
        with pytest.raises(ModelError) as caught:
            facts.from_folder(folder)
        said[folder.name] = str(caught.value)
    assert "model-00002-of-00003.safetensors" in said["gone"]
    assert "cut off" in said["cut"]
    assert "hidden_size" in said["shapeless"]
    assert "is empty" in said["empty"]
    assert "There is no model folder" in said["nowhere"]
