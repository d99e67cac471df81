"""Which adapter belongs to which base model: by folder, by name on the list, or by the last part of either."""

from __future__ import annotations

from backend.catalog.cards import ModelCard
from backend.catalog.entries import models
from backend.catalog.joining import Bases
from backend.workspace import Workspace


def adapters(workspace: Workspace, base: ModelCard) -> list[ModelCard]:
    """The adapters on the list that belong to ``base``, by name; broken ones too."""
    listed = models(workspace)
    bases = Bases(listed)
    return [card for card in listed if (found := bases.of(card)) and found[0].path == base.path]


def base_of(workspace: Workspace, adapter: ModelCard, trust_s: float = 0.0) -> ModelCard | None:
    """The model on the list that ``adapter`` belongs to, the first where several could be meant; None where it is not on
    the list, or ``adapter`` is none. trust_s: see :func:`backend.catalog.models`."""
    return next(iter(Bases(models(workspace, trust_s)).of(adapter)), None)
