"""How AWQ and SmoothQuant of LMDeploy store a weight, and the weight that it stands for.

AWQ ("gemm"): eight numbers of 4 bits in an int32, columns in the order 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits on
(``WeightOnlyQLinear.from_linear``, lmdeploy/lite/quantization/modules/linear.py); input by output, a scale and a zero point for each
group of inputs and each output. SmoothQuant: int8, output by input, one scale for each output (``QLinear``,
lmdeploy/pytorch/models/q_modules.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
BITS = 4
AWQ_PARTS = (".qweight", ".qzeros", ".scales")


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """The numbers, 0 to 15, in ``packed`` (int32, rows x columns / 8): int32, rows x columns."""
    shifts = torch.arange(0, 32, BITS, dtype=torch.int32)
    numbers = (packed.unsqueeze(-1) >> shifts) & 0xF
    return numbers[..., torch.tensor(ORDER).argsort()].flatten(1)


def awq_weight(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The weight (float32, output by input) of ``qweight``, ``qzeros`` and ``scales``."""
    numbers, scales = unpack(parts["qweight"]), parts["scales"].float()
    zeros = unpack(parts["qzeros"])
    group = numbers.shape[0] // scales.shape[0]
    centred = (numbers.unflatten(0, (-1, group)) - zeros.unsqueeze(1)).float()
    return (centred * scales.unsqueeze(1)).flatten(0, 1).T.contiguous()


def awq_weights(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All tensors of a model, those that AWQ has packed as the weights that they stand for."""
    found = {name: value for name, value in stored.items() if not name.endswith(AWQ_PARTS)}
    for name in stored:
        if name.endswith(".qweight"):
            place = name.removesuffix(".qweight")
            found[f"{place}.weight"] = awq_weight({part[1:]: stored[f"{place}{part}"] for part in AWQ_PARTS})
    return found


def smooth_weights(stored: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """All tensors of a model, those of SmoothQuant as the weights that they stand for; and the names of the matrices whose
    inputs are rounded as they come."""
    found: dict[str, torch.Tensor] = {}
    rounding: list[str] = []
    for name, value in stored.items():
        place = name.removesuffix(".weight")
        scale = stored.get(f"{place}.scale")
        if name.endswith(".weight") and scale is not None:
            found[name] = value.float() * scale.float().reshape(-1, 1)
            rounding.append(place)
        elif not (name.endswith(".scale") and f"{name.removesuffix('.scale')}.weight" in stored):
            found[name] = value
    return found, rounding


def round_inputs(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A hook before the forward pass: each token in int8 with a scale of its own, as SmoothQuant's kernel takes it."""
    first = inputs[0]
    scale = first.abs().amax(-1, keepdim=True).clamp_min(1e-7) / 127
    return ((first / scale).round().clamp(-128, 127) * scale, *inputs[1:])
