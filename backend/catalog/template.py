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

from backend.catalog.files import LFS_MARK, pointer_file, read_object, read_optional, unreadable
from backend.errors import ModelError
from backend.i18n import N_

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json", "vocab.txt")
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "additional_special_tokens", "extra_special_tokens")
# Families whose tool calls the engine can parse without a template of their own (transformers 5.17, cli/serving).
PARSED_FAMILIES = ("qwen2", "qwen3", "gemma4")


@dataclass(frozen=True)
class ChatTemplate:
    """present: there is one. names: of all of them, the default first. fingerprint: 16 hex digits over the default
    template, special tokens and end-of-sequence ids; empty without a template. tools: it has a place for tools, and
    their calls can be told from text in the reply."""

    present: bool
    names: tuple[str, ...]
    fingerprint: str
    tools: bool
    model_max_length: int | None


def read_template(folder: Path, config: dict[str, Any], base: Path | None = None) -> ChatTemplate:
    """The template of the model in ``folder``, whose ``config.json`` is ``config``; of an adapter with a tokenizer, whose
    answers end as those of its base in ``base`` do, where it does not say itself.

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
    settings = read_optional(folder / "tokenizer_config.json")
    templates = _templates(folder, settings)
    name = "default" if "default" in templates else next(iter(templates), "")
    text = templates.get(name, "")
    longest = settings.get("model_max_length")
    return ChatTemplate(
        present=bool(text),
        names=tuple(sorted(templates, key=lambda n: (n != name, n))),
        fingerprint=fingerprint(text, _specials(folder, settings), _eos(_saying(folder, base), config)) if text else "",
        # transformers takes the template of this name where tools are given.
        tools="tools" in (text + templates.get("tool_use", ""))
        and (bool(settings.get("response_template")) or _parsed(config)),
        # Tokenizers without a limit say 1e30.
        model_max_length=int(longest) if isinstance(longest, int | float) and 0 < longest < 1e8 else None,
    )


def template_fingerprint(folder: Path, text: str) -> str:
    """The fingerprint that the model in ``folder`` has with ``text`` as its template.

    Raises:
        ModelError: a file that is not what its name says.
    """
    return fingerprint(text, *special_and_ends(folder))


def special_and_ends(folder: Path, base: Path | None = None) -> tuple[dict[str, Any], list[int]]:
    """(special tokens, ids at which answers end) of the model in ``folder``, as they go into its fingerprint; of an adapter
    with a tokenizer, on top of its base in ``base``.

    Raises:
        ModelError: a file that is not what its name says.
    """
    settings = read_optional(folder / "tokenizer_config.json")
    config = read_optional((base or folder) / "config.json")
    return _specials(folder, settings), _eos(_saying(folder, base), config)


def default_text(texts: dict[str, str]) -> str:
    """Of the templates that a tokenizer has, the one that is used where none is named; empty where there is none."""
    return texts["default"] if "default" in texts else next(iter(texts.values()), "")


def fingerprint(text: str, special: dict[str, Any], eos: list[int]) -> str:
    """16 hex digits over a template, special tokens and ids at which answers end."""
    canonical = json.dumps([text, special, eos], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def template_texts(folder: Path) -> dict[str, str]:
    """Name -> template of all that the tokenizer in ``folder`` has; empty where it has none.

    Raises:
        ModelError: a file that is not what its name says.
    """
    return _templates(folder, read_optional(folder / "tokenizer_config.json"))


def _refuse_pointer(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            if opened.read(len(LFS_MARK)) == LFS_MARK:
                raise pointer_file(file)
    except OSError as error:
        raise unreadable(file, error) from error


def _templates(folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Name -> template. A file of its own wins over the tokenizer's settings, as in transformers
    (``tokenization_utils_base``): ``chat_template.jinja`` is the default, ``additional_chat_templates/NAME.jinja`` the
    others."""
    own = folder / "chat_template.jinja"
    more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    if own.is_file() or more:
        files = {"default": own} if own.is_file() else {}
        files |= {file.stem: file for file in more}
        return {name: text for name, file in files.items() if (text := _jinja(file))}
    template = settings.get("chat_template")
    if (folder / "chat_template.json").is_file():
        template = read_object(folder / "chat_template.json").get("chat_template")
    if isinstance(template, list):
        pairs = [(t.get("name"), t.get("template")) for t in template if isinstance(t, dict)]
        template = {name: text for name, text in pairs if isinstance(name, str)}
    if isinstance(template, dict):
        return {name: text for name, text in template.items() if isinstance(text, str) and text}
    return {"default": template} if isinstance(template, str) and template else {}


def _jinja(file: Path) -> str:
    raw = file.read_bytes()
    if raw.startswith(LFS_MARK):
        raise pointer_file(file)
    return raw.decode("utf-8", "replace")


def _saying(folder: Path, base: Path | None) -> Path:
    return base if base is not None and not (folder / "generation_config.json").is_file() else folder


def _eos(folder: Path, config: dict[str, Any]) -> list[int]:
    found = read_optional(folder / "generation_config.json").get("eos_token_id")
    found = config.get("eos_token_id") if found is None else found
    return sorted(i for i in (found if isinstance(found, list) else [found]) if isinstance(i, int))


def _specials(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    # Older tokenizers keep some of them in a file of its own only.
    settings = {**read_optional(folder / "special_tokens_map.json"), **settings}
    return {name: _plain(settings[name]) for name in SPECIAL if settings.get(name)}


def _plain(token: Any) -> Any:
    """A token as its text: files hold ``"</s>"`` or ``{"content": "</s>", "lstrip": false, ...}`` for the same."""
    if isinstance(token, list):
        return [_plain(one) for one in token]
    return token["content"] if isinstance(token, dict) and isinstance(token.get("content"), str) else token


def _parsed(config: dict[str, Any]) -> bool:
    return str(config.get("model_type", "")).startswith(PARSED_FAMILIES)
