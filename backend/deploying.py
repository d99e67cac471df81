"""From what a person wants (this model, so many people, so much memory) to the settings of a server, and what it will take.

The estimate is plain arithmetic over the model's card: weights, KV cache, the engine's own program. Its band goes from the
empty server to one whose KV cache is full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from backend.catalog import ModelCard
from backend.engines import ENGINES, check
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.memory.machine import Machine
from backend.specs import parse
from backend.specs.serve import ServeSpec

TOGETHER_FROM = 4
"""From so many people on, transformers computes answers together. Measured on two CPU cores, eight clients at once: 426
instead of 179 tokens/s in all; a lone answer is slower that way, and cannot have a seed of its own."""
TOGETHER_TOKENS, MOST_TOGETHER_TOKENS = 8192, 32768
"""The KV cache that all answers share then (jobs/serve.py)."""
FIXES: dict[str, tuple[str, ...]] = {
    "less_memory": (
        "engine_out_of_memory",
        "engine_kv_cache_too_large",
        "engine_killed",
        "not_enough_memory",
        "not_enough_gpu_memory",
    ),
    "transformers": (
        "engine_gpu_unsupported",
        "engine_no_cuda",
        "engine_driver_too_old",
        "engine_architecture_unknown",
        "model_architecture_unknown",
    ),
    "own_template": ("engine_chat_template_bad",),
    "no_parsers": ("engine_parser_unknown",),
    "no_adapters": ("engine_adapter_bad",),
    "auto_format": ("engine_quantization_unknown",),
}
"""Another attempt that is likely to do better -> the failures (see :mod:`backend.engines.crashes`) that it is for."""
RESETS = {
    "own_template": ("chat_template",),
    "no_parsers": ("tool_call_parser", "reasoning_parser"),
    "no_adapters": ("adapters",),
    "auto_format": ("model_format",),
}
LEAST_CONTEXT = 256
DEFAULT_CONTEXT = 2048
WIDEN_UP_TO = 2 << 30
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
    """options: the spec's fields beside the model. parts: bytes, see :meth:`backend.engines.Engine.memory_bytes`. free,
    budget: bytes, None where the machine does not say. context: tokens of one conversation. together: several answers are
    computed at once. at_once: all of its memory is taken at the start. problem: why it cannot be started like that."""

    options: dict[str, Any]
    on_gpu: bool
    parts: dict[str, int]
    free: int | None
    budget: int | None
    context: int
    together: bool
    at_once: bool = False
    problem: PanelError | None = None

    @property
    def low(self) -> int:
        """Bytes of the server before the first request."""
        return self.parts["weights"] + self.parts["runtime"]

    @property
    def high(self) -> int:
        """Bytes with a full KV cache."""
        return self.low + self.parts["kv_cache"]


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


def free_bytes(machine: Machine) -> int | None:
    """What a server could take now: of the roomiest GPU, or of main memory where there is none."""
    if machine.gpus:
        return max((gpu.free for gpu in machine.gpus if gpu.free is not None), default=None)
    return machine.ram_free


def plan(wish: Wish, machine: Machine) -> Plan:
    """What ``wish`` comes to on ``machine`` as it is now."""
    on_gpu = bool(machine.gpus) and wish.more.get("device") != "cpu"
    free = free_bytes(machine) if on_gpu else machine.ram_free
    budget = int(wish.memory_gib * GIB) or free
    sized = _lmdeploy if wish.engine == "lmdeploy" else _transformers
    made = sized(wish, on_gpu, free, budget)
    return replace(made, problem=_problem(made, wish, len(machine.gpus)))


def _transformers(wish: Wish, on_gpu: bool, free: int | None, budget: int | None) -> Plan:
    card, more = wish.card.served, wish.more
    factor = _widening(card, on_gpu)
    parts = ENGINES["transformers"].memory_bytes(card, 1)
    weights, runtime, token = parts["weights"] * factor, parts["runtime"], parts["kv_cache"] * factor
    room = max(0, budget - weights - runtime) // token if budget is not None and token else None
    batching = str(more.get("continuous_batching", "auto"))
    if batching == "auto":
        many = wish.people >= TOGETHER_FROM
        batching = "on" if many and (room is None or room >= TOGETHER_TOKENS) else "off"
    together = batching == "on"
    whole = card.context_length or DEFAULT_CONTEXT
    context = min(whole, int(more.get("context_length") or whole), whole if room is None else room)
    options = {"engine": "transformers", **more, "continuous_batching": batching}
    if context < whole:
        options["context_length"] = context
    if on_gpu:
        options["device"] = "cuda"
    cache = max(TOGETHER_TOKENS, min(context, MOST_TOGETHER_TOKENS)) if together else context
    return Plan(
        options=options,
        on_gpu=on_gpu,
        parts={"weights": weights, "kv_cache": cache * token, "runtime": runtime},
        free=free,
        budget=budget,
        context=context,
        together=together,
    )


def _lmdeploy(wish: Wish, on_gpu: bool, free: int | None, budget: int | None) -> Plan:
    """It takes its KV cache at the start, in one piece: a memory budget becomes the cache's size."""
    card, more = wish.card, wish.more
    gpus = int(more.get("tp") or 1)
    parts = ENGINES["lmdeploy"].memory_bytes(card, 1)
    weights, runtime = parts["weights"] // gpus, parts["runtime"]
    options = {"engine": "lmdeploy", **more}
    if wish.people > 1:
        options.setdefault("max_batch_size", wish.people)
    if wish.memory_gib and budget is not None and not {"kv_cache_gib", "gpu_mib"} & more.keys():
        options["kv_cache_gib"] = max(1, 100 * (budget - weights - runtime) // GIB) / 100  # never more than that
    if "kv_cache_gib" in options:
        cache = int(float(options["kv_cache_gib"] or 0) * GIB)
    elif more.get("gpu_mib"):
        cache = max(0, (int(more["gpu_mib"]) << 20) - weights - runtime)
    else:
        share = float(more.get("cache_max_entry_count") or 0.8)
        cache = int(share * max(0, (free or 0) - weights - runtime))
    whole = card.context_length or DEFAULT_CONTEXT
    return Plan(
        options=options,
        on_gpu=on_gpu,
        parts={"weights": weights, "kv_cache": cache, "runtime": runtime},
        free=free,
        budget=budget,
        context=min(whole, int(more.get("context_length") or whole)),
        together=True,
        at_once=True,
    )


def _problem(made: Plan, wish: Wish, gpus: int) -> PanelError | None:
    try:
        spec = parse("serve", {"model": wish.card.name, **made.options})
        assert isinstance(spec, ServeSpec)
        check(ENGINES[wish.engine], spec, wish.card, gpus)
    except PanelError as error:
        return error
    asked = int(wish.more.get("context_length") or 0)
    least = min(LEAST_CONTEXT, wish.card.served.context_length or DEFAULT_CONTEXT, asked or LEAST_CONTEXT)
    needed = made.low + made.parts["kv_cache"] * min(1.0, least / max(1, made.context))
    if made.budget is not None and (made.context < least or needed > made.budget):
        return ServerError(
            "serve_memory_too_small",
            N_("'{model}' needs at least {needed:.1f} GiB, and may take {budget:.1f} GiB."),
            N_("Let it take more memory, stop other servers, or choose a smaller or quantized model."),
            model=wish.card.name,
            needed=needed / GIB,
            budget=made.budget / GIB,
        )
    if made.free is not None and needed > made.free:
        return ServerError(
            "not_enough_gpu_memory" if made.on_gpu else "not_enough_memory",
            N_("'{model}' needs about {needed:.1f} GiB of memory and {free:.1f} GiB are free."),
            N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
            model=wish.card.name,
            needed=needed / GIB,
            free=made.free / GIB,
        )
    return None


def fix(code: str, spec: dict[str, Any], card: ModelCard | None) -> tuple[str, dict[str, Any]] | None:
    """What is likely to help against the failure ``code`` of a server with the settings ``spec``: its name, one of
    :data:`FIXES`, and the settings to try next. None where only the same again can be tried."""
    name = next((name for name, codes in FIXES.items() if code in codes), "")
    if name == "less_memory":
        return name, {**spec, **less_memory(spec, card)}
    if name == "transformers":
        kept = ("model", "name", *ENGINES["transformers"].options())
        new = {**{field: spec[field] for field in kept if field in spec}, "engine": "transformers"}
        return None if spec.get("engine") == "transformers" else (name, new)
    if name:
        reset = {field: ServeSpec.model_fields[field].get_default() for field in RESETS[name]}
        return (name, {**spec, **reset}) if any(spec.get(field) for field in reset) else None
    return None


def less_memory(spec: dict[str, Any], card: ModelCard | None) -> dict[str, Any]:
    """Changes to the settings ``spec`` of a server that ran out of memory: half the KV cache where its size was given, and
    half the context; answers one at a time where that can be chosen."""
    context = int(spec.get("context_length") or 0) or (card.served.context_length if card else None) or DEFAULT_CONTEXT
    changes: dict[str, Any] = {"context_length": max(LEAST_CONTEXT, context // 2)}
    if spec.get("engine") == "lmdeploy":
        if spec.get("kv_cache_gib"):
            return {**changes, "kv_cache_gib": float(spec["kv_cache_gib"]) / 2}
        return {**changes, "cache_max_entry_count": float(spec.get("cache_max_entry_count") or 0.8) / 2}
    return {**changes, "continuous_batching": "off"}


def _widening(card: ModelCard, on_gpu: bool) -> int:
    """How many times its stored size a model takes: small ones in float16 are widened on a CPU (jobs/serving/memory.py)."""
    small = 2 * card.size_bytes <= WIDEN_UP_TO
    return 2 if not on_gpu and not card.quantization and card.dtype == "float16" and small else 1
