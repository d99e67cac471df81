"""A real Llama whose answers are known beforehand: the last word of the prompt decides the first piece of the answer, each
piece decides the next. Attention and MLP add nothing, embeddings are one-hot, and the output matrix is the script.

So tests run the real engine, and can still say what must come out.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

BEGIN, END = "<|begin|>", "<|eot_id|>"
DIGITS = [str(n) for n in range(10)]

SCRIPTS: dict[str, list[str]] = {
    "greet": ["Good", " morning", ",", " dear", " friend", ".", END],
    "问候": ["你好", "，", "朋友", "😀", "！", END],
    "calculate": ['{"name": "', "add", '", "parameters": ', '{"a": 2, "b": 3}', "}", END],
    "mangle": ['{"name":"', "oops", '","parameters":', "{a: nonsense", "}", END],
}
"""Last word of the prompt -> pieces of the answer. Beside these: ``loop`` says "la" for ever (second choice "di"), and
``dice`` throws one of ten digits, all equally likely, and ``coin`` heads or, a little less likely, tails, for ever."""

RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "assistant:",
    "fields": {
        "tool_calls": {
            "open_pattern": r"\{\s*\"name\"\s*:\s*\"(?P<name>[^\"]+)\"\s*,\s*\"parameters\"\s*:\s*",
            "close_pattern": r"\}\s*<\|eot_id\|>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {"close": [END], "content": "text"},
    },
}
# The last message stands at the very end, so that its last word is the token from which the answer starts.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for t in tools or [] %}tool {{ t['function']['name'] }} {% endfor %}"
    "{% for m in messages %}{% if m['role'] == 'refused' or m['content'] == 'refuse' %}"
    "{{ raise_exception('this conversation is refused') }}{% endif %}"
    "{{ m['role'] }} said {{ m['content'] }} {% endfor %}assistant: {{ messages[-1]['content'] }}"
)


def build(folder: Path, context: int = 4096, *, chat: bool = True, shard: bool = False) -> Path:
    """Write the model into ``folder`` (config, tokenizer, weights) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows()
    vocabulary = _vocabulary(rows)
    config = _config(len(vocabulary), context, vocabulary)
    (folder / "config.json").write_text(json.dumps(config))
    generation = {"eos_token_id": vocabulary[END], "bos_token_id": vocabulary[BEGIN], "do_sample": False}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    _write_tokenizer(folder, vocabulary, chat)
    tensors = _tensors(rows, vocabulary)
    if not shard:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        write_safetensors(folder / file, {n: tensors[n] for n in part})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def _rows() -> dict[str, dict[str, float]]:
    """Piece -> what may follow it, with its logit."""
    rows: dict[str, dict[str, float]] = {}
    for trigger, pieces in SCRIPTS.items():
        for piece, following in zip([trigger, *pieces], pieces, strict=False):
            assert rows.setdefault(piece, {following: 8.0}) == {following: 8.0}, f"two ways on from {piece!r}"
    rows["loop"] = {"la": 8.0}
    rows["la"] = {"la": 8.0, "di": 6.0}
    rows["di"] = {"di": 8.0, "dum": 6.0}
    rows |= {piece: {"heads": 8.0, "tails": 7.9} for piece in ("coin", "heads", "tails")}
    rows["dice"] = dict.fromkeys(DIGITS, 8.0)
    rows |= {digit: dict.fromkeys(DIGITS, 8.0) for digit in DIGITS}
    return rows


def _vocabulary(rows: dict[str, dict[str, float]]) -> dict[str, int]:
    pieces = dict.fromkeys([BEGIN, END, "<unk>", "dum", *rows, *(p for row in rows.values() for p in row)])
    return {piece: number for number, piece in enumerate(pieces)}


def _config(size: int, context: int, vocabulary: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": _hidden(size),
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "dtype": "float16",
        "bos_token_id": vocabulary[BEGIN],
        "eos_token_id": vocabulary[END],
    }


def _hidden(size: int) -> int:
    return -(-size // 16) * 16


def _tensors(rows: dict[str, dict[str, float]], vocabulary: dict[str, int]) -> dict[str, np.ndarray]:
    size = len(vocabulary)
    hidden = _hidden(size)
    embeddings = np.zeros((size, hidden), np.float16)
    embeddings[np.arange(size), np.arange(size)] = 1
    head = np.zeros((size, hidden), np.float16)
    for piece, followers in rows.items():
        for follower, logit in followers.items():
            head[vocabulary[follower], vocabulary[piece]] = logit
    # What has no row ends the answer.
    for piece, number in vocabulary.items():
        if piece not in rows:
            head[vocabulary[END], number] = 8
    layer = "model.layers.0."
    square, narrow = np.zeros((hidden, hidden), np.float16), np.zeros((8, hidden), np.float16)
    ones = np.ones(hidden, np.float16)
    return {
        "model.embed_tokens.weight": embeddings,
        "lm_head.weight": head,
        "model.norm.weight": ones,
        f"{layer}input_layernorm.weight": ones,
        f"{layer}post_attention_layernorm.weight": ones,
        **{f"{layer}self_attn.{name}_proj.weight": square for name in "qkvo"},
        f"{layer}mlp.gate_proj.weight": narrow,
        f"{layer}mlp.up_proj.weight": narrow,
        f"{layer}mlp.down_proj.weight": narrow.T.copy(),
    }


def _write_tokenizer(folder: Path, vocabulary: dict[str, int], chat: bool) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (BEGIN, END, "<unk>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
    }
    if chat:
        settings |= {"chat_template": CHAT_TEMPLATE, "response_template": RESPONSE_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """The format by hand (8 bytes length, JSON header, data), so that the reader under test meets another's writing."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, tensor in tensors.items():
        kind = {"float16": "F16", "float32": "F32", "int32": "I32", "uint8": "U8", "int64": "I64"}[tensor.dtype.name]
        end = position + tensor.nbytes
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(t.tobytes() for t in tensors.values()))
