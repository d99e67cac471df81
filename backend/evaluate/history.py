"""Scores of a model and of the models that it was made from: what each step of its making did to them.

A model says what made it in ``tunedeck.json`` (:mod:`backend.catalog.lineage`); an adapter names its base. Runs are found by the name under which a
model was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.catalog import ModelCard
from backend.catalog.entries import models
from backend.catalog.joining import Bases
from backend.catalog.names import legal_name
from backend.evaluate import groups
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore
from backend.workspace import Workspace

LONGEST = 20
"""Steps of a lineage that are followed; a circle in it ends there."""
MOST_RUNS = 100


@dataclass(frozen=True)
class Point:
    """One run. score: of all its subjects together, None where it has none. scores: its cells."""

    run: Run
    score: Score | None
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Step:
    """One model of the lineage. verb: kind of job that made it out of the step before, may be empty. job: its number. listed: whether it is on the list
    of models now; one that was removed may still have scores. points: oldest first."""

    model: str
    verb: str = ""
    job: int | None = None
    listed: bool = True
    points: tuple[Point, ...] = ()


def of_model(workspace: Workspace, store: EvaluateStore, model: str) -> list[Step]:
    """The lineage of ``model``, the first base first, ``model`` itself last, each with its runs."""
    cards = models(workspace)
    by_name = {card.name: card for card in cards}
    bases = Bases(cards)
    steps: list[Step] = []
    seen: set[str] = set()
    name: str | None = model
    while name and name not in seen and len(steps) < LONGEST:
        seen.add(name)
        card = by_name.get(name)
        lineage = card.lineage if card else None
        verb, job = (lineage.verb, lineage.job) if lineage else ("", None)
        steps.append(Step(name, verb, job, card is not None, _points(store, name)))
        name = _base(card, by_name, bases) if card else None
    return steps[::-1]


def overall(run: Run, scores: list[Score]) -> Score | None:
    """The one number of a run: the average over all subjects, where there is one."""
    rows = groups.with_averages(run.set_name, scores)
    known = {"ceval", "ceval-test", "mmlu", run.set_name}
    averages = [row for row in rows if row.group and row.value is not None and row.subject in known]
    single = [row for row in rows if not row.group and row.value is not None]
    return averages[0] if averages else single[0] if len(single) == 1 and len(rows) == 1 else None


def _points(store: EvaluateStore, name: str) -> tuple[Point, ...]:
    found = []
    for run in reversed(store.runs(model=name, limit=MOST_RUNS)):
        scores = store.scores(run.id)
        found.append(Point(run, overall(run, scores), tuple(scores)))
    return tuple(found)


def _base(card: ModelCard, by_name: Mapping[str, ModelCard], bases: Bases) -> str | None:
    """The name of what ``card`` was made from; as it is written down where it is not on the list."""
    if card.adapter_of:
        found = bases.of(card)
        return found[0].name if found else None
    told = card.lineage.base if card.lineage else ""
    if not told:
        return None
    for each in by_name.values():
        if told in (each.name, str(each.path)):
            return each.name
    short = legal_name(told.rstrip("/").rsplit("/", 1)[-1])
    return short if short in by_name else told
