"""From what a page or a job asks for to its forecast: which facts and which plan go into :mod:`backend.memory.forecast`.

One function per kind of work. The pages that plan, the command line and the record of each job (:mod:`backend.memory.trust`)
all come through here, so that a job is forecast exactly as its page had shown it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.weights import pickled_files
from backend.i18n import N_
from backend.memory.budget import Budget, free_now
from backend.memory.forecast import Estimate, ModelFacts, Reason, ServePlan, Term, TrainPlan, estimate, facts, verdict
from backend.memory.forecast.plans import Precision
from backend.memory.forecast.terms import together
from backend.memory.machine import Machine
from backend.memory.sample import HOST
from backend.specs import parse
from backend.specs.convert import ConvertSpec
from backend.specs.finetune import FinetuneSpec
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace

VERBS = ("serve", "convert", "finetune", "rehearse", "quantize")
"""The kinds of jobs that a forecast is made of."""
DEFAULT_CONTEXT = 2048
TOGETHER_TOKENS, MOST_TOGETHER_TOKENS = 8192, 32768
"""The KV cache that all answers share where transformers computes them together (jobs/serving/launch.py)."""
GIB = 1 << 30
KV_BITS: dict[int, Literal[16, 8, 4]] = {0: 16, 4: 4, 8: 8}
"""``quant_policy`` -> bits of a number in the KV cache."""
CONVERT_PROGRAM = 190 << 20
"""Measured for a conversion of 1 MiB: the libraries, torch 2.13.0 on the CPU."""
TRAIN_PROGRAM = 520 << 20
"""torch 2.13.0, transformers 5.17.0 with its Trainer, and peft on the CPU, and what the C library keeps of what was freed. Measured: 460
MiB before a model was loaded; trainings of 0.2 and 5.2 million numbers then came to 489 and 835 MiB in all."""

Kind = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Planned:
    """estimate: of the job, on one card or in main memory. engine: as specs name it; for other programs their verb. kind:
    what computes. later: names of terms that are taken only once they are used. facts, plan: what it was made of."""

    estimate: Estimate
    engine: str
    kind: Kind
    later: tuple[str, ...] = ()
    facts: ModelFacts | None = None
    plan: ServePlan | TrainPlan | None = None

    @property
    def low(self) -> int:
        """Bytes that it takes at once."""
        return at_once(self.estimate, self.later)


def at_once(estimate: Estimate, later: Collection[str]) -> int:
    """Bytes of ``estimate`` without the terms ``later``."""
    return int(estimate.p50) - sum(int(term.p50) for term in estimate.terms if term.name in later)


def of_job(workspace: Workspace, verb: str, data: Mapping[str, Any], machine: Machine) -> Planned | None:
    """The forecast of a job of ``verb`` with the spec ``data``; None where there is none for this kind of job.

    Raises:
        PanelError: the model is not there, does not say enough, or no engine takes it.
    """
    if verb == "serve":
        from backend.engines import pick  # they ask for the environments, which is more than most callers need

        spec = parse("serve", dict(data))
        assert isinstance(spec, ServeSpec)
        card = catalog.find(workspace, spec.model)
        engine = pick(spec, card).name
        needs = spec.resources()
        on_gpu = bool(machine.gpus and (needs.gpus or needs.gpu_mib))
        return serving(card, engine, spec.model_dump(), machine, on_gpu=on_gpu)
    if verb == "convert":
        found = parse("convert", dict(data))
        assert isinstance(found, ConvertSpec)
        return converting(Path(found.path))
    if verb in ("finetune", "rehearse"):
        from backend.finetune.plan import plan  # it asks for the rows, which is more than most callers need

        return plan(workspace, data, machine).foreseen
    if verb == "quantize":
        from backend.quantize.plan import plan as quantize_plan

        return quantize_plan(workspace, data, machine).foreseen
    return None


def as_plain(made: Planned) -> dict[str, Any]:
    """JSON-able, bytes: what plans keep and the command line prints."""
    found = made.estimate
    return {
        "kind": made.kind,
        "low": made.low,
        "p50": int(found.p50),
        "p95": int(found.p95),
        "fits": found.fits,
        "why": str(found.why),
        "terms": {term.name: int(term.p50) for term in found.terms},
    }


def serving(
    card: ModelCard,
    engine: str,
    options: Mapping[str, Any],
    machine: Machine,
    *,
    on_gpu: bool,
    free: int | None = None,
    known: ModelFacts | None = None,
) -> Planned:
    """A server of ``card`` with ``options``, fields of :class:`backend.specs.serve.ServeSpec`; those that are not there are
    at their default. free: bytes on the card that it will get; None looks for the roomiest. known: the facts of ``card``,
    where they have been read.

    Raises:
        ModelError: the model's files do not say enough for a forecast.
    """
    known = known or facts.from_card(card)
    plan = serve_plan(card, engine, options, machine, on_gpu=on_gpu, free=free)
    made = estimate(known, plan)
    # LMDeploy takes all of it at the start; transformers takes what a conversation needs when there is one.
    later = () if engine == "lmdeploy" else ("kv_cache", "activations", "workspace")
    return Planned(made, engine, "cuda" if on_gpu else "cpu", later, known, plan)


def serve_plan(
    card: ModelCard, engine: str, options: Mapping[str, Any], machine: Machine, *, on_gpu: bool, free: int | None = None
) -> ServePlan:
    """The plan of such a server; a pure function of its arguments."""
    budget = free_now(machine, None, None if on_gpu else HOST)
    total = budget.total
    free = budget.free if free is None else free
    common: dict[str, Any] = {
        "engine": engine,
        "device": "cuda" if on_gpu else "cpu",
        "total": total,
        "used": max(0, total - free) if total is not None and free is not None else 0,
        "tp": int(options.get("tp") or 1),
    }
    if engine == "lmdeploy":
        return ServePlan(
            **common,
            **_cache(card, options),
            kv_bits=KV_BITS[int(options.get("quant_policy") or 0)],
            session_len=context_of(card, options),
            concurrency=int(options.get("max_batch_size") or 1),
        )
    tokens, asked = context_of(card, options), str(options.get("dtype") or "auto")
    together = options.get("continuous_batching") == "on"
    return ServePlan(
        **common,
        session_len=tokens,
        batching=max(TOGETHER_TOKENS, min(tokens, MOST_TOGETHER_TOKENS)) if together else 0,
        dtype="" if asked == "auto" else asked,
    )


def context_of(card: ModelCard, options: Mapping[str, Any]) -> int:
    """Tokens of one conversation: the model's, or fewer where that was asked for."""
    whole = card.served.context_length or DEFAULT_CONTEXT
    return min(whole, int(options.get("context_length") or whole))


