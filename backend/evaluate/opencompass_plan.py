"""What an attempt of OpenCompass was to ask, out of the config that it keeps: so that a subject of which nothing came is not forgotten.

The file is Python, and is read without being run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 8 << 20
MODES = (("GenInferencer", "gen"), ("PPL", "ppl"), ("LLInferencer", "ll"))
"""What the class that asks is called, and what the table calls it."""


@dataclass(frozen=True)
class Plan:
    """models: by the names that its results have. subjects: name -> ``gen``, ``ppl``, ``ll``, or empty."""

    models: tuple[str, ...] = ()
    subjects: dict[str, str] = field(default_factory=dict)


def read(folder: Path) -> Plan:
    """The plan of an attempt; an empty one where there is no config that can be read."""
    files = sorted((folder / "configs").glob("*.py"), key=lambda file: file.name)
    for file in reversed(files):
        try:
            if file.stat().st_size > MOST_BYTES:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        return _plan(tree)
    return Plan()


def _plan(tree: ast.Module) -> Plan:
    models: dict[str, None] = {}
    subjects: dict[str, str] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name = statement.targets[0].id
        for each in _dicts(statement.value):
            abbr = _text(each, "abbr")
            if name == "models" and abbr:
                models[_text(each, "summarizer_abbr") or abbr] = None
            elif name == "datasets" and abbr:
                subjects[abbr] = _mode(each)
    return Plan(tuple(models), subjects)


def _dicts(value: ast.expr) -> Iterator[dict[str, ast.expr]]:
    """The members of a list that are dictionaries, written either way."""
    for each in value.elts if isinstance(value, ast.List | ast.Tuple) else ():
        if (found := _dict(each)) is not None:
            yield found


def _dict(value: ast.expr) -> dict[str, ast.expr] | None:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict":
        return {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return {str(key.value): each for key, each in pairs if isinstance(key, ast.Constant)}
    return None


def _text(value: dict[str, ast.expr], name: str) -> str:
    found = value.get(name)
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else ""


def _mode(dataset: dict[str, ast.expr]) -> str:
    infer = _dict(dataset["infer_cfg"]) if "infer_cfg" in dataset else None
    asks = _dict(infer["inferencer"]) if infer and "inferencer" in infer else None
    kind = ast.unparse(asks["type"]) if asks and "type" in asks else ""
    return next((mode for name, mode in MODES if name in kind), "")
