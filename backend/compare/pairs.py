"""Which models one would want side by side: a tuned model and what it was made from; and the address that opens them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from backend import catalog
from backend.catalog import ModelCard
from backend.chat.params import ChatParams, with_preset
from backend.compare.records import MOST, Contender
from backend.errors import NotFoundError
from backend.workspace import Workspace


def base_and_tuned(workspace: Workspace, name: str) -> tuple[str, str] | None:
    """(base, ``name``), both as they are called on the list; None where what it was made from is not there."""
    try:
        card = catalog.find(workspace, name)
    except NotFoundError:
        return None
    base = _base(workspace, card) if card.name == name else None
    return (base.name, name) if base is not None else None


def default(workspace: Workspace, talking: Mapping[str, bool]) -> list[Contender]:
    """Two contenders to begin with, of the models that can talk (name -> whether it answers now).

    The newest tuned model after its base; else two models; else one model with two temperatures.
    """
    tuned = [card for card in catalog.models(workspace, catalog.TRUST_S) if card.name in talking]
    tuned.sort(key=lambda card: -((card.lineage.created if card.lineage else None) or 0.0))
    for card in tuned:
        base = _base(workspace, card)
        if base is not None and base.name in talking:
            return [Contender(base.name), Contender(card.name)]
    names = list(talking)
    if len(names) >= 2:
        return [Contender(name) for name in names[:2]]
    return [Contender(name, with_preset(ChatParams(), preset)) for name in names for preset in ("precise", "creative")]


def to_address(names: Sequence[str]) -> str:
    """The value of ``models`` in ``/chat?view=compare&models=…``: names with commas between."""
    return ",".join(name.replace("%", "%25").replace(",", "%2C") for name in names)


def from_address(value: str) -> list[str]:
    """The names that :func:`to_address` wrote; no more than a comparison holds."""
    return [unquote(part) for part in value.split(",") if part][:MOST]


def _base(workspace: Workspace, card: ModelCard) -> ModelCard | None:
    named = card.adapter_of or (card.lineage.base if card.lineage else "")
    found = catalog.base_of(workspace, replace(card, adapter_of=named), catalog.TRUST_S) if named else None
    return found if found is not None and found.path != card.path else None
