"""Who takes the course, and with what: the proposed model, and the models that were made of it, by the evidence, else by lineage."""

from __future__ import annotations

from collections.abc import Sequence

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.entries import entries
from backend.course.lessons import STARTER, Learner
from backend.course.progress import Progress
from backend.engines import refusal
from backend.errors import NotFoundError
from backend.memory.machine import Machine
from backend.queue.store import Store
from backend.workspace import Workspace

ROOM = 1.5
"""A model is proposed where so many times its weights in 16 bits fit the largest GPU: they, and what a LoRA beside them needs."""
LOOKED_AT = 50


def usable(workspace: Workspace) -> list[ModelCard]:
    """Whole models with which the course can be taken: they can talk, be taught and be served here."""
    return [
        card
        for card in catalog.models(workspace, catalog.TRUST_S)
        if card.problem is None
        and not card.adapter_of
        and not card.quantization
        and card.served.chat_template
        and refusal(card) is None
    ]


def proposed(workspace: Workspace, machine: Machine) -> str:
    """The model for a person who has chosen none: where there is a GPU, the newest one from elsewhere that fits it; else the starter."""
    largest = max((gpu.total or 0 for gpu in machine.gpus), default=0)
    if not largest:
        return STARTER
    added = {str(entry["name"]): float(entry.get("added") or 0) for entry in entries(workspace)}
    fitting = [card for card in usable(workspace) if _from_elsewhere(card) and _fits(card, largest)]
    newest = max(fitting, key=lambda card: (added.get(card.name, 0.0), card.name), default=None)
    return newest.name if newest is not None else STARTER


def learner(workspace: Workspace, store: Store, progress: Progress, machine: Machine) -> Learner:
    """What the steps to come work with."""
    cards = catalog.models(workspace, catalog.TRUST_S)
    known = {card.name for card in cards}
    base = progress.model if progress.model in known else proposed(workspace, machine)
    facts = {name: one.facts for name, one in progress.done.items()}
    tuned = _listed(known, facts.get("finetune", {}).get("model")) or _made(cards, "finetune", base)
    small = _listed(known, facts.get("quantize", {}).get("model")) or _made(cards, "quantize", tuned or base)
    rows = facts.get("rows", {})
    return Learner(
        base=base,
        name=str(rows.get("name") or ""),
        dataset=str(rows.get("dataset") or ""),
        tuned=tuned,
        small=small,
        served=_server(store, base),
        taught=_there(store, facts.get("finetune", {}).get("job")),
    )


def _from_elsewhere(card: ModelCard) -> bool:
    return not card.builtin and not card.made_by


def _fits(card: ModelCard, largest: int) -> bool:
    weights = catalog.weights_bytes(card, "bfloat16")
    return weights is not None and weights.bytes * ROOM <= largest


def _listed(known: set[str], name: object) -> str:
    return name if isinstance(name, str) and name in known else ""


def _made(cards: Sequence[ModelCard], verb: str, base: str) -> str:
    """The newest model that a job of that kind made of ``base``; a whole one before an adapter."""
    paths = {str(card.path) for card in cards if card.name == base}
    found = [
        card
        for card in cards
        if card.made_by
        and card.problem is None
        and card.lineage
        and card.lineage.verb == verb
        and card.lineage.base in {base, *paths}
    ]
    best = max(found, key=lambda card: (card.made_by or 0, not card.adapter_of), default=None)
    return best.name if best is not None else ""


def _server(store: Store, model: str) -> int:
    """The newest job that served ``model``; 0 for none."""
    rows = store.list(verb="serve", limit=LOOKED_AT)
    return next((row.id for row in rows if row.title == model and row.started), 0)


def _there(store: Store, job: object) -> int:
    """``job`` where it is still there, else 0."""
    if not isinstance(job, int):
        return 0
    try:
        return store.get(job).id
    except NotFoundError:
        return 0
