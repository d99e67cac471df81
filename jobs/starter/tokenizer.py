"""The starter's tokenizer: byte-level BPE with the special tokens, split pattern and chat template shape of Llama 3.

Two choices matter for a model this small:

- The text is cut by Llama 3's pattern and *then* mapped to bytes (``ByteLevel(use_regex=False)``). With GPT-2's own
  pattern the "\\n\\n" that ends a prompt is cut differently when an answer follows it, so the prompt on which the model
  is asked to answer is one that it never saw, and a trained chat says nothing.
- Every whole number from 0 to 999 is one token. A number in a question is then copied into a tool call in one step;
  with BPE's own choice of digit pairs, digits were dropped and doubled.
"""

from __future__ import annotations

import json
import re
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

# The pattern that Llama 3 publishes in its tokenizer.json.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

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

    Digits in ``texts`` are ignored: numbers get their own tokens. Places that are left over become reserved special
    tokens, so that the embedding has a round number of rows.
    """
    tokenizer = _untrained()
    numbers = _number_merges()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(numbers) - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[],
    )
    without_digits = str.maketrans(dict.fromkeys("0123456789", " "))
    between = re.compile("|".join(map(re.escape, SPECIAL)))
    tokenizer.train_from_iterator((between.split(text.translate(without_digits)) for text in texts), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab: dict[str, int] = dict(model["vocab"])
    for left, right in numbers:
        vocab.setdefault(left + right, len(vocab))
    merges = numbers + [(left, right) for left, right in model["merges"]]
    trained = _untrained(models.BPE(vocab=vocab, merges=merges, ignore_merges=False))
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


def _untrained(model: models.BPE | None = None) -> Tokenizer:
    tokenizer = Tokenizer(model or models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _number_merges() -> list[tuple[str, str]]:
    """The merges that make 10 to 999 one token each; numbers with a leading zero stay single digits."""
    return [(str(n // 10), str(n % 10)) for n in range(10, 1000)]


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
