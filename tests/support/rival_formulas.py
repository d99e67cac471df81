"""What others' published formulas say for the same plan: accelerate's, LLaMA-Factory's and Unsloth's. MiB, None: says nothing.

Each is written anew from what its project documents (named beside it), and test_memory_accuracy.py holds each against an
example printed there. Where a formula leaves something open it gets the reading that favours it.
"""

from __future__ import annotations

from typing import Any

from tests.support.published import Row, configs

MIB, GIB = 1 << 20, 1 << 30


def accelerate_loaded(fp32: float, dtype: str) -> float:
    """``Total Size`` of ``accelerate estimate-memory``: every number at the width of ``dtype``, input table and head as well.

    Source: huggingface/accelerate, src/accelerate/commands/estimate.py (gather_data) and
    docs/source/usage_guides/model_size_estimator.md. ``fp32``: size in 32 bits, in any unit.
    """
    return fp32 / {"float32": 1, "float16": 2, "int8": 4, "int4": 8}[dtype]


def accelerate_training(fp32: float, dtype: str) -> float:
    """``Training using Adam`` there: the largest of model, gradients, optimizer and step, at batch 1. 32 bits: four times the
    model. 16 bits: twice its size in 32 bits, which is four times that in 16. It knows no adapters."""
    parts = {"float32": (1.0, 1.0, 2.0, 4.0), "float16": (1.0, 1.5, 2.0, 2.0)}[dtype]
    return fp32 * max(parts)


SIZES = (7, 14, 30, 70)
HARDWARE = {
    "full-mixed": (120, 240, 600, 1200),
    "full-bf16": (60, 120, 300, 600),
    "lora": (16, 32, 64, 160),
    "qlora-8": (10, 20, 40, 80),
    "qlora-4": (6, 12, 24, 48),
}
"""GB by method and billions of numbers. Source: hiyouga/LLaMA-Factory, README.md, "Hardware Requirement" (estimated)."""


def llama_factory(billions: float, method: str) -> float:
    """GB that LLaMA-Factory's table names: between its columns in proportion, outside them in the proportion of the nearest."""
    named = HARDWARE[method]
    if billions <= SIZES[0]:
        return named[0] * billions / SIZES[0]
    for small, large, low, high in zip(SIZES, SIZES[1:], named, named[1:], strict=False):
        if billions <= large:
            return low + (high - low) * (billions - small) / (large - small)
    return named[-1] * billions / SIZES[-1]


UNSLOTH_STATES = {"adamw": 6, "adamw_8bit": 4, "paged_adamw_8bit": 4, "paged_adamw_32bit": 8, "sgd": 4}
"""Bytes of optimizer states for each number that is trained (``adamw`` is adamw_torch there)."""
NF4_SHRINKS, DOUBLE_SHRINKS = 3.2, 3.6
CUDA = 1.4 * GIB
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def unsloth_shapes(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Rows and columns of the seven matrices of a layer."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    query, key = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    return {
        "q_proj": (width, query),
        "k_proj": (width, key),
        "v_proj": (width, key),
        "o_proj": (query, width),
        "gate_proj": (width, inner),
        "up_proj": (width, inner),
        "down_proj": (inner, width),
    }