def _cache(card: ModelCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """The KV cache that LMDeploy is told to take: an absolute size, what a share of a card leaves, or a ratio."""
    if options.get("kv_cache_gib"):
        return {"cache_bytes": int(float(options["kv_cache_gib"]) * GIB)}
    if options.get("gpu_mib"):
        from backend.engines.lmdeploy import LMDeployEngine

        spec = ServeSpec.model_construct(
            model=card.name, gpu_mib=int(options["gpu_mib"]), tp=int(options.get("tp") or 1), kv_cache_gib=None
        )
        return {"cache_bytes": max(0, LMDeployEngine().kv_bytes(spec, card) or 0)}
    return {"cache_ratio": float(options.get("cache_max_entry_count") or 0.8)}


def training(card: ModelCard, spec: FinetuneSpec, made: TrainPlan, known: ModelFacts | None = None) -> Planned:
    """A training of ``card``: ``made`` is :func:`train_plan` of ``spec``. It takes all of it with its first step.

    Raises:
        ModelError: the model's files do not say enough for a forecast. SpecError: ``lora_targets_unknown``.
    """
    known = known or facts.from_card(card.base or card)
    found = estimate(known, made)
    if made.device == "cpu" and spec.engine == "peft":
        program = Term("context", TRAIN_PROGRAM, TRAIN_PROGRAM * 6 // 5, N_("the libraries alone"), N_("measured"))
        terms = tuple(program if term.name == "context" else term for term in found.terms)
        p50, p95 = together([(term.p50, term.p95) for term in terms])
        found = replace(found, terms=terms, p50=p50, p95=p95, allocated_p50=p50, allocated_p95=p95)
        if made.free is not None:
            state, why = verdict(found, made.free)
            found = replace(found, fits=state != "does_not_fit", why=why)
    return Planned(found, spec.engine, made.device, (), known, made)


def train_plan(spec: FinetuneSpec, room: Budget, longest: int = 0) -> TrainPlan:
    """The plan of such a training, whose device and precision are settled, where ``room`` is free. longest: tokens of the longest
    row, where that is known; packed rows are full."""
    total, free = room.total, room.free_after_growth
    seq = spec.max_length if spec.packing or not longest else min(spec.max_length, longest)
    zero: Any = int(spec.deepspeed[4]) if spec.deepspeed else 0
    device: Kind = "cpu" if spec.device == "cpu" else "cuda"
    return TrainPlan(
        method=spec.method,
        seq=seq,
        batch=spec.batch_size,
        accumulation=spec.accumulation,
        rank=spec.lora_rank,
        targets=tuple(spec.target_modules),
        packing=spec.packing,
        lengths="equal" if spec.packing else "varied",
        checkpointing=spec.gradient_checkpointing,
        precision=_precision(spec),
        zero=zero,
        offload=spec.deepspeed.endswith("offload"),
        gpus=spec.gpus,
        device=device,
        total=total,
        used=max(0, total - free) if total is not None and free is not None else 0,
    )


def _precision(spec: FinetuneSpec) -> Precision:
    """What is trained is kept in 32 bits, but for a whole model in bfloat16 with transformers' Trainer; float16 cannot be trained
    without (jobs/finetuning/devices.py, backend/engines/xtuner_config.py)."""
    if spec.dtype == "float32":
        return "fp32"
    plain = spec.method == "full" and spec.engine == "peft" and spec.dtype == "bfloat16"
    return "pure_bf16" if plain else "mixed"


def converting(folder: Path) -> Planned | None:
    """A conversion of pickled weights: it holds one file at a time. What it reads of the old and the new file counts as its
    own, and is given back when memory is short.

    Measured (torch 2.13.0): 256 MiB in one file took 940 MiB, 768 MiB 2,444 MiB, 768 MiB in three files 998 MiB.
    """
    try:
        largest = max(((folder / name).stat().st_size for name in pickled_files(folder)), default=0)
    except OSError:
        return None
    if not largest:
        return None
    terms = (
        Term("weights", largest, largest, N_("the largest file, once"), "jobs/convert.py"),
        Term(
            "workspace",
            2 * largest,
            2 * largest,
            N_("the old and the new file as they are read and compared; given back when memory is short"),
            N_("measured: three times the largest file in all"),
        ),
        Term("context", CONVERT_PROGRAM, CONVERT_PROGRAM * 5 // 4, N_("the libraries alone"), N_("measured")),
    )
    p50, p95 = together([(term.p50, term.p95) for term in terms])
    made = Estimate(terms=terms, p50=p50, p95=p95, allocated_p50=p50, allocated_p95=p95, fits=None, why=Reason(""))
    return Planned(made, "convert", "cpu", later=("workspace",))
