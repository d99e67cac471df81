"""What a person would sensibly do next, told from what lies in the workspace: teach a model with the newest rows, see what was
learned, make it smaller, measure it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend import catalog
from backend.catalog import ModelCard
from backend.data.store import DatasetInfo, Datasets
from backend.queue.store import Store
from backend.workspace import Workspace

LOOKED_AT = 50
"""So many of the newest runs are asked what they learned from."""


@dataclass(frozen=True)
class Next:
    """do: ``teach`` a model with the dataset ``name``; ``try`` the model ``name``, which was just taught; ``measure`` the model
    ``name``, which was just made smaller. base: what that model was made from; empty where nobody knows. rows: of the
    dataset."""

    do: Literal["teach", "try", "measure"]
    name: str
    base: str = ""
    rows: int = 0


def find(workspace: Workspace, store: Store) -> Next | None:
    """The next step after what happened last; None where no rows wait for a model and no model was made here."""
    rows, made = _untaught(workspace, store), _made(workspace)
    when = (made.lineage.created or 0.0) if made is not None and made.lineage else 0.0
    if rows is not None and rows.updated > when:
        return Next("teach", rows.name, rows=rows.current.rows)
    if made is None or made.lineage is None:
        return None
    return Next("measure" if made.lineage.verb == "quantize" else "try", made.name, made.lineage.base)


def _untaught(workspace: Workspace, store: Store) -> DatasetInfo | None:
    """The dataset that was changed last, where no run learns or has learned from it as it is now."""
    newest = next(iter(Datasets(workspace).list()), None)
    if newest is None or not newest.current.rows:
        return None
    for row in store.list(verb="finetune", limit=LOOKED_AT):
        if row.created < newest.updated:
            break
        if row.state not in ("failed", "cancelled", "lost") and store.spec(row.id).get("dataset") == newest.name:
            return None
    return newest


def _made(workspace: Workspace) -> ModelCard | None:
    """The newest model that a job of this workspace has taught or made smaller: one that can be used."""
    found = [
        card
        for card in catalog.models(workspace, catalog.TRUST_S)
        if card.made_by and card.lineage and card.lineage.verb in ("finetune", "quantize") and card.problem is None
    ]
    # A run makes an adapter and the merged model of it: the whole one is what people go on with.
    return max(
        found, key=lambda card: (card.made_by or 0, not card.adapter_of, (card.lineage and card.lineage.created) or 0.0),
        default=None,
    )  # fmt: skip
