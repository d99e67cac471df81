"""Under which licence a model comes: the front matter of its README, else its LICENSE file, else its config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

READ_BYTES = 16 * 1024
FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "USE_POLICY.md")
KNOWN_TEXTS = (
    ("Apache License", "apache-2.0"),
    ("MIT License", "mit"),
    ("Permission is hereby granted, free of charge", "mit"),
    ("GNU GENERAL PUBLIC LICENSE", "gpl"),
    ("META LLAMA 3 COMMUNITY", "llama3"),
    ("LLAMA 3.1 COMMUNITY", "llama3.1"),
    ("LLAMA 3.2 COMMUNITY", "llama3.2"),
    ("LLAMA 3.3 COMMUNITY", "llama3.3"),
    ("LLAMA 2 COMMUNITY", "llama2"),
)


def read_license(folder: Path, config: dict[str, Any]) -> str:
    """The licence's identifier as hubs write it (``apache-2.0``), else the name of the file that holds it, else empty.

    A hint, no legal advice: nothing is compared word by word. Never raises.
    """
    named = _front_matter(_head(folder / "README.md"))
    if named:
        return named
    for name in FILES:
        text = _head(folder / name)
        if text:
            upper = text[:2000].upper()
            return next((known for words, known in KNOWN_TEXTS if words.upper() in upper), name)
    stated = config.get("license")
    return stated.strip()[:100] if isinstance(stated, str) else ""


def _front_matter(readme: str) -> str:
    """``license`` of the YAML block at the top of a model's README; ``license_name`` where that says ``other``."""
    block = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(?:\n|$)", readme, re.DOTALL)
    if block is None:
        return ""
    # A value on the line, or the first item of a list below it. No YAML: the panel has no parser and needs none.
    fields = {
        key: value.strip().strip("'\"[]").strip()
        for key, value in re.findall(
            r"^(license|license_name):[ \t]*(?:\n[ \t]*-)?[ \t]*([^\n#]*)", block[1], re.MULTILINE
        )
    }
    named = fields.get("license", "")
    return (fields.get("license_name") or named if named in ("other", "unknown") else named)[:100]


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(READ_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return ""
