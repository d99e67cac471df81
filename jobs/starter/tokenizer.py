"""The starter's tokenizer: byte-level BPE with the special tokens and the chat template shape of Llama 3, cut so that whatever
is copied keeps its tokens.

A model this small learns to copy only where the copy is made of the same tokens as the original. So:

- A word is cut the same wherever it stands: after a space, a quotation mark, an underscore. A space is a token by itself,
  except before the most frequent words, which have a second token with the space in it.
- A Chinese character is one token, never a part of one and never two.
- Every whole number from 0 to 999 is one token. With BPE's own choice of digit pairs, digits were dropped and doubled.
- The text is cut by a pattern and *then* mapped to bytes (``ByteLevel(use_regex=False)``). With GPT-2's own pattern the
  "\\n\\n" that ends a prompt is cut differently when an answer follows it, so the prompt on which the model is asked to
  answer is one that it never saw, and a trained chat says nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BOS = "<|begin_of_text|>"
END = "<|end_of_text|>"
PAD = "<|finetune_right_pad_id|>"
HEADER = "<|start_header_id|>"
HEADER_END = "<|end_header_id|>"
EOM = "<|eom_id|>"
EOT = "<|eot_id|>"
PYTHON = "<|python_tag|>"
SPECIAL = (BOS, END, PAD, HEADER, HEADER_END, EOM, EOT, PYTHON)

_WORD = r"[\p{L}&&[^\p{Han}]]+"
_CUT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{Han}|@@WORD@@|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLIT = _CUT.replace("@@WORD@@", " ?" + _WORD)
"""Llama 3's pattern, but for two things: a Chinese character stands alone, and nothing but a space goes before a word."""
_HAN_SHARE, _SPACED_SHARE = 0.45, 0.05
"""How much of what bytes, numbers and special tokens leave Chinese characters may take, and words with their space."""
_SPACED_WORD = re.compile(r" [A-Za-z]+")
_HAN = re.compile(r"[\u4e00-\u9fff]")

TOOLS_LEAD = 'You can call these functions. To call one, answer only {"name": ..., "parameters": {...}}.'
"""First line of the tools block in the system message."""

CHAT_TEMPLATE = (
    (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8").replace("@@TOOLS_LEAD@@", TOOLS_LEAD)
)

# Tells `transformers serve` how an answer becomes OpenAI tool calls (it has no built-in parser for Llama).
RESPONSE_TEMPLATE: dict[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": f"{HEADER}assistant{HEADER_END}\n\n",
    "fields": {
        "tool_calls": {
            "open_pattern": r"(?:<\|python_tag\|>)?\{\s*\"name\"\s*:\s*\"(?P<name>[^\"]+)\"\s*,\s*\"parameters\"\s*:\s*",
            "close_pattern": r"\}\s*(?:<\|eot_id\|>|<\|eom_id\|>)",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {"close": [EOT, EOM, END], "content": "text"},
    },
}


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer with exactly ``vocab_size`` entries, learned from ``texts``.

    Whole numbers, the most frequent Chinese characters and the most frequent words after a space get tokens of their own;
    BPE's pieces of words fill the rest. What has no token is written in bytes.
    """
    some = list(texts)
    between = re.compile("|".join(map(re.escape, SPECIAL)))
    parts = [part for text in some for part in between.split(text)]
    han = Counter(one for part in parts for one in _HAN.findall(part))
    spaced = Counter(one for part in parts for one in _SPACED_WORD.findall(part))
    whole = [str(n) for n in range(10, 1000)]
    room = vocab_size - len(pre_tokenizers.ByteLevel.alphabet()) - len(whole) - len(SPECIAL)
    for counted, share in ((han, _HAN_SHARE), (spaced, _SPACED_SHARE)):
        whole += [_bytes(one) for one, _ in sorted(counted.items(), key=_rank)[: int(room * share)]]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(whole) - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[],
    )
    pieces = _untrained(_CUT.replace("@@WORD@@", _WORD))
    unlike_words = re.compile(r"[0-9\u4e00-\u9fff]")
    pieces.train_from_iterator((unlike_words.sub(" ", part) for part in parts), trainer)
    model = json.loads(pieces.to_str())["model"]
    vocab: dict[str, int] = dict(model["vocab"])
    for one in whole:
        vocab.setdefault(one, len(vocab))
    merges = [(left, right) for left, right in model["merges"]]
    # ignore_merges: what is an entry as it stands needs no merges that lead to it
    trained = _untrained(SPLIT, models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    special = [*SPECIAL]
    special += [f"<|reserved_special_token_{n}|>" for n in range(vocab_size - len(vocab) - len(SPECIAL))]
    trained.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    bos = trained.token_to_id(BOS)
    trained.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[(BOS, bos)]
            ),
        ]
    )
    if trained.get_vocab_size() != vocab_size:
        raise ValueError(f"{vocab_size} tokens wanted, {trained.get_vocab_size()} made: too little text to learn from")
    return trained


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``, readable by transformers 4.48 and newer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOT,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 4096,
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
        "response_template": RESPONSE_TEMPLATE,
    }
    _replace(folder / "tokenizer.json", tokenizer.to_str())
    _replace(folder / "tokenizer_config.json", json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def number(tokenizer: Tokenizer, token: str) -> int:
    """The number of ``token``, which must exist."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise KeyError(token)
    return int(found)


def load(folder: Path) -> Tokenizer:
    """The tokenizer in ``folder``, without transformers."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _untrained(pattern: str, model: models.BPE | None = None) -> Tokenizer:
    tokenizer = Tokenizer(model or models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _bytes(text: str) -> str:
    """``text``, one word or character, as byte-level BPE writes it."""
    (written, _), *_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return str(written)


def _rank(counted: tuple[str, int]) -> tuple[int, str]:
    """The most frequent first; those that are as frequent by their text, so that the order does not depend on the hash."""
    text, count = counted
    return -count, text


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
