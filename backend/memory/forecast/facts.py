"""What the forecast has to know of a model: numbers of its config and the sizes of its tensors by what they are for.

From a folder (``config.json`` and the headers of its safetensors files; the weights are never read), a catalog card, or a
config alone, from which the sizes then follow. ``Any`` of these takes milliseconds; the forecast itself then takes none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard
from backend.catalog.config import context_length, language_part
from backend.catalog.files import config_bad, read_object
from backend.catalog.joining import base_missing
from backend.catalog.no_model import check_folder, no_config
from backend.catalog.quantization import Quantization, number, read_quantization
from backend.catalog.weights import DTYPE_NAMES, read_headers, read_weights
from backend.memory.forecast.shapes import PARTS, Linear, Sorted, first, kv_heads, made_up, sort, tied

STORED_AS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
KEPT = 64


@dataclass(frozen=True)
class Sizes:
    """One number for each part of a model: its input table, its head (0 where the two are one), the matrices of its layers,
    the rest of its language part, the part that sees, and what joins the two."""

    embed: int = 0
    head: int = 0
    linear: int = 0
    other: int = 0
    vision: int = 0
    projector: int = 0

    @property
    def language(self) -> int:
        return self.embed + self.head + self.linear + self.other

    @property
    def total(self) -> int:
        return self.language + self.vision + self.projector


@dataclass(frozen=True)
class Eyes:
    """The part that sees: a ViT. tokens: of one picture, as the language part gets them."""

    layers: int
    hidden: int
    intermediate: int
    tokens: int


@dataclass(frozen=True)
class ModelFacts:
    """params: numbers, counted unpacked. stored: bytes in the files; scales: those of ``linear`` that are scales and zero
    points. dtype: of what is not packed. method, bits: of the quantization; empty and 0 for none. kv_values: numbers that one
    token keeps in every layer; attention_layers: those that keep any. intermediate: width of the feed-forward part that works
    on a token, all chosen experts together. adapter: bytes of a LoRA on top. narrow_logits: the model's own code does not
    widen its logits before the loss. spare_head: bytes of a head in the files although the input table serves as one; it is
    there while the model is loaded.
    """

    name: str
    layers: int
    attention_layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    kv_values: int
    params: Sizes
    stored: Sizes
    linears: tuple[Linear, ...]
    dtype: str
    tied: bool = False
    scales: int = 0
    method: str = ""
    bits: int = 0
    context_length: int | None = None
    eyes: Eyes | None = None
    adapter: int = 0
    narrow_logits: bool = False
    spare_head: int = 0

    @property
    def largest_matrix(self) -> int:
        """Numbers in the largest matrix of a layer."""
        return max((one.inputs * one.outputs for one in self.linears), default=0)


def from_folder(path: Path | str) -> ModelFacts:
    """The facts of the model in ``path``. Read once for each state of its files.

    Raises:
        ModelError: no model, or one whose files are missing, cut off or unreadable; ``model_config_bad`` where its config does
            not say how many layers and how wide.
    """
    folder = Path(path).expanduser().absolute()
    check_folder(folder)
    if not (folder / "config.json").is_file():
        raise no_config(folder)
    with os.scandir(folder) as files:
        found = [one for one in files if one.name.endswith((".safetensors", ".json"))]
        state = tuple(sorted((one.name, one.stat().st_mtime_ns, one.stat().st_size) for one in found if one.is_file()))
    return _read(folder, state)


def from_card(card: ModelCard) -> ModelFacts:
    """The facts of a model on the list; an adapter counts with its base.

    Raises:
        ModelError: what is wrong with the card, or as :func:`from_folder`.
    """
    for one in (card, card.base):
        if one is not None and one.problem is not None:
            raise one.problem
    if card.adapter_of and card.base is None:
        raise card.unfit or base_missing(card)
    base = card.base or card
    facts = from_folder(base.path)
    return replace(facts, name=card.name, adapter=card.tensor_bytes if card.base is not None else 0)


def from_config(config: dict[str, Any], name: str = "", dtype: str = "") -> ModelFacts:
    """The facts of a model of this config, its numbers stored as ``dtype`` (without: as the config says). Where it has a
    ``quantization_config`` of 4 or 8 bits, the matrices of its layers are packed like that.

    Raises:
        ModelError: as :func:`from_folder`.
    """
    inner = language_part(config)
    said = dtype or str(config.get("dtype") or config.get("torch_dtype") or inner.get("torch_dtype") or "float16")
    _shape(config, Path(name or "config.json"))
    sorted_ = sort(made_up(config, STORED_AS.get(said, "F16")), inner, 0)
    quantization = read_quantization(Path("/nowhere"), config)
    found = _facts(config, sorted_, quantization, name, Path(name or "config.json"))
    if not quantization.method or quantization.bits not in (4, 8):
        return found
    values, bits = found.params.linear, quantization.bits
    group = quantization.group_size or (64 if quantization.method == "bitsandbytes" else 128)
    scales = values * ((4 if quantization.method == "bitsandbytes" else 2 + bits / 8) / group)
    # AutoAWQ writes a head even where there is none of its own.
    spare = 2 * found.params.embed if found.tied and quantization.method == "awq" else 0
    stored = replace(found.stored, linear=int(values * bits / 8 + scales))
    return replace(found, stored=stored, scales=int(scales), spare_head=spare)


@lru_cache(maxsize=KEPT)
def _read(folder: Path, _state: tuple[tuple[str, int, int], ...]) -> ModelFacts:
    config = read_object(folder / "config.json")
    _shape(config, folder / "config.json")
    quantization = read_quantization(folder, config)
    read_weights(folder, quantization)  # raises what is wrong with the files, an index that promises too much included
    tensors = (
        (name, (entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0]))
        for name, entry in read_headers(folder).items()
    )
    found = sort(tensors, language_part(config), quantization.bits)
    return _facts(config, found, quantization, folder.name, folder / "config.json")


def _shape(config: dict[str, Any], file: Path) -> tuple[int, int, int]:
    """(layers, width, heads).

    Raises:
        ModelError: ``model_config_bad``, naming what is missing.
    """
    inner = language_part(config)
    layers = first(inner, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    width = first(inner, "hidden_size", "n_embd", "d_model")
    heads = first(inner, "num_attention_heads", "n_head", "n_heads")
    if layers and width and heads:
        return layers, width, heads
    missing = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    raise config_bad(file, next(name for name, value in missing.items() if not value))


def _facts(config: dict[str, Any], found: Sorted, quantization: Quantization, name: str, file: Path) -> ModelFacts:
    inner = language_part(config)
    layers, width, heads = _shape(config, file)
    size = number(inner.get("head_dim")) or number(inner.get("kv_channels")) or max(1, width // heads)
    groups = kv_heads(inner)
    # MLA (DeepSeek-V2, arXiv 2405.04434) keeps one compressed vector and one rotated key for all heads.
    lora = number(inner.get("kv_lora_rank"))
    values = lora + (number(inner.get("qk_rope_head_dim")) or 0) if lora else 2 * groups * size
    kinds = inner.get("layer_types")
    attending = sum("attention" in str(kind) for kind in kinds) if isinstance(kinds, list) else 0
    experts = first(inner, "num_local_experts", "num_experts", "n_routed_experts")
    chosen = number(inner.get("num_experts_per_tok")) or 1
    spare = 0
    if found.params["head"] and tied(config):
        spare, found.stored["head"], found.params["head"] = found.stored["head"], 0, 0
    stored_as = found.floats.most_common(1)[0][0] if found.floats else "F16"
    return ModelFacts(
        name=name,
        layers=layers,
        attention_layers=min(attending, layers) or layers,
        hidden=width,
        intermediate=_inside(inner, width, experts, chosen),
        heads=heads,
        kv_heads=groups,
        head_size=size,
        vocab=first(inner, "vocab_size", "padded_vocab_size") or number(config.get("vocab_size")) or 0,
        kv_values=values,
        params=Sizes(**{part: found.params[part] for part in PARTS}),
        stored=Sizes(**{part: found.stored[part] for part in PARTS}),
        linears=found.linears,
        dtype=DTYPE_NAMES[stored_as],
        tied=not found.params["head"],
        scales=found.scales,
        method=quantization.method,
        bits=quantization.bits,
        context_length=context_length(inner),
        eyes=_eyes(config),
        narrow_logits=inner.get("model_type") == "qwen",
        spare_head=spare,
    )


def _inside(inner: dict[str, Any], width: int, experts: int | None, chosen: int) -> int:
    """Width of the feed-forward part as one token sees it."""
    dense = first(inner, "intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim") or 4 * width
    if inner.get("model_type") == "qwen":
        dense //= 2  # the first Qwen counts gate and up together
    return chosen * (number(inner.get("moe_intermediate_size")) or dense) if experts else dense


def _eyes(config: dict[str, Any]) -> Eyes | None:
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return None
    width = first(vision, "hidden_size", "embed_dim") or 1024
    side = (first(vision, "image_size") or 336) // (first(vision, "patch_size") or 14)
    return Eyes(
        layers=first(vision, "num_hidden_layers", "depth") or 24,
        hidden=width,
        intermediate=first(vision, "intermediate_size") or 4 * width,
        tokens=side * side,
    )
