"""The models: Llama architecture in three sizes, and what stands beside the weights in a folder that is shipped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from backend.errors import ModelError
from backend.i18n import N_
from jobs.starter import tokenizer as tok

CONTEXT = 4096
"""Longest sequence, in tokens, for which positions are promised; 2,000 characters of anything fit."""


@dataclass(frozen=True)
class Size:
    """Shape of a model. All dimensions are multiples of 128 where weights are quantized in groups of 128."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    vocab: int


SIZES = {
    "tiny": Size(hidden=64, ffn=128, layers=2, heads=2, vocab=1536),
    "starter": Size(hidden=256, ffn=512, layers=8, heads=4, vocab=5120),
    "large": Size(hidden=384, ffn=1024, layers=6, heads=6, vocab=5120),
}
"""name -> shape: 0.2 M, 6.6 M and 12.6 M parameters."""


def config(size: Size, tokenizer: Tokenizer) -> LlamaConfig:
    """The configuration of a model of ``size`` that speaks through ``tokenizer``."""
    return LlamaConfig(
        vocab_size=size.vocab,
        hidden_size=size.hidden,
        intermediate_size=size.ffn,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=CONTEXT,
        rope_theta=10_000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(tok.BOS),
        eos_token_id=_stops(tokenizer),
        pad_token_id=tokenizer.token_to_id(tok.PAD),
    )


def build(size: Size, tokenizer: Tokenizer, seed: int, device: str = "cpu") -> LlamaForCausalLM:
    """A new model in float32 with weights drawn from ``seed``.

    Eager attention on a CPU: at these lengths it is faster there than the fused kernels (see docs/starter-model.md).
    """
    torch.manual_seed(seed)
    settings = config(size, tokenizer)
    settings._attn_implementation = "eager" if device == "cpu" else "sdpa"
    return LlamaForCausalLM(settings).to(device)


def load(net: LlamaForCausalLM, folder: Path) -> None:
    """Put the weights of the model in ``folder`` into ``net``.

    Raises:
        ModelError: there is none, it cannot be read, or it has another shape.
    """
    try:
        weights = {name: tensor.float() for name, tensor in load_file(str(folder / "model.safetensors")).items()}
        net.load_state_dict(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]})
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ModelError(
            "model_unfit",
            N_("The model in {folder} is none that this training can go on from."),
            N_("Name the folder of a model that this program made in the same size, or leave 'start_from' empty."),
            folder=str(folder),
        ) from error


def export(weights: dict[str, torch.Tensor], size: Size, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a model folder that transformers 4.48 and newer load: fp16 weights, configuration, tokenizer.

    Every file is replaced whole, the configuration last, so a reader never sees half a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tok.save(tokenizer, folder)
    halves = {
        name: tensor.detach().to(torch.float16).cpu().contiguous()
        for name, tensor in weights.items()
        if name != "lm_head.weight"  # tied: the embedding is the head
    }
    temporary = folder / "model.safetensors.new"
    save_file(halves, str(temporary), metadata={"format": "pt"})
    temporary.chmod(0o644)  # save_file leaves it to its owner alone; a model is shared
    temporary.replace(folder / "model.safetensors")
    stops = _stops(tokenizer)
    _json(
        folder / "generation_config.json",
        {
            "bos_token_id": tokenizer.token_to_id(tok.BOS),
            "eos_token_id": stops,
            "pad_token_id": tokenizer.token_to_id(tok.PAD),
            "do_sample": False,
            "max_new_tokens": 256,
        },
    )
    _json(
        folder / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": size.vocab,
            "hidden_size": size.hidden,
            "intermediate_size": size.ffn,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.heads,
            "head_dim": size.hidden // size.heads,
            "hidden_act": "silu",
            "max_position_embeddings": CONTEXT,
            "rope_theta": 10_000.0,
            "rms_norm_eps": 1e-5,
            "initializer_range": 0.02,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            "use_cache": True,
            "torch_dtype": "float16",
            "bos_token_id": tokenizer.token_to_id(tok.BOS),
            "eos_token_id": stops,
            "pad_token_id": tokenizer.token_to_id(tok.PAD),
        },
    )


def _stops(tokenizer: Tokenizer) -> list[int]:
    return [tok.number(tokenizer, tok.EOT), tok.number(tokenizer, tok.END)]


def _json(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
