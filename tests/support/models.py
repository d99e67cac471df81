"""Model folders that are cheap to make: real headers and configs, weights that are holes in a sparse file."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4, "U8": 1}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
    "torch_dtype": "bfloat16",
}
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def weights(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> Path:
    """A safetensors file of these tensors (name -> dtype, shape), all zero, that takes no room on the disk."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + BYTES[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    os.truncate(path, 8 + len(raw) + end)
    return path


def folder(path: Path, *, shards: int = 0, layers: int = 2, width: int = 16, **config: Any) -> Path:
    """A whole model; with ``shards`` its layers lie in that many files, with an index. ``config`` changes config.json."""
    path.mkdir(parents=True, exist_ok=True)
    write(path / "config.json", {**CONFIG, "num_hidden_layers": layers, "hidden_size": width, **config})
    write(path / "tokenizer.json", {"model": {"type": "BPE"}})
    write(path / "tokenizer_config.json", {"chat_template": TEMPLATE, "eos_token": "</s>"})
    tensors: dict[str, tuple[str, list[int]]] = {"model.embed_tokens.weight": ("BF16", [64, width])}
    for layer in range(layers):
        for part in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
            tensors[f"model.layers.{layer}.{part}.weight"] = ("BF16", [width, width])
    if not shards:
        weights(path / "model.safetensors", tensors)
        return path
    names = list(tensors)
    weight_map = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part_of = names[number::shards]
        weights(path / file, {name: tensors[name] for name in part_of})
        weight_map |= dict.fromkeys(part_of, file)
    write(path / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return path


def adapter(path: Path, base: str, rank: int = 8, shapes: dict[str, list[int]] | None = None, **settings: Any) -> Path:
    """A LoRA for ``base``; ``shapes`` are those of its tensors (without, it fits no model), ``settings`` change its
    adapter_config.json."""
    path.mkdir(parents=True, exist_ok=True)
    write(path / "adapter_config.json", {"peft_type": "LORA", "r": rank, "base_model_name_or_path": base, **settings})
    shapes = shapes or {"a.lora_A.weight": [rank, 16]}
    weights(path / "adapter_model.safetensors", {name: ("F32", shape) for name, shape in shapes.items()})
    return path


def lora_shapes(rank: int = 8, width: int = 16, module: str = "layers.0.q_proj") -> dict[str, list[int]]:
    """The tensors of a LoRA on one module of a model of :func:`folder`."""
    name = f"base_model.model.model.{module}"
    return {f"{name}.lora_A.weight": [rank, width], f"{name}.lora_B.weight": [width, rank]}


def cached(hub: Path, repo: str, revisions: tuple[str, ...] = ("a" * 40,), main: str = "") -> list[Path]:
    """``repo`` as the Hugging Face cache keeps it: files are links into ``blobs``. Returns the snapshot folders."""
    top = hub / f"models--{repo.replace('/', '--')}"
    (top / "blobs").mkdir(parents=True)
    (top / "refs").mkdir()
    if main:
        (top / "refs" / "main").write_text(main)
    snapshots = []
    for revision in revisions:
        snapshot = folder(top / "snapshots" / revision)
        for number, file in enumerate(sorted(snapshot.iterdir())):
            blob = top / "blobs" / f"{revision[:8]}{number}"
            file.rename(blob)
            file.symlink_to(os.path.relpath(blob, snapshot))
        snapshots.append(snapshot)
    return snapshots


def pointer(path: Path, size: int = 12345) -> Path:
    """``path`` as git leaves it without git-lfs."""
    path.write_text(POINTER.format(oid="4d7a" * 16, size=size))
    return path


def write(path: Path, data: Any) -> Path:
    """``data`` as JSON."""
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def change(path: Path, **values: Any) -> Path:
    """``values`` set in the JSON object ``path``; None takes a key away."""
    data = json.loads(path.read_text(encoding="utf-8")) | values
    return write(path, {key: value for key, value in data.items() if value is not None})
