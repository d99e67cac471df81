"""The forecast itself, whether it fits, and what would: the largest batch, sequence, share, and the smallest change that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from backend.i18n import N_
from backend.memory.forecast import serving, training
from backend.memory.forecast.facts import ModelFacts
from backend.memory.forecast.plans import Plan, ServePlan, TrainPlan
from backend.memory.forecast.terms import Estimate, Reason, Term, gib, together

State = Literal["fits", "tight", "does_not_fit"]
MOST_BATCH, MOST_SEQ, MOST_PEOPLE = 4096, 1 << 20, 4096
LEAST_SEQ = 128
STEP = 64
"""Sequences are told in steps of so many tokens."""
RATIOS = 0.95
"""LMDeploy is never told to take more of what is free than that."""


class Verdict(NamedTuple):
    """state: ``fits`` even at p95; ``tight``: at p50 only; ``does_not_fit``. reason: a sentence, translated when it is read."""

    state: State
    reason: Reason


@dataclass(frozen=True)
class Change:
    """field: of the plan, or several of them. to: what they become. plan, estimate: what comes of it."""

    field: str
    to: Any
    text: Reason
    plan: Plan
    estimate: Estimate


@dataclass(frozen=True)
class Solution:
    """The largest of each that still fits at p95, everything else as planned; None where nothing does, or where it does not
    belong to the plan. cache_ratio, cache_bytes: of LMDeploy's KV cache. changes: what would make the plan fit, the smallest
    first; empty where it fits as it is or nothing helps."""

    verdict: Verdict
    batch: int | None = None
    seq: int | None = None
    concurrency: int | None = None
    session_len: int | None = None
    cache_ratio: float | None = None
    cache_bytes: int | None = None
    changes: tuple[Change, ...] = ()


def estimate(facts: ModelFacts, plan: Plan) -> Estimate:
    """What ``plan`` takes on each device with the model of ``facts``.

    Raises:
        SpecError: ``lora_targets_unknown``.
    """
    capacity: int | None = None
    if isinstance(plan, ServePlan):
        found, capacity = serving.terms(facts, plan)
    else:
        found = training.terms(facts, plan)
    found = [term for term in found if term.p95]
    made = _sum(found, capacity)
    free = plan.free
    if free is None:
        return made
    judged = verdict(made, free)
    if isinstance(plan, ServePlan) and capacity is not None and plan.session_len:
        judged = _room(judged, plan, capacity)
    return replace(made, fits=judged.state != "does_not_fit", why=judged.reason)


def verdict(estimate: Estimate, free: int) -> Verdict:
    """Whether ``estimate`` fits into ``free`` bytes, and why (not)."""
    largest = max(estimate.terms, key=lambda term: term.p50)
    params = {"need": gib(estimate.p50), "most": gib(estimate.p95), "free": gib(free), "part": gib(largest.p50)}
    if estimate.p95 <= free:
        text = N_("It needs {need} GiB, {most} at most, of {free} GiB; the largest part is {term}, {part} GiB.")
        return Verdict("fits", Reason(text, params, largest.name))
    if estimate.p50 <= free:
        text = N_(
            "It needs about {need} GiB of {free} GiB, but may need {most}; the largest part is {term}, {part} GiB."
        )
        return Verdict("tight", Reason(text, params, largest.name))
    text = N_("It needs about {need} GiB and {free} GiB are free; the largest part is {term}, {part} GiB.")
    return Verdict("does_not_fit", Reason(text, params, largest.name))


def solve(facts: ModelFacts, plan: Plan, free: int) -> Solution:
    """What would fit into ``free`` bytes. Takes some milliseconds: it asks :func:`estimate` some hundred times."""
    total = max(plan.total or 0, free)
    plan = replace(plan, total=total, used=total - free)

    def fits(changed: Plan) -> bool:
        return _judged(facts, changed, free).state == "fits"

    judged = _judged(facts, plan, free)
    changes = () if judged.state == "fits" else tuple(_helping(facts, plan, free))
    if isinstance(plan, TrainPlan):
        training_plan = plan
        seq = _largest(lambda n: fits(replace(training_plan, seq=STEP * n)), MOST_SEQ // STEP)
        return Solution(
            judged,
            batch=_largest(lambda n: fits(replace(training_plan, batch=n)), MOST_BATCH),
            seq=seq and seq * STEP,
            changes=changes,
        )
    serving_plan = plan
    if plan.engine == "transformers":
        session = _largest(lambda n: fits(replace(serving_plan, session_len=STEP * n)), MOST_SEQ // STEP)
        return Solution(
            judged,
            concurrency=_largest(lambda n: fits(replace(serving_plan, concurrency=n)), MOST_PEOPLE),
            session_len=session and session * STEP,
            changes=changes,
        )
    # Memory alone decides: a smaller share would hold fewer conversations, not more.
    shared = replace(serving_plan, cache_bytes=None, session_len=None)
    ratio = _largest(lambda n: fits(replace(shared, cache_ratio=n / 100)), int(RATIOS * 100))
    made = estimate(facts, replace(serving_plan, cache_bytes=None, cache_ratio=(ratio or 0) / 100))
    cache, room = made.term("kv_cache"), made.capacity or 0
    session = serving_plan.session_len or serving.SESSION
    return Solution(
        judged,
        concurrency=room // session if ratio else None,
        session_len=room // max(1, plan.concurrency) if ratio else None,
        cache_ratio=ratio and ratio / 100,
        cache_bytes=cache.p50 if ratio and cache is not None else None,
        changes=changes,
    )


def _sum(found: list[Term], capacity: int | None) -> Estimate:
    p50, p95 = together([(term.p50, term.p95) for term in found])
    torch = together([term.torch for term in found])
    largest = max(found, key=lambda term: term.p50)
    params = {"need": gib(p50), "most": gib(p95), "part": gib(largest.p50)}
    why = Reason(
        N_("It needs {need} GiB, {most} at most; the largest part is {term}, {part} GiB."), params, largest.name
    )
    return Estimate(tuple(found), p50, p95, *torch, fits=None, why=why, capacity=capacity)


def _judged(facts: ModelFacts, plan: Plan, free: int) -> Verdict:
    made = estimate(facts, plan)
    judged = verdict(made, free)
    if isinstance(plan, ServePlan) and made.capacity is not None and plan.session_len:
        return _room(judged, plan, made.capacity)
    return judged


def _room(judged: Verdict, plan: ServePlan, capacity: int) -> Verdict:
    """``judged``, or worse where the KV cache is too small for what people want to say."""
    session, people = plan.session_len or 0, plan.concurrency
    params = {"room": capacity, "session": session, "people": people}
    if capacity < session:
        text = N_("The KV cache holds {room} tokens, less than one conversation of {session}.")
        return Verdict("does_not_fit", Reason(text, params))
    if capacity < session * people and judged.state == "fits":
        text = N_("The KV cache holds {room} tokens: {people} conversations of {session} take turns.")
        return Verdict("tight", Reason(text, params))
    return judged


def _largest(fits: Callable[[int], bool], most: int) -> int | None:
    """The largest number up to ``most`` that fits, by bisection: what fits with n fits with fewer."""
    if not fits(1):
        return None
    low, high = 1, 2
    while high < most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _helping(facts: ModelFacts, plan: Plan, free: int) -> Iterator[Change]:
    """Every single change that makes it fit; where none does, the first of them all together that do."""
    found = False
    steps = list(_serve_steps(plan, facts) if isinstance(plan, ServePlan) else _train_steps(plan))
    for fields, text in steps:
        one: Plan = replace(plan, **fields)
        if _judged(facts, one, free).state == "fits":
            found = True
            yield Change(", ".join(fields), tuple(fields.values()), text, one, estimate(facts, one))
    if found:
        return
    changed: Plan = plan
    gathered: dict[str, Any] = {}
    for fields, _text in steps:
        changed, gathered = replace(changed, **fields), {**gathered, **fields}
        if _judged(facts, changed, free).state == "fits":
            text = Reason(N_("Only together: {what}"), {"what": _listed(gathered)})
            yield Change(", ".join(gathered), tuple(gathered.values()), text, changed, estimate(facts, changed))
            return


def _listed(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in fields.items())


def _train_steps(plan: TrainPlan) -> Iterator[tuple[dict[str, Any], Reason]]:
    """From what changes the result least to what changes it most."""
    if not plan.checkpointing:
        yield (
            {"checkpointing": True},
            Reason(N_("Turn on gradient checkpointing: about a third slower, the same result.")),
        )
    if plan.batch > 1:
        text = N_("Take batches of 1, and accumulate {times} times as many: the same result, slower.")
        fields = {"batch": 1, "accumulation": plan.batch * plan.accumulation}
        yield fields, Reason(text, {"times": plan.batch})
    if plan.optimizer == "adamw":
        yield {"optimizer": "adamw_8bit"}, Reason(N_("Keep the optimizer's states in 8 bits."))
    if plan.method == "lora":
        yield {"method": "qlora"}, Reason(N_("Load the base model in 4 bits (QLoRA)."))
    if plan.method == "full":
        yield {"method": "lora"}, Reason(N_("Train a LoRA instead of all weights."))
    for share in (2, 4):
        if plan.seq // share >= LEAST_SEQ:
            text = N_("Cut the rows at {tokens} tokens.")
            yield {"seq": plan.seq // share}, Reason(text, {"tokens": plan.seq // share})
    if plan.device == "cuda" and plan.method != "qlora" and not (plan.zero and plan.offload):
        fields = {"zero": max(2, plan.zero), "offload": True}
        yield (
            fields,
            Reason(N_("Move the optimizer's states into main memory (DeepSpeed ZeRO-2 with offload): much slower.")),
        )
    if plan.method == "full":
        yield {"method": "qlora"}, Reason(N_("Train a LoRA on the base model in 4 bits (QLoRA)."))
    if plan.rank > 8 and plan.method != "full":
        yield {"rank": 8}, Reason(N_("Take rank 8 for the LoRA."))


def _serve_steps(plan: ServePlan, facts: ModelFacts) -> Iterator[tuple[dict[str, Any], Reason]]:
    lmdeploy = plan.engine == "lmdeploy"
    if lmdeploy and plan.cache_bytes is not None:
        yield {"cache_bytes": plan.cache_bytes // 2}, Reason(N_("Give the KV cache half as much."))
    elif lmdeploy:
        for ratio in (0.9, 0.8, 0.5, 0.3, 0.1):
            if (ratio < plan.cache_ratio) != bool(plan.session_len):
                yield {"cache_ratio": ratio}, Reason(N_("Give the KV cache {ratio} of what is free."), {"ratio": ratio})
    if plan.concurrency > 1:
        half = plan.concurrency // 2
        yield {"concurrency": half}, Reason(N_("Answer {people} people at once."), {"people": half})
    session = plan.session_len or (0 if lmdeploy else serving.SESSION)
    for share in (2, 4, 8):
        if session // share >= LEAST_SEQ:
            text = N_("Let a conversation have {tokens} tokens.")
            yield {"session_len": session // share}, Reason(text, {"tokens": session // share})
    if lmdeploy and plan.session_len:
        for bits in (8, 4):
            if bits < plan.kv_bits:
                yield {"kv_bits": bits}, Reason(N_("Keep the KV cache in {bits} bits."), {"bits": bits})
    if not facts.method and plan.quantize == "none" and plan.device == "cuda":
        yield {"quantize": "w4a16" if lmdeploy else "nf4"}, Reason(N_("Serve a copy with weights in 4 bits."))
