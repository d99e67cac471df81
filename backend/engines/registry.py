"""Which engines there are: the modules of this package that have an ``ENGINE``. Nobody lists them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

from backend.engines.base import Engine, ServingEngine


@cache
def engines() -> dict[str, Engine]:
    """All engines by name, in the order of their names."""
    found: list[Engine] = []
    for file in sorted(Path(__file__).parent.glob("*.py")):
        # Told from the text: the other modules import this one.
        if "\nENGINE = " in file.read_text(encoding="utf-8"):
            found.append(import_module(f"{__package__}.{file.stem}").ENGINE)
    return {engine.name: engine for engine in sorted(found, key=lambda engine: engine.name)}


def serving() -> dict[str, ServingEngine]:
    """Those that serve models, the one to prefer first."""
    able = [cast(ServingEngine, engine) for engine in engines().values() if "serve" in engine.roles]
    return {engine.name: engine for engine in sorted(able, key=lambda engine: -engine.preference)}
