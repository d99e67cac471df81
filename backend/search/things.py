"""Models, datasets, evaluations, question sets and engines: lists short enough to be looked at whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from backend import catalog
from backend.catalog.entries import entries
from backend.data.store import Datasets
from backend.engines import engines as known_engines
from backend.evaluate import sets
from backend.i18n import _, ngettext
from backend.search.found import Group, Hit, best
from backend.search.sources import Sources
from backend.search.words import WITHIN, Near, Query, around, fold, shown

MOST_RUNS = 5_000


@dataclass(frozen=True)
class Thing:
    """A thing before it is known whether it fits. facts: said in one line. text: what else it is found by."""

    key: str
    title: str
    facts: str
    page: str
    address: dict[str, str] = field(default_factory=dict)
    text: str = ""
    when: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


def models(sources: Sources) -> Iterator[Thing]:
    """The list of models."""
    known = {str(entry["name"]): entry for entry in entries(sources.workspace)}
    for card in catalog.models(sources.workspace, catalog.TRUST_S):
        facts = (card.architecture, card.quantization or card.dtype, card.license, card.adapter_of, str(card.path))
        added = known.get(card.name, {}).get("added")
        address = {"view": "list", "model": card.name}
        when = float(added) if isinstance(added, int | float) else None
        yield Thing(card.name, card.name, " · ".join(filter(None, facts)), "models", address, when=when)


def datasets(sources: Sources) -> Iterator[Thing]:
    """The datasets, by name, note and what they were made from."""
    for info in Datasets(sources.workspace).list():
        now = info.current
        told = [str(source.get("dataset") or source.get("file") or "") for source in now.made_from]
        rows = ngettext("{n} row", "{n} rows", now.rows).format(n=f"{now.rows:,}")
        facts = " · ".join(filter(None, (rows, " ".join(now.note.split()), *told[:3])))
        yield Thing(info.name, info.name, facts, "datasets", {"set": info.name}, text=now.schema, when=info.updated)


def evaluations(sources: Sources) -> Iterator[Thing]:
    """Runs of evaluations, by name, model and set."""
    for run in sources.runs().runs(limit=MOST_RUNS):
        facts = " · ".join(filter(None, (run.model, run.set_title or run.set_name, run.evaluator)))
        address = {"view": "results", "run": str(run.id)}
        title = run.name or run.model
        yield Thing(str(run.id), title, facts, "evaluate", address, text=run.set_name, when=run.ended or run.began)


def question_sets(sources: Sources) -> Iterator[Thing]:
    """What can be asked, by name, title and subjects."""
    for one in sets.listed(sources.workspace):
        subjects = [subject.title or subject.name for subject in one.subjects]
        count = ngettext("{n} question", "{n} questions", one.questions).format(n=f"{one.questions:,}")
        facts = " · ".join((count, *subjects))
        yield Thing(one.name, one.title or one.name, facts, "evaluate", {"view": "sets"}, text=one.name)


def engines(_sources: Sources) -> Iterator[Thing]:
    """The engines, installed or not."""
    for name, engine in known_engines().items():
        facts, address = _(engine.purpose), {"view": "engines", "engine": name}
        yield Thing(name, engine.title, facts, "environments", address, text=f"{name} {engine.purpose}")


def group(kind: str, things: Iterable[Thing], asked: Query, limit: int, *, near: bool = False) -> Group:
    """Those of ``things`` that are looked for. near: by their names, with a slip of the finger."""
    meant = Near(asked) if near else None
    hits = []
    for thing in things:
        name, facts = fold(shown(thing.title)), shown(thing.facts)
        if meant is not None:
            rank = WITHIN if meant(name) else None
        else:
            rank = asked.rank(name, fold(f"{facts} {thing.text}"))
        if rank is not None:
            hits.append(_hit(kind, thing, around(asked, facts), rank))
    return best(kind, hits, limit)


def newest(kind: str, things: Iterable[Thing], limit: int) -> Group:
    """Those that were changed last; things without a time are no news."""
    dated = sorted((thing for thing in things if thing.when), key=lambda thing: -(thing.when or 0.0))
    hits = tuple(_hit(kind, thing, shown(thing.facts), -1) for thing in dated[:limit])
    return Group(kind, hits, len(dated))


def _hit(kind: str, thing: Thing, context: str, rank: int) -> Hit:
    return Hit(
        kind,
        thing.key,
        shown(thing.title) or _("Untitled"),
        context,
        thing.page,
        thing.address,
        thing.when,
        rank,
        thing.more,
    )
