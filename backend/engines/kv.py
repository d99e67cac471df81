"""The KV cache in bytes: how much a token of a running conversation takes, and how many fit into a number of GiB.

Formula: layers x KV heads x head size x 2 (keys and values) x bytes of a number. LMDeploy stores it in 16 bits whatever
the weights are; quantized (``quant_policy`` 8 or 4) each head of each token also keeps a scale and a zero point in 16 bits
(lmdeploy/pytorch/engine/cache_engine/schema.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.catalog.cards import ModelCard
from backend.catalog.config import language_part
from backend.catalog.files import read_optional
from backend.catalog.quantization import number

GIB = 1 << 30
SCALE_BYTES = 4


@dataclass(frozen=True)
class KvShape:
    """What one token keeps in every layer."""

    layers: int
    kv_heads: int
    head_size: int

    def token_bytes(self, quant_policy: int = 0, tp: int = 1) -> int:
        """Bytes of one token on each of ``tp`` GPUs. ``quant_policy``: bits of a number, 0 for the usual 16."""
        heads = -(-self.kv_heads // tp)  # fewer KV heads than GPUs: each keeps a copy
        head = self.head_size * (quant_policy or 16) // 8 + (SCALE_BYTES if quant_policy else 0)
        return self.layers * heads * head * 2


def shape(card: ModelCard) -> KvShape | None:
    """None where ``config.json`` does not say, or where the model compresses its cache (MLA), which this formula is not for."""
    inner: dict[str, Any] = language_part(read_optional(card.path / "config.json"))
    layers, heads = number(inner.get("num_hidden_layers")), number(inner.get("num_attention_heads"))
    hidden = number(inner.get("hidden_size"))
    if not (layers and heads and hidden) or inner.get("kv_lora_rank"):
        return None
    return KvShape(
        layers, number(inner.get("num_key_value_heads")) or heads, number(inner.get("head_dim")) or hidden // heads
    )


def blocks(shape: KvShape, gib: float, block_tokens: int, quant_policy: int = 0, tp: int = 1) -> int:
    """How many blocks of ``block_tokens`` tokens fit into ``gib`` GiB on each GPU."""
    return int(gib * GIB) // (shape.token_bytes(quant_policy, tp) * block_tokens)
