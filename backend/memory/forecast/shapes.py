"""The tensors of a language model sorted by what they are for: the input table, the head, matrices that quantizers pack and
LoRA is put on, the rest, and the part that sees. From the headers of its files, or (where there are none) from its config.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backend.catalog.config import language_part
from backend.catalog.quantization import number
from backend.catalog.weights import DTYPE_BYTES, SIDE_PARTS, SIDE_TENSORS

Tensor = tuple[str, tuple[int, ...], int]
"""A tensor's dtype as safetensors writes it, its shape, its bytes."""
PARTS = ("embed", "head", "linear", "other", "vision", "projector")

_VISION = re.compile(r"(?:^|\.)(?:vision|visual|vit|image_encoder|audio|clip)[a-z_]*\.")
_PROJECTOR = re.compile(r"projector|(?:^|\.)mlp1\.|merger\.")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks?)\.\d+\.")
_EMBED = re.compile(r"(?:embed_tokens|tok_embeddings|wte|word_embeddings|embed_in)\.(?:weight|qweight)$")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output_layer|output)\.(?:weight|qweight)$")
_EXPERT = re.compile(r"\.experts\.")
_ENDS = ("qweight", "weight_packed", "weight")
UNGATED = ("gpt2", "opt", "gpt_neox", "falcon", "bloom", "phi", "gpt_neo", "gptj", "gpt_bigcode", "starcoder2")
"""Kinds of models whose feed-forward part has two matrices and no gate."""
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Linear:
    """``count`` matrices called ``name`` with so many inputs and outputs; expert: only some of them work on a token."""

    name: str
    inputs: int
    outputs: int
    count: int
    expert: bool = False

    @property
    def size(self) -> int:
        return self.inputs * self.outputs * self.count


@dataclass
class Sorted:
    """params: numbers by part, counted unpacked. stored: bytes by part as in the files; scales: those of ``linear`` that are
    scales and zero points. floats: bytes of the unpacked tensors by dtype."""

    params: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    scales: int = 0
    floats: Counter[str] = field(default_factory=Counter)
    linears: tuple[Linear, ...] = ()


def sort(tensors: Iterable[tuple[str, Tensor]], inner: dict[str, Any], bits: int) -> Sorted:
    """The tensors of a model whose language part has the config ``inner`` and whose packed matrices have ``bits``."""
    found, matrices = Sorted(), Counter[tuple[str, int, int, bool]]()
    known = {name: (inputs, outputs) for name, inputs, outputs in projections(inner)}
    for name, (dtype, shape, size) in tensors:
        part = _part(name, shape)
        found.stored[part] += size
        if name.endswith(SIDE_TENSORS) or any(mark in name for mark in SIDE_PARTS):
            found.scales += size if part == "linear" else 0
            continue
        packed = _pack(name, dtype, bits)
        found.params[part] += math.prod(shape) * packed
        if dtype in ("F64", "F32", "F16", "BF16"):
            found.floats[dtype] += size
        if part == "linear":
            short = _short(name)
            inputs, outputs = known.get(short) or _ends(name, shape, packed)
            # All experts of a layer may lie in one tensor.
            experts = shape[0] if len(shape) == 3 else 1
            matrices[short, inputs, outputs, bool(_EXPERT.search(name))] += experts
    found.linears = tuple(
        Linear(short, inputs, outputs, count, expert)
        for (short, inputs, outputs, expert), count in sorted(matrices.items())
    )
    return found


def made_up(config: dict[str, Any], dtype: str) -> list[tuple[str, Tensor]]:
    """The tensors that a model of this config has, under Llama's names, all stored as ``dtype`` (as safetensors writes it).

    Exact for Llama, Mistral, Qwen and their like; for others within a few percent.
    """
    inner = language_part(config)
    width, layers = (
        first(inner, "hidden_size", "n_embd", "d_model") or 0,
        first(inner, "num_hidden_layers", "n_layer") or 0,
    )
    vocab = first(inner, "vocab_size") or number(config.get("vocab_size")) or 0
    found: list[tuple[str, tuple[int, ...]]] = [
        ("model.embed_tokens.weight", (vocab, width)),
        ("model.norm.weight", (width,)),
    ]
    if not tied(config):
        found.append(("lm_head.weight", (vocab, width)))
    biased = ("q_proj", "k_proj", "v_proj") if str(inner.get("model_type")).startswith("qwen2") else ()
    experts = first(inner, "num_local_experts", "num_experts", "n_routed_experts")
    inside = number(inner.get("moe_intermediate_size"))
    for layer in range(layers):
        top = f"model.layers.{layer}."
        found += [(f"{top}input_layernorm.weight", (width,)), (f"{top}post_attention_layernorm.weight", (width,))]
        for name, inputs, outputs in projections(inner):
            if experts and name in FEED_FORWARD:
                one = (width, inside or inputs) if name == "down_proj" else (inside or outputs, width)
                found.append((f"{top}mlp.experts.{name}.weight", (experts, *one)))
                continue
            found.append((f"{top}{name}.weight", (outputs, inputs)))
            if name in biased:
                found.append((f"{top}{name}.bias", (outputs,)))
        if experts:
            found.append((f"{top}mlp.gate.weight", (experts, width)))
    found += _eyes(config, width)
    return [(name, (dtype, shape, math.prod(shape) * DTYPE_BYTES[dtype])) for name, shape in found]


