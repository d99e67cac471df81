"""Quantized weights as plain ones: exactly the numbers that were packed, by the layouts' own words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import ModelError
from jobs.quantizing import dequantize, packing
from tests.support.quantize_jobs import TINY, contents

GROUP = 32
Packer = Callable[[str, torch.Tensor], tuple[dict[str, torch.Tensor], torch.Tensor]]


def folder_of(folder: Path, settings: dict[str, Any], pack: Packer) -> dict[str, torch.Tensor]:
    """The tiny model in ``folder``, every matrix of its layers packed by ``pack`` (name, weight -> tensors, what they stand for);
    returns all weights as they should come out."""
    shutil.copytree(TINY, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    stored: dict[str, torch.Tensor] = {}
    expected: dict[str, torch.Tensor] = {}
    for name, weight in load_file(TINY / "model.safetensors").items():
        if "proj" in name:
            packed, expected[name] = pack(name.removesuffix(".weight"), weight.float())
            stored |= packed
        else:
            stored[name] = expected[name] = weight
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    return expected


def by_hand(columns: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Eight neighbours in an int32, the one at ``order[i]`` in bits 4i to 4i + 3: slowly, with whole numbers of Python."""
    rows = []
    for row in columns.tolist():
        words = []
        for begin in range(0, len(row), 8):
            word = sum(int(row[begin + place]) << (4 * at) for at, place in enumerate(order))
            words.append(word - (1 << 32) if word >= 1 << 31 else word)
        rows.append(words)
    return torch.tensor(rows, dtype=torch.int32)


def awq(name: str, weight: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    grouped = weight.T.unflatten(0, (-1, GROUP))  # groups x 32 x outputs
    low, high = grouped.amin(1, keepdim=True), grouped.amax(1, keepdim=True)
    scale = ((high - low) / 15).clamp_min(1e-5).half()
    zero = (-low / scale.float()).round().clamp(0, 15)
    numbers = ((grouped / scale.float()).round() + zero).clamp(0, 15)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    packed = {
        f"{name}.qweight": by_hand(numbers.flatten(0, 1), order),
        f"{name}.qzeros": by_hand(zero.squeeze(1), order),
        f"{name}.scales": scale.squeeze(1).contiguous(),
    }
    return packed, ((numbers - zero) * scale.float()).flatten(0, 1).T


def compressed(name: str, weight: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    grouped = weight.unflatten(1, (-1, GROUP))
    scale = (grouped.abs().amax(-1, keepdim=True) / 7.5).clamp_min(1e-5).half()
    numbers = (grouped / scale.float()).round().clamp(-8, 7)
    packed = {
        f"{name}.weight_packed": by_hand(numbers.flatten(1) + 8, tuple(range(8))),
        f"{name}.weight_scale": scale.squeeze(-1).contiguous(),
        f"{name}.weight_shape": torch.tensor(weight.shape),
    }
    return packed, (numbers * scale.float()).flatten(1)


def smooth(name: str, weight: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    scale = weight.abs().amax(1, keepdim=True) / 127
    numbers = (weight / scale).round()
    return {f"{name}.weight": numbers.to(torch.int8), f"{name}.scale": scale}, numbers * scale


AWQ = {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": GROUP, "zero_point": True}
SMOOTH = {"quant_method": "smooth_quant", "quant_dtype": "int8"}
WEIGHTS = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP}
COMPRESSED = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {"group_0": {"targets": ["Linear"], "weights": WEIGHTS}},
}


@pytest.mark.parametrize(
    ("settings", "pack"), [(AWQ, awq), (COMPRESSED, compressed), (SMOOTH, smooth)], ids=["awq", "ct", "smooth"]
)
def test_every_weight_comes_out_as_the_number_that_was_packed(
    tmp_path: Path, settings: dict[str, Any], pack: Packer
) -> None:
    expected = folder_of(tmp_path / "m", settings, pack)
    before = contents(tmp_path / "m")
    model = dequantize.load(tmp_path / "m", torch.float32)
    found = model.state_dict()
    for name, weight in expected.items():
        assert torch.equal(found[name], weight.float()), name
    assert model.generation_config.eos_token_id == [1534, 1529]
    assert not model.training
    # It answers like the model that it was packed from, but for the rounding; SmoothQuant rounds what goes in, too.
    plain = dequantize.load(TINY, torch.float32)
    ids = torch.arange(5, 45)[None]
    with torch.inference_mode():
        one, other = (each(ids).logits.log_softmax(-1) for each in (plain, model))
        copied = dequantize.load(TINY, torch.float32)
        copied.load_state_dict({name: weight.float() for name, weight in expected.items()}, strict=False)
        same = copied(ids).logits.log_softmax(-1)
    assert 0 < float((one.exp() * (one - other)).sum(-1).mean()) < 0.1
    assert torch.allclose(other, same, atol=1e-4) is (pack is not smooth)
    assert contents(tmp_path / "m") == before


def test_numbers_are_unpacked_in_the_order_of_the_kernels() -> None:
    numbers = torch.arange(16).repeat(2)[None, :16]
    packed = by_hand(numbers, (0, 2, 4, 6, 1, 3, 5, 7))
    assert packed[0, 0].item() & 0xFF == 0x20  # from the lowest bits on: 0, then 2
    assert torch.equal(packing.unpack(packed), numbers.to(torch.int32))


def test_what_only_its_own_engine_reads_is_refused(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "m")
    config = json.loads((TINY / "config.json").read_text())
    for settings in ({"quant_method": "gptq", "bits": 4}, {**AWQ, "zero_point": False}):
        (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
        with pytest.raises(ModelError, match=r"can only be read by the engine that serves them") as caught:
            dequantize.load(tmp_path / "m")
        assert caught.value.code == "dequantize_unknown"
