"""How large a copy gets: plain arithmetic over the matrices of a model, as each format stores them.

compressed-tensors 0.19 (``compressors/quantized_compressors``): 4 bits packed along the inputs into numbers of 32 bits, a scale in the
weights' own precision for each group, packed zero points where it is not symmetric; 8 bits as one byte each and a scale a row. LMDeploy
0.18 (``lite/quantization/modules/linear.py``): 4 bits packed along the outputs, scales in 16 bits, packed zero points. Only matrices
of the layers are quantized: input table and head stay as they are, and LMDeploy keeps those in 16 bits that were in 32.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.memory.forecast import ModelFacts
from backend.memory.forecast.shapes import Linear
from backend.quantize.methods import Kind
from backend.specs.quantize import QuantizeSpec

WIDE = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
HEADER = 130
"""Bytes that the file's header has for each tensor, name included."""
EXACT, LOOSE = 0.02, 0.15
"""Band around it; the wide one where experts of a layer lie in one tensor, which each version stores otherwise."""


@dataclass(frozen=True)
class Size:
    """Bytes: likely, and the band around it."""

    low: int
    likely: int
    high: int


def after(known: ModelFacts, kind: Kind, spec: QuantizeSpec) -> Size:
    """Bytes of the weight files of such a copy."""
    narrow = kind.engine == "lmdeploy"  # it computes and saves in 16 bits
    wide = min(2, WIDE[known.dtype]) if narrow else WIDE[known.dtype]
    rest = known.stored.total - known.stored.linear
    if narrow and WIDE[known.dtype] > 2:
        rest = rest * 2 // WIDE[known.dtype]
    packed = sum(one.count * _matrix(one, kind, spec, wide) for one in known.linears)
    likely = rest + packed
    band = LOOSE if any(one.expert for one in known.linears) else EXACT
    return Size(int(likely * (1 - band)), likely, int(likely * (1 + band)))


def _matrix(one: Linear, kind: Kind, spec: QuantizeSpec, wide: int) -> int:
    """Bytes of one matrix and of what describes it."""
    inputs, outputs = one.inputs, one.outputs
    if kind.bits == 8:
        return inputs * outputs + outputs * (4 if kind.engine == "lmdeploy" else wide) + 2 * HEADER
    groups = -(-inputs // spec.group_size) if spec.group_size else 1
    if kind.method == "awq":
        return inputs * outputs // 2 + groups * outputs * 2 + groups * outputs // 2 + 3 * HEADER
    size = outputs * -(-inputs // 8) * 4 + outputs * groups * wide + 16 + 3 * HEADER
    return size if spec.symmetric else size + -(-outputs // 8) * 4 * groups + HEADER
