"""What is folded away looks the same on every page: a line where it is more of the same, a box where it stands among other boxes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from backend.workspace import ROOT


def folds(file: Path) -> Iterator[tuple[str, str]]:
    """(label as written, look) of each expander in ``file``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "expander":
            looks = [ast.unparse(word.value) for word in node.keywords if word.arg == "type"]
            yield ast.unparse(node.args[0]), looks[0] if looks else "box"


def test_what_is_called_the_same_looks_the_same_on_every_page() -> None:
    looks = defaultdict(set)
    for folder in ("ui", "pages"):
        for file in (ROOT / folder).rglob("*.py"):
            for label, look in folds(file):
                looks[label].add(look)
    assert len(looks) > 40
    assert looks["_('More settings')"] == {"'compact'"}
    assert {label: found for label, found in looks.items() if len(found) > 1 and label.startswith("_(")} == {}
