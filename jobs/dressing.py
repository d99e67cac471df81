"""What lies beside the weights of a model that a job made: tokenizer, chat template, ends and licence of the model it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.catalog.files import read_optional
from backend.catalog.license import FILES as LICENSES
from backend.catalog.template import TOKENIZER_FILES

TOKENIZER = (
    *TOKENIZER_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
TEMPLATES = "additional_chat_templates"
GENERATION = "generation_config.json"


def dress(folder: Path, base: Path, *, whole_model: bool) -> None:
    """Write them into ``folder`` as ``base`` has them, byte for byte: programs write a tokenizer in their own words when they save
    it, and what the base has is what was learned with. whole_model: it is no adapter, and says itself where answers end."""
    for name in (*TOKENIZER, *LICENSES, *((GENERATION,) if whole_model else ())):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
        elif name in TOKENIZER:
            (folder / name).unlink(missing_ok=True)
    if (base / TEMPLATES).is_dir():
        shutil.copytree(base / TEMPLATES, folder / TEMPLATES, dirs_exist_ok=True)


def hub_name(folder: Path) -> str:
    """``org/name`` on Hugging Face of a model that was downloaded from there; empty where nobody knows."""
    fetched = read_optional(folder / ".download.json")
    if fetched.get("source") == "huggingface" and isinstance(fetched.get("repo"), str):
        return str(fetched["repo"])
    cached = next((part for part in folder.parts if part.startswith("models--")), "")
    return cached.removeprefix("models--").replace("--", "/", 1)
