"""What every engine can be asked, before and without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from backend.catalog.cards import ModelCard
from backend.errors import PanelError


class Engine(Protocol):
    """One way to run a model. It says what it can do; the jobs start what :meth:`server_argv` names."""

    @property
    def name(self) -> str:
        """The field's name of it, such as ``transformers``."""

    def unavailable(self) -> PanelError | None:
        """Why it cannot run on this machine; None where it can."""

    def refuses(self, card: ModelCard) -> PanelError | None:
        """Why it cannot serve this model; None where it can. Looks at the card only."""

    def server_argv(self, plan: Path) -> list[str]:
        """The command that serves what the JSON file ``plan`` says (see :mod:`jobs.serving.plan`)."""

    def memory_bytes(self, card: ModelCard, context_tokens: int) -> dict[str, Any]:
        """Estimated bytes by part: ``{"weights", "kv_cache", "runtime"}``, for answers of ``context_tokens`` in all."""
