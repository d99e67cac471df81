"""AWQ by LMDeploy in its real environment: a copy of the starter, calibrated with our rows, that still answers like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backend import catalog
from backend.envs.status import Status
from jobs.quantizing import dequantize
from tests.support.quantize_jobs import STARTER, contents, run

pytestmark = pytest.mark.filterwarnings("ignore")


def _base() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(STARTER), dtype=torch.float32)


def test_a_copy_of_the_starter_in_4_bits_still_answers(environment: Callable[[str], Status], tmp_path: Path) -> None:
    environment("lmdeploy")
    before = contents(STARTER)
    result = run(tmp_path / "job", model=str(STARTER), method="awq", group_size=128, samples=32, sample_tokens=128)
    assert result["ok"], result
    assert contents(STARTER) == before
    copy = tmp_path / "job" / "quantized"
    found = catalog.card(copy, "copy")
    assert (found.quantization, found.quantization_group_size, found.problem) == ("awq 4 bit", 128, None)
    assert result["bytes_after"] < 0.5 * result["bytes_before"]
    assert result["divergence"] < 0.6, "on text unlike what it learned from; plain rounding comes to 0.25, GPTQ to 0.14"
    assert not list(copy.glob("*.pth"))
    from transformers import AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(str(copy)), dequantize.load(copy, torch.float32)
    for layer, rounded in zip(_base().model.layers, model.model.layers, strict=True):
        # AWQ moves a scale of each channel from the norm into the matrices behind it; with it they are the base's, rounded.
        for norm, matrix in (("input_layernorm", "self_attn.q_proj"), ("post_attention_layernorm", "mlp.gate_proj")):
            moved = (layer.get_submodule(norm).weight / rounded.get_submodule(norm).weight).detach()
            whole, found = (
                layer.get_submodule(matrix).weight.detach() * moved,
                rounded.get_submodule(matrix).weight.detach(),
            )
            assert (found - whole).norm() / whole.norm() < 0.15, matrix
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**asked, max_new_tokens=24, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(made, skip_special_tokens=True)
