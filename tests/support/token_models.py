"""Model folders with real tokenizers and the templates of well-known families, made in a moment: no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from tests.support.models import write

SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHATML = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
# As Qwen 3 does it: thoughts stay with the last answer only, and a running model begins without them.
THINKING = (
    "{%- for message in messages %}"
    "{%- set content = message['content'] %}"
    "{%- if message['role'] == 'assistant' and not loop.last and '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
)
MARKED = (
    "{{- bos_token }}{%- for message in messages %}\n"
    "  {%- if message['role'] == 'assistant' %}\n"
    "    {{- '<|im_start|>assistant\\n' }}{% generation %}{{- message['content'] | trim + '<|im_end|>' }}{% endgeneration %}\n"
    "  {%- else %}\n"
    "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}\n"
    "  {%- endif %}\n"
    "  {{- '\\n' }}\n"
    "{%- endfor %}"
)
INST = (
    "{{- bos_token }}{%- for message in messages %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('Conversation roles must alternate user/assistant') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}{{- '[INST] ' + message['content'] + ' [/INST]' }}"
    "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}"
    "{%- endfor %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>")


def tokens_only(folder: Path, template: str | None, *, kind: str = "PreTrainedTokenizerFast", **settings: Any) -> Path:
    """A folder with a byte-level tokenizer of a few hundred entries, and ``template``. kind: the class that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {sign: n for n, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "t"), ("Ċ", "Ċ"), ("i", "s")]
    for pair in merges:
        vocabulary["".join(pair)] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])  # type: ignore[assignment]
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    given = {"tokenizer_class": kind, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", **settings}
    if template is not None:
        given["chat_template"] = template
    write(folder / "tokenizer_config.json", {name: value for name, value in given.items() if value is not None})
    return folder


def qwen_like(folder: Path) -> Path:
    """ChatML with a system prompt of its own, no token at the beginning, as Qwen 2.5 has it."""
    return tokens_only(folder, CHATML, kind="Qwen2TokenizerFast")


def rows_file(path: Path, rows: list[Any]) -> Path:
    """``rows`` as JSON Lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
