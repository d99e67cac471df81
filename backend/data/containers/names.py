"""What the names of files and fields say."""

from __future__ import annotations

import re

from backend.data.rows import Split

_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
_WORD = re.compile(r"[a-z]+")


def split_name(name: str) -> Split | None:
    """The part of a dataset that ``name`` (a field, a folder, a file) means: ``test-00000-of-00002``, ``my_val``; else None."""
    words = [_SPLITS[word] for word in _WORD.findall(name.lower()) if word in _SPLITS]
    return words[0] if words and len(set(words)) == 1 else None
