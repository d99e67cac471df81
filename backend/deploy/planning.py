"""From what a person wants (this model, so many people, so much memory) to the settings of a server, and what it will take.

What it will take is forecast by :mod:`backend.memory.forecast`, as it is for every job: see :mod:`backend.memory.planned`.
The band goes from the empty server to the upper estimate of one whose KV cache is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from backend.catalog import ModelCard
from backend.engines import ENGINES, check
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.memory import planned
from backend.memory.budget import Budget, free_now
from backend.memory.forecast import ModelFacts, facts
from backend.memory.machine import Machine
from backend.memory.planned import DEFAULT_CONTEXT, Planned
from backend.memory.sample import HOST
from backend.memory.trust import Residual, corrected
from backend.specs import parse
from backend.specs.serve import ServeSpec

TOGETHER_FROM = 4
"""From so many people on, transformers computes answers together. Measured on two CPU cores, eight clients at once: 426
instead of 179 tokens/s in all; a lone answer is slower that way, and cannot have a seed of its own."""
LEAST_CONTEXT = 256
GIB = 1 << 30


@dataclass(frozen=True)
class Wish:
    """people: who ask at the same time. memory_gib: what the server may take in all; 0: what is free. more: further
    fields of the spec; they win over what would follow from the first two."""

    card: ModelCard
    engine: str
    people: int = 1
    memory_gib: float = 0.0
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """options: the spec's fields beside the model. planned: what it takes; None where nobody can tell, because of ``unknown``.
    room: what is free where it will run, and what of it may be counted on. budget: bytes that it may take, None where the
    machine does not say. context: tokens of one conversation. together: several answers are computed at once. at_once: all
    of its memory is taken at the start. problem: why it cannot be started like that."""

    options: dict[str, Any]
    planned: Planned | None
    room: Budget
    budget: int | None
    context: int
    together: bool
    at_once: bool = False
    unknown: PanelError | None = None
    problem: PanelError | None = None

    @property
    def on_gpu(self) -> bool:
        return self.room.on_gpu

    @property
    def free(self) -> int | None:
        """Bytes that are free now."""
        return self.room.free

    @property
    def low(self) -> int:
        """Bytes of the server before the first request."""
        return self.planned.low if self.planned else 0

    @property
    def high(self) -> int:
        """Bytes with a full KV cache, at most."""
        return int(self.planned.estimate.p95) if self.planned else 0

    def term(self, name: str) -> int:
        """Bytes of one term of the forecast, such as ``weights``."""
        terms = self.planned.estimate.terms if self.planned else ()
        return sum(int(term.p50) for term in terms if term.name == name)


def engines_for(card: ModelCard) -> dict[str, PanelError | None]:
    """Engine -> why it cannot serve ``card`` here; None where it can. The one to prefer comes first."""
    return {name: engine.unavailable() or engine.refuses(card) for name, engine in ENGINES.items()}


def refused(cards: Iterable[ModelCard]) -> dict[str, PanelError]:
    """Name -> why no engine here can serve it, for those of ``cards`` of which that is so. A broken model says what is
    broken."""
    # Looked at once: it costs a millisecond, and there may be a thousand models.
    missing = {name: engine.unavailable() for name, engine in ENGINES.items()}
    there = [engine for name, engine in ENGINES.items() if missing[name] is None]
    found: dict[str, PanelError] = {}
    for card in cards:
        # An engine that could run says more about the model than one that is not there.
        reasons = [engine.refuses(card) for engine in there] or list(missing.values())
        if None not in reasons:
            found[card.name] = card.problem or next(reason for reason in reasons if reason is not None)
    return found


def plan(wish: Wish, machine: Machine, room: Budget | None = None, learned: Residual | None = None) -> Plan:
    """What ``wish`` comes to on ``machine`` as it is now. room: what may be counted on, see :func:`place_of`; without it all
    that is free. learned: what earlier servers of this engine took here."""
    here = Here(machine, room or free_now(machine, None, place_of(wish, machine)), learned or Residual())
    room = here.room
    safe = room.free_after_growth
    budget = min(filter(None, (int(wish.memory_gib * GIB), safe)), default=safe)
    sized = _lmdeploy if wish.engine == "lmdeploy" else _transformers
    try:
        here = replace(here, facts=facts.from_card(wish.card))
        made = sized(wish, here, budget)
    except PanelError as error:
        made = _unforeseen(wish, room, budget, error)
    return replace(made, problem=_problem(made, wish, here))


def place_of(wish: Wish, machine: Machine) -> str | None:
    """Where the server will run, for :func:`backend.memory.budget.free_now`: the roomiest GPU (None), or main memory."""
    return None if machine.gpus and wish.more.get("device") != "cpu" else HOST


@dataclass(frozen=True)
class Here:
    """What is known of where a server will run, and of its model: read once, asked for many plans."""

    machine: Machine
    room: Budget
    learned: Residual
    facts: ModelFacts | None = None


def _foreseen(wish: Wish, here: Here, **options: Any) -> Planned:
    room = here.room
    made = planned.serving(
        wish.card, wish.engine, options, here.machine, on_gpu=room.on_gpu, free=room.free, known=here.facts
    )
    return replace(made, estimate=corrected(made.estimate, here.learned))


def _unforeseen(wish: Wish, room: Budget, budget: int | None, error: PanelError) -> Plan:
    """The plan for a model whose files do not say enough for a forecast: it is started as it was asked for."""
    lmdeploy = wish.engine == "lmdeploy"
    together = lmdeploy or wish.more.get("continuous_batching") == "on"
    return Plan(
        options={"engine": wish.engine, **wish.more},
        planned=None,
        room=room,
        budget=budget,
        context=planned.context_of(wish.card, wish.more),
        together=together,
        at_once=lmdeploy,
        unknown=error,
    )


def _transformers(wish: Wish, here: Here, budget: int | None) -> Plan:
    more = {"continuous_batching": "auto", **wish.more}
    whole = planned.context_of(wish.card, {})
    if more["continuous_batching"] == "auto":
        many = wish.people >= TOGETHER_FROM
        shared = _foreseen(wish, here, **{**more, "continuous_batching": "on"}) if many else None
        more["continuous_batching"] = "on" if shared and _within(shared, budget) else "off"

    def fits(tokens: int) -> bool:
        return _within(_foreseen(wish, here, **{**more, "context_length": tokens}), budget)

    asked = planned.context_of(wish.card, more)
    together = more["continuous_batching"] == "on"
    # Answers that are computed together share one KV cache of a fixed size: a shorter context saves none of it.
    context = asked if fits(asked) or together else _most(_least(wish), asked, fits)
    options = {"engine": "transformers", **more}
    if context < whole:
        options["context_length"] = context
    if here.room.on_gpu:
        options["device"] = "cuda"
    return Plan(
        options=options,
        planned=_foreseen(wish, here, **options),
        room=here.room,
        budget=budget,
        context=context,
        together=together,
    )


def _within(found: Planned, budget: int | None) -> bool:
    return budget is None or found.estimate.p95 <= budget


def _least(wish: Wish) -> int:
    """Tokens below which a conversation is of no use; the model's own context, or the one asked for, may be shorter."""
    asked = int(wish.more.get("context_length") or 0)
    return min(LEAST_CONTEXT, wish.card.served.context_length or DEFAULT_CONTEXT, asked or LEAST_CONTEXT)


