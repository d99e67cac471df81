"""Which engine serves a model, and whether it can be set as asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from backend.catalog.cards import ModelCard
from backend.engines.base import Problem, ServingEngine
from backend.engines.registry import serving
from backend.errors import PanelError, SpecError
from backend.i18n import N_, _
from backend.specs.serve import ServeSpec

ENGINES: dict[str, ServingEngine] = serving()
"""By name, the one to prefer first."""
COMMON = frozenset({"model", "name", "engine"})


def pick(spec: ServeSpec, card: ModelCard) -> ServingEngine:
    """The engine that ``spec`` names; for ``auto`` the first that runs on this machine and takes this model, of these the
    first that can be set as asked.

    Raises:
        PanelError: why the one named, or none of them, can serve it here.
    """
    if spec.engine != "auto":
        engine = ENGINES[spec.engine]
        problem = engine.unavailable() or engine.refuses(card)
        if problem is not None:
            raise problem
        return engine
    # The model that ships with TuneDeck is so small that a CPU answers at once: no GPU is taken for it unasked.
    engines = [e for e in ENGINES.values() if not (e.name == "lmdeploy" and (spec.device == "cpu" or card.builtin))]
    able = [engine for engine in engines if engine.unavailable() is None and engine.refuses(card) is None]
    fitting = [engine for engine in able if not foreign(engine, spec) and not engine.problems(spec, card)]
    if able:
        return (fitting or able)[0]
    last = engines[-1]
    problem = last.refuses(card) or last.unavailable()
    assert problem is not None
    raise problem


def check(
    engine: ServingEngine, spec: ServeSpec, card: ModelCard, gpus: int | None = None, more: Sequence[Problem] = ()
) -> None:
    """Whether ``engine`` can be set as ``spec`` says, on a machine with ``gpus`` GPUs (None: not looked at).

    Raises:
        SpecError: ``spec_bad``, like the one of :func:`backend.specs.parse`: *all* that does not fit, and ``more``.
    """
    found = [*foreign(engine, spec), *engine.problems(spec, card, gpus), *more]
    if not found:
        return
    raise SpecError(
        "spec_bad",
        N_("The settings of this '{verb}' job cannot be used. {listing}"),
        N_("Correct the fields named and submit again."),
        verb=spec.verb,
        listing="; ".join(f"{problem.field}: {problem.message.rstrip('.。')}" for problem in found),
        problems=[{"field": problem.field, "message": problem.message} for problem in found],
    )


def foreign(engine: ServingEngine, spec: ServeSpec) -> list[Problem]:
    """Settings that somebody changed and that mean nothing to ``engine``."""
    known = COMMON | set(engine.options())
    return [
        Problem(name, _("{engine} has no such setting.").format(engine=engine.title))
        for name, info in ServeSpec.model_fields.items()
        if name not in known and getattr(spec, name) != info.default
    ]


def refusal(card: ModelCard) -> PanelError | None:
    """Why nothing on this machine serves ``card``, however it is set; None where something does."""
    return next(refusal_of_each([card]))


def refusal_of_each(cards: Iterable[ModelCard]) -> Iterator[PanelError | None]:
    """:func:`refusal` of each of ``cards``. Cheap for most models: a page asks for each on the list."""
    away: dict[str, PanelError | None] = {}
    for card in cards:
        yield _refusal(card, away)


def _refusal(card: ModelCard, away: dict[str, PanelError | None]) -> PanelError | None:
    """away: engine -> why it cannot be used, of those that were asked already."""
    first: PanelError | None = None
    for name, engine in reversed(ENGINES.items()):  # the one that is always there says why, or ends it
        problem = engine.refuses(card)
        if problem is None:
            if name not in away:
                away[name] = engine.unavailable()
            problem = away[name]
        if problem is None:
            return None
        first = first or problem
    return first
