"""Folders and configs of well-known models for the forecast: public shapes, weights that are holes in sparse files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.catalog.weights import INDEX
from tests.support.models import weights, write

LLAMA3_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
"""meta-llama/Meta-Llama-3-8B-Instruct, config.json."""
INTERNLM2_1_8B: dict[str, Any] = {
    "model_type": "internlm2",
    "vocab_size": 92544,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
"""internlm/internlm2-chat-1_8b, config.json."""
LLAVA_LLAMA3: dict[str, Any] = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "text_config": LLAMA3_8B,
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 336,
        "patch_size": 14,
    },
    "torch_dtype": "float16",
    "tie_word_embeddings": False,
}
"""xtuner/llava-llama-3-8b-v1_1-hf, config.json."""
PARTS = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (4096, 1024),
    "self_attn.v_proj": (4096, 1024),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (4096, 14336),
    "mlp.up_proj": (4096, 14336),
    "mlp.down_proj": (14336, 4096),
}
"""Inputs and outputs of the matrices in one of its layers."""
Tensors = dict[str, tuple[str, list[int]]]


def llama3(path: Path, packed: str = "", shards: int = 0, **config: Any) -> Path:
    """Llama 3 8B with real headers. packed: ``awq``, ``gptq`` or ``nf4``; ``config`` changes config.json."""
    path.mkdir(parents=True)
    settings: dict[str, Any] = {
        "": {},
        "awq": {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}},
        "gptq": {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}},
        "nf4": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    }[packed]
    write(path / "config.json", {**LLAMA3_8B, **settings, **config})
    ends = "F16" if packed else "BF16"
    found: Tensors = {
        "model.embed_tokens.weight": (ends, [128256, 4096]),
        "lm_head.weight": (ends, [128256, 4096]),
        "model.norm.weight": (ends, [4096]),
    }
    for layer in range(32):
        top = f"model.layers.{layer}."
        found[f"{top}input_layernorm.weight"] = found[f"{top}post_attention_layernorm.weight"] = (ends, [4096])
        for name, (inputs, outputs) in PARTS.items():
            found |= {f"{top}{name}.{end}": value for end, value in _matrix(packed, inputs, outputs).items()}
    if not shards:
        weights(path / "model.safetensors", found)
        return path
    names, weight_map = list(found), {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        weights(path / file, {name: found[name] for name in names[number::shards]})
        weight_map |= dict.fromkeys(names[number::shards], file)
    write(path / INDEX, {"metadata": {}, "weight_map": weight_map})
    return path


def _matrix(packed: str, inputs: int, outputs: int) -> Tensors:
    groups = inputs // 128
    if packed == "awq":
        zeros, scales = ("I32", [groups, outputs // 8]), ("F16", [groups, outputs])
        return {"qweight": ("I32", [inputs, outputs // 8]), "qzeros": zeros, "scales": scales}
    if packed == "gptq":
        zeros, scales = ("I32", [groups, outputs // 8]), ("F16", [groups, outputs])
        return {
            "qweight": ("I32", [inputs // 8, outputs]),
            "qzeros": zeros,
            "scales": scales,
            "g_idx": ("I32", [inputs]),
        }
    if packed == "nf4":
        blocks = inputs * outputs // 64
        return {
            "weight": ("U8", [inputs * outputs // 2, 1]),
            "weight.absmax": ("U8", [blocks]),
            "weight.nested_absmax": ("F32", [blocks // 256]),
            "weight.quant_map": ("F32", [16]),
            "weight.nested_quant_map": ("F32", [256]),
            "weight.quant_state.bitsandbytes__nf4": ("U8", [160]),
        }
    return {"weight": ("BF16", [outputs, inputs])}
