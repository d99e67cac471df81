"""The chat template of a model: how a conversation becomes the text that the model sees.

Two models with the same fingerprint can take each other's conversations and adapters; a fine-tune that changes it has
changed what its own prompts look like.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.catalog.weights import read_object
from backend.errors import ModelError
from backend.i18n import N_

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json", "vocab.txt")
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "additional_special_tokens", "extra_special_tokens")
# Families whose tool calls the engine can parse without a template of their own (transformers 5.17, cli/serving).
PARSED_FAMILIES = ("qwen2", "qwen3", "gemma4")


@dataclass(frozen=True)
class ChatTemplate:
    """present: there is one. fingerprint: 16 hex digits over template, special tokens and end-of-sequence ids; empty
    without a template. tools: it has a place for tools, and their calls can be told from text in the reply."""

    present: bool
    fingerprint: str
    tools: bool
    model_max_length: int | None


def read_template(folder: Path, config: dict[str, Any]) -> ChatTemplate:
    """The template of the model in ``folder``, whose ``config.json`` is ``config``.

    Raises:
        ModelError: ``model_no_tokenizer``; ``model_config_bad`` or ``model_pointer`` for a file that is not what it says.
    """
    present = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not present:
        raise ModelError(
            "model_no_tokenizer",
            N_("{folder} has no tokenizer: none of {files} is in it."),
            N_("Copy the tokenizer files of the same model into the folder."),
            folder=str(folder),
            files=", ".join(TOKENIZER_FILES[:2]),
        )
    for file in present:
        _refuse_pointer(file)
    settings = read_object(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    text = _text(folder, settings)
    longest = settings.get("model_max_length")
    return ChatTemplate(
        present=bool(text),
        fingerprint=_fingerprint(text, settings, _eos(folder, config)) if text else "",
        tools="tools" in text and (bool(settings.get("response_template")) or _parsed(config)),
        # Tokenizers without a limit say 1e30.
        model_max_length=int(longest) if isinstance(longest, int | float) and 0 < longest < 1e8 else None,
    )


def _refuse_pointer(file: Path) -> None:
    from backend.catalog.weights import LFS_MARK, pointer_file, unreadable

    try:
        with file.open("rb") as opened:
            if opened.read(len(LFS_MARK)) == LFS_MARK:
                raise pointer_file(file)
    except OSError as error:
        raise unreadable(file, error) from error


def _text(folder: Path, settings: dict[str, Any]) -> str:
    """The default template: a file of its own wins over the tokenizer's settings, as in transformers."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    if (folder / "chat_template.json").is_file():
        return str(read_object(folder / "chat_template.json").get("chat_template") or "")
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {str(t.get("name")): str(t.get("template", "")) for t in template if isinstance(t, dict)}
        return named.get("default") or next(iter(named.values()), "")
    return template if isinstance(template, str) else ""


def _eos(folder: Path, config: dict[str, Any]) -> list[int]:
    generation = folder / "generation_config.json"
    found = read_object(generation).get("eos_token_id") if generation.is_file() else None
    found = config.get("eos_token_id") if found is None else found
    return sorted(i for i in (found if isinstance(found, list) else [found]) if isinstance(i, int))


def _fingerprint(text: str, settings: dict[str, Any], eos: list[int]) -> str:
    special = {name: settings[name] for name in SPECIAL if settings.get(name)}
    canonical = json.dumps([text, special, eos], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _parsed(config: dict[str, Any]) -> bool:
    return str(config.get("model_type", "")).startswith(PARSED_FAMILIES)
