"""Weight quantization as 4-bit and 8-bit engines do it, simulated: what it costs in quality, without their kernels.

Each linear of the layers is rounded to the nearest of ``2 ** bits`` levels per group of 128 weights along the input
dimension, with a scale in float16 and an integer zero point per group (asymmetric, as in AWQ and GPTQ files). There is no
calibration. Embedding and head stay as they are. The weights are put back as floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from jobs.starter.dialogue import Dialogue

if TYPE_CHECKING:
    from jobs.starter.evaluate import Speaker

BITS = (4, 8)
GROUP = 128
"""Weights that share a scale."""


def rounded(weight: torch.Tensor, bits: int, group: int = GROUP) -> torch.Tensor:
    """``weight`` (out, in) rounded to ``2 ** bits`` levels per ``group`` inputs; same shape and dtype.

    Raises:
        ValueError: ``bits`` is not 4 or 8, or ``group`` does not divide the input dimension.
    """
    if bits not in BITS:
        raise ValueError(f"{bits} bits: only 4 and 8 are known")
    if weight.shape[1] % group:
        raise ValueError(f"groups of {group} do not divide an input dimension of {weight.shape[1]}")
    groups = weight.float().unflatten(1, (-1, group))
    top = 2**bits - 1
    low = groups.amin(2, keepdim=True).clamp(max=0)  # zero is always one of the levels
    high = groups.amax(2, keepdim=True).clamp(min=0)
    scale = ((high - low) / top).half().float().clamp(min=2**-24)  # the least that float16 holds
    zero = (-low / scale).round().clamp(0, top)
    levels = (groups / scale + zero).round().clamp(0, top)
    return ((levels - zero) * scale).flatten(1).to(weight.dtype)


@torch.no_grad()
def quantize(model: nn.Module, bits: int, group: int = GROUP) -> None:
    """Round the weights of all linears of ``model`` in place, all but its head's.

    Raises:
        ValueError: as :func:`rounded`; the model is then unchanged.
    """
    linears = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and not name.endswith("lm_head")]
    for linear, weight in [(m, rounded(m.weight, bits, group)) for m in linears]:
        linear.weight.copy_(weight)


@dataclass(frozen=True)
class Difference:
    """How far a quantized model is from the one it was made of, over the tokens of expected answers.

    perplexity, reference_perplexity: of the answers, under either model. divergence: mean Kullback-Leibler divergence of
    the next token's distribution from the reference's, in nats. agreement: share of tokens at which both models find the
    same one likeliest.
    """

    tokens: int
    reference_perplexity: float
    perplexity: float
    divergence: float
    agreement: float


def compare(reference: Speaker, other: Speaker, asked: Sequence[Dialogue]) -> Difference:
    """``other`` against ``reference`` on the expected answers of ``asked``, each token after the right ones before it."""
    tokens, loss, loss_other, divergence, same = 0, 0.0, 0.0, 0.0, 0
    for (known, expected), (found, _) in zip(reference.expectations(asked), other.expectations(asked), strict=True):
        tokens += len(expected)
        loss -= float(known.gather(1, expected[:, None]).sum())
        loss_other -= float(found.gather(1, expected[:, None]).sum())
        divergence += float((known.exp() * (known - found)).sum())
        same += int((known.argmax(1) == found.argmax(1)).sum())
    return Difference(
        tokens, math.exp(loss / tokens), math.exp(loss_other / tokens), divergence / tokens, same / tokens
    )