def projections(inner: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(name, inputs, outputs) of the matrices in one layer of a model like Llama; [] where the config does not say."""
    width, heads = (
        first(inner, "hidden_size", "n_embd", "d_model"),
        first(inner, "num_attention_heads", "n_head", "n_heads"),
    )
    if not width or not heads:
        return []
    size = number(inner.get("head_dim")) or width // heads
    kv = kv_heads(inner) * size
    inside = first(inner, "intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim") or 4 * width
    found = [
        ("q_proj", width, heads * size),
        ("k_proj", width, kv),
        ("v_proj", width, kv),
        ("o_proj", heads * size, width),
    ]
    if inner.get("model_type") == "qwen":
        inside //= 2  # the first Qwen counts gate and up together
    if inner.get("model_type") not in UNGATED:
        found.append(("gate_proj", width, inside))
    return [*found, ("up_proj", width, inside), ("down_proj", inside, width)]


def kv_heads(inner: dict[str, Any]) -> int:
    """Heads of keys and values: all of them where the config says nothing else."""
    if inner.get("multi_query"):
        return number(inner.get("num_kv_heads")) or 1
    names = ("num_key_value_heads", "multi_query_group_num", "num_kv_heads", "num_attention_heads", "n_head", "n_heads")
    return first(inner, *names) or 1


def tied(config: dict[str, Any]) -> bool:
    """Whether input table and head are one matrix. transformers' own default for the kinds that do not say is in the list."""
    inner = language_part(config)
    said = config.get("tie_word_embeddings", inner.get("tie_word_embeddings"))
    if isinstance(said, bool):
        return said
    return str(inner.get("model_type")) in (
        "gpt2",
        "gemma",
        "gemma2",
        "gemma3_text",
        "opt",
        "bloom",
        "falcon",
        "gpt_bigcode",
    )


def first(inner: dict[str, Any], *names: str) -> int | None:
    """The first of these settings that is a positive number."""
    return next((value for name in names if (value := number(inner.get(name)))), None)


def _eyes(config: dict[str, Any], width: int) -> list[tuple[str, tuple[int, ...]]]:
    """A ViT and the two matrices behind it, as LLaVA has them."""
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return []
    inside, layers = number(vision.get("hidden_size")) or 1024, number(vision.get("num_hidden_layers")) or 24
    patch = (number(vision.get("patch_size")) or 14) ** 2 * 3 * inside
    each = 4 * inside**2 + 2 * inside * (number(vision.get("intermediate_size")) or 4 * inside)
    return [
        ("vision_tower.weight", (patch + layers * each,)),
        ("multi_modal_projector.linear_1.weight", (width, inside)),
        ("multi_modal_projector.linear_2.weight", (width, width)),
    ]


def _part(name: str, shape: tuple[int, ...]) -> str:
    if _PROJECTOR.search(name):
        return "projector"
    if _VISION.search(name):
        return "vision"
    if _EMBED.search(name):
        return "embed"
    if _LAYER.search(name):
        matrix = len(shape) >= 2 or name.endswith(SIDE_TENSORS) or any(mark in name for mark in SIDE_PARTS)
        return (
            "linear"
            if matrix and "norm" not in name and not re.search(r"\.(?:mlp|block_sparse_moe)\.gate\.", name)
            else "other"
        )
    return "head" if _HEAD.search(name) else "other"


def _pack(name: str, dtype: str, bits: int) -> int:
    """Weights of ``bits`` in each stored number (the same rule as backend/catalog/weights.py)."""
    if bits and dtype == "I32" and name.endswith(("qweight", "weight_packed")):
        return max(32 // bits, 1)
    return (
        8 // bits if bits and bits < 8 and dtype in ("U8", "I8") and name.endswith(("weight", "weight_packed")) else 1
    )


def _short(name: str) -> str:
    parts = [part for part in name.split(".") if part not in _ENDS and not part.isdigit()]
    return parts[-1] if parts else name


def _ends(name: str, shape: tuple[int, ...], packed: int) -> tuple[int, int]:
    """(inputs, outputs) of a matrix: torch keeps them the other way round, GPTQ and AWQ do not."""
    rows, columns = (shape[-2], shape[-1]) if len(shape) >= 2 else (shape[0] if shape else 1, 1)
    if name.endswith("qweight"):
        return rows, columns * packed
    return columns * packed, rows