def unsloth_training(
    config: dict[str, Any],
    *,
    method: str,
    batch: int,
    seq: int,
    rank: int = 16,
    targets: tuple[str, ...] = ALL,
    optimizer: str = "adamw",
    checkpointing: bool = True,
    attention: str = "flash",
    double_quant: bool = False,
) -> float:
    """Bytes by Unsloth Studio's estimate of a training.

    Source: unslothai/unsloth, studio/backend/utils/hardware/VRAM_ESTIMATION.md: weights + LoRA + optimizer + gradients +
    activations + 1.4 GB. Checkpointing is taken as its "true (HF)": two layers alive in a full fine-tune, one with LoRA.
    """
    width, layers, vocab = config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]
    shapes = unsloth_shapes(config)
    linear = layers * sum(rows * columns for rows, columns in shapes.values())
    plain = 2 * width * layers + vocab * width * (1 if config.get("tie_word_embeddings") else 2)
    shrinks = DOUBLE_SHRINKS if double_quant else NF4_SHRINKS
    weights = linear * 2 / (shrinks if method == "qlora" else 1) + plain * 2
    chosen = ALL if "all-linear" in targets else targets
    lora = 0 if method == "full" else layers * rank * sum(sum(shapes[name]) for name in chosen)
    trained = linear + plain if method == "full" else lora
    states = trained * UNSLOTH_STATES[optimizer]
    activations = _unsloth_activations(config, shapes, method, batch * seq, batch * seq * seq, checkpointing, attention)
    floor = 0.15 * weights if method == "full" else min(0.15 * weights, max(activations, states))
    return weights + 2 * lora + states + max(2 * trained, floor) + activations + CUDA


def _unsloth_activations(
    config: dict[str, Any],
    shapes: dict[str, tuple[int, int]],
    method: str,
    tokens: int,
    pairs: int,
    checkpointing: bool,
    attention: str,
) -> float:
    alive = (2.0 if method == "full" else 1.0) if checkpointing else config["num_hidden_layers"]
    read = shapes["q_proj"][1] + 2 * shapes["k_proj"][1]
    found = alive * tokens * (read + 2 + 2 * config["intermediate_size"]) * 2 * 1.25
    if attention != "eager":
        return found
    return max(found, config["num_attention_heads"] * pairs * 2 * 12.0 * alive)


def unsloth_inference(fp16: float, four_bits: bool) -> float:
    """Bytes that Unsloth Studio wants before it loads a model to answer; ``fp16``: its size in 16 bits. It knows no 8 bits.

    Source: unslothai/unsloth, studio/backend/utils/hardware/hardware.py, estimate_required_model_memory_gb: 1.3 times the
    size, or in 4 bits that size and the larger of 30 % and 2 GB more.
    """
    if not four_bits:
        return 1.3 * fp16
    small = fp16 / NF4_SHRINKS
    return small + max(0.3 * small, 2 * GIB)


RIVALS = ("accelerate", "LLaMA-Factory", "Unsloth")


def rivals(row: Row) -> dict[str, float | None]:
    """MiB that each of :data:`RIVALS` says for ``row`` on one GPU."""
    numbers = row.facts.params.total
    gpus = row.number("gpus", 1)
    if row.group == "serving":
        four = row.weights.endswith("int4")
        dtype = "int4" if four else "int8" if row.weights.endswith("int8") else "float16"
        said = {
            "accelerate": accelerate_loaded(4 * numbers, dtype),
            "LLaMA-Factory": None,
            "Unsloth": None if dtype == "int8" else unsloth_inference(2 * numbers, four),
        }
        return {name: None if value is None else value / MIB for name, value in said.items()}
    # accelerate has no training with frozen weights: what it says of them is their size when loaded.
    loaded = accelerate_loaded(4 * numbers, "int4" if row.method == "qlora" else "float16")
    whole = {"full": f"full-{row.precision}", "lora": "lora", "qlora": "qlora-4"}[row.method]
    config = configs()[row.model]
    # QWen's own number counts gate and up together; the facts have one of them.
    shape = {**config.get("text_config", config), "intermediate_size": row.facts.intermediate}
    return {
        "accelerate": (accelerate_training(4 * numbers, "float16") if row.method == "full" else loaded) / gpus / MIB,
        "LLaMA-Factory": llama_factory(numbers / 1e9, whole) * 1e9 / gpus / MIB,
        "Unsloth": unsloth_training(
            shape,
            method=row.method,
            batch=row.number("batch"),
            seq=row.number("seq"),
            rank=row.number("rank", 16),
            targets=tuple(row.targets.split()) or ALL,
            optimizer=row.optimizer,
            checkpointing=row.checkpointing == "yes",
            attention=row.attention,
            double_quant=row.weights == "nf4-dq",
        )
        / gpus
        / MIB,
    }
