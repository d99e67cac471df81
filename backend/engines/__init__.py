"""The programs that run models. One module per engine; adding an engine is adding its module and a line in ``ENGINES``."""

from __future__ import annotations

from backend.engines.base import Engine
from backend.engines.transformers import TransformersEngine

ENGINES: dict[str, Engine] = {"transformers": TransformersEngine()}
"""By name, the one to prefer first."""

__all__ = ["ENGINES", "Engine"]