def _most(least: int, asked: int, fits: Callable[[int], bool]) -> int:
    """The largest number below ``asked``, which is too much, that ``fits``; ``least`` where none does."""
    low, high = least, asked
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _lmdeploy(wish: Wish, here: Here, budget: int | None) -> Plan:
    """It takes its KV cache at the start, in one piece: a memory budget becomes the cache's size."""
    options = {"engine": "lmdeploy", **wish.more}
    if wish.people > 1:
        options.setdefault("max_batch_size", wish.people)
    if wish.memory_gib and budget is not None and not {"kv_cache_gib", "gpu_mib"} & wish.more.keys():

        def fits(hundredths: int) -> bool:
            return _within(_foreseen(wish, here, **{**options, "kv_cache_gib": hundredths / 100}), budget)

        options["kv_cache_gib"] = _most(1, max(1, 100 * budget // GIB), fits) / 100  # never more than that
    return Plan(
        options=options,
        planned=_foreseen(wish, here, **options),
        room=here.room,
        budget=budget,
        context=planned.context_of(wish.card, wish.more),
        together=True,
        at_once=True,
    )


def _problem(made: Plan, wish: Wish, here: Here) -> PanelError | None:
    try:
        spec = parse("serve", {"model": wish.card.name, **made.options})
        assert isinstance(spec, ServeSpec)
        check(ENGINES[wish.engine], spec, wish.card, len(here.machine.gpus))
    except PanelError as error:
        return error
    if made.planned is None:
        return None
    limit = int(wish.memory_gib * GIB)
    if all(made.high <= size for size in (limit or None, made.free) if size is not None):
        return None
    likely, most = _least_bytes(made, wish, here)
    if limit and most > limit:
        return ServerError(
            "serve_memory_too_small",
            N_("'{model}' needs at least {needed:.1f} GiB, and may take {budget:.1f} GiB."),
            N_("Let it take more memory, stop other servers, or choose a smaller or quantized model."),
            model=wish.card.name,
            needed=most / GIB,
            budget=limit / GIB,
        )
    if made.free is not None and likely > made.free:
        return ServerError(
            "not_enough_gpu_memory" if made.on_gpu else "not_enough_memory",
            N_("'{model}' needs about {needed:.1f} GiB of memory and {free:.1f} GiB are free."),
            N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
            model=wish.card.name,
            needed=likely / GIB,
            free=made.free / GIB,
        )
    return None


def _least_bytes(made: Plan, wish: Wish, here: Here) -> tuple[int, int]:
    """What the smallest server of use takes: likely, and at most."""
    least = _least(wish)
    if made.at_once:
        spared = int(made.term("kv_cache") * (1 - min(1.0, least / max(1, made.context))))
        return made.low - spared, made.high - spared
    options = {**made.options, "context_length": least}
    found = _foreseen(wish, here, **options).estimate
    return int(found.p50), int(found.p95)
