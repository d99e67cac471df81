"""How much memory a model's weights take, as plain arithmetic over what its headers say."""

from __future__ import annotations

from dataclasses import dataclass

from backend.catalog.cards import ModelCard

BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "float8": 8, "int8": 8, "int4": 4}


@dataclass(frozen=True)
class WeightsBytes:
    """bytes: in memory. estimated: False where the headers say it, True where it is parameters x bits: then scales and
    zero points of quantized weights, and layers that stay unquantized, are not in it."""

    bytes: int
    estimated: bool


def weights_bytes(card: ModelCard, dtype: str = "") -> WeightsBytes | None:
    """Memory for the weights of ``card``: as they are stored, or converted to ``dtype`` (a key of ``BITS``).

    Not in it: KV cache (``card.kv_bytes_per_token``), activations, the libraries. None where the card does not say.

    Raises:
        KeyError: an unknown ``dtype``.
    """
    if not dtype or (dtype == card.dtype and not card.quantization):
        return WeightsBytes(card.tensor_bytes, False) if card.tensor_bytes else None
    bits = BITS[dtype]
    return WeightsBytes(card.parameters * bits // 8, True) if card.parameters else None
