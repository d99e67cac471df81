"""``python -m backend memory estimate`` and ``estimate-train``: what a server or a training will take, before it is started.

A folder needs ``config.json`` and the headers of its safetensors files. Figures are MiB. Without ``--total-mib`` the budget is
what this machine has free: of its roomiest GPU, or of main memory where there is none.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from backend import catalog
from backend.cli import output
from backend.errors import SpecError
from backend.i18n import N_, _
from backend.memory import machine
from backend.memory.budget import free_now
from backend.memory.forecast import TITLES, Estimate, ModelFacts, ServePlan, Solution, TrainPlan, estimate, facts, solve
from backend.memory.forecast import plans as kinds
from backend.memory.forecast.plans import Plan
from backend.memory.sample import HOST
from backend.workspace import open_workspace

MIB = 1 << 20
MOST_MIB = 1 << 30
MOST = 1 << 24
"""Of tokens, rows or people; more is a slip of the finger."""

Model = Annotated[str, typer.Option("--model", metavar="FOLDER", help=_("Folder of a model, or its name on the list."))]
Total = Annotated[
    int | None,
    typer.Option("--total-mib", min=1, max=MOST_MIB, help=_("Memory of the card in MiB; else what is free here.")),
]
Used = Annotated[
    int, typer.Option("--used-mib", min=0, max=MOST_MIB, help=_("What others hold of it already, in MiB."))
]
Where = Annotated[kinds.Device, typer.Option("--device", help=_("cuda, or cpu for main memory."))]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def add_to(app: typer.Typer) -> None:
    """Register both verbs."""
    app.command("estimate", help=_("Tell what a server will take, before it is started."))(estimate_server)
    app.command("estimate-train", help=_("Tell what a training will take, before it is started."))(estimate_training)


def estimate_server(
    model: Model,
    engine: Annotated[kinds.Engine, typer.Option(help=_("lmdeploy or transformers."))] = "lmdeploy",
    total_mib: Total = None,
    used_mib: Used = 0,
    cache_ratio: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help=_("LMDeploy: share of the free memory for the KV cache; 0.8.")),
    ] = None,
    cache_gib: Annotated[
        float | None, typer.Option(min=0.0, max=float(MOST_MIB), help=_("LMDeploy: the KV cache in GiB instead."))
    ] = None,
    kv_bits: Annotated[Literal["16", "8", "4"], typer.Option(help=_("Bits of a number in the KV cache."))] = "16",
    session_len: Annotated[int | None, typer.Option(min=1, max=MOST, help=_("Tokens of one conversation."))] = None,
    answer_len: Annotated[int | None, typer.Option(min=0, max=MOST, help=_("Those of them that are written."))] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=MOST, help=_("People who are answered at once."))] = 1,
    tp: Annotated[int, typer.Option(min=1, max=64, help=_("GPUs that share the model."))] = 1,
    quantize: Annotated[
        kinds.Quantize, typer.Option(help=_("As if its weights were made smaller: w4a16, nf4, int8, or none."))
    ] = "none",
    device: Where = "cuda",
    as_json: Json = False,
) -> None:
    if cache_ratio is not None and cache_gib is not None:
        raise SpecError(
            "usage",
            N_("Both a share and a size were given for the KV cache."),
            N_("Give either --cache-ratio or --cache-gib."),
        )
    if engine == "lmdeploy" and quantize not in ("none", "w4a16"):
        raise SpecError(
            "usage",
            N_("LMDeploy does not load weights as {kind}."),
            N_("Give --quantize w4a16, or --engine transformers."),
            kind=quantize,
        )
    plan = ServePlan(
        engine=engine,
        device=device,
        cache_ratio=0.8 if cache_ratio is None else cache_ratio,
        cache_bytes=None if cache_gib is None else int(cache_gib * 1024 * MIB),
        kv_bits=cast(Any, int(kv_bits)),
        session_len=session_len,
        answer_len=answer_len,
        concurrency=concurrency,
        tp=tp,
        quantize=quantize,
    )
    _show(_facts(model), _budgeted(plan, total_mib, used_mib), as_json)


def estimate_training(
    model: Model,
    method: Annotated[kinds.Method, typer.Option(help=_("full, lora or qlora."))],
    seq: Annotated[int, typer.Option(min=1, max=MOST, help=_("Tokens of a row, at most."))],
    batch: Annotated[int, typer.Option(min=1, max=MOST, help=_("Rows at once on one GPU."))] = 1,
    accumulation: Annotated[int, typer.Option(min=1, max=MOST, help=_("Batches to a step."))] = 1,
    rank: Annotated[int, typer.Option(min=1, max=65536, help=_("Rank of the LoRA."))] = 16,
    targets: Annotated[
        str, typer.Option(help=_("Matrices that get a LoRA, with commas between them, or all-linear."))
    ] = kinds.ALL_LINEAR,
    packing: Annotated[bool, typer.Option("--packing", help=_("Rows are joined until each is full."))] = False,
    lengths: Annotated[
        kinds.Lengths,
        typer.Option(help=_("Whether the rows are of equal length or of varied ones, where that is known.")),
    ] = "unknown",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help=_("Compute activations again instead of keeping them."))
    ] = False,
    optimizer: Annotated[kinds.Optimizer, typer.Option(help=_("What changes the numbers."))] = "adamw",
    precision: Annotated[
        kinds.Precision, typer.Option(help=_("auto, mixed (trained numbers in 32 bits), pure_bf16 or fp32."))
    ] = "auto",
    attention: Annotated[kinds.Attention, typer.Option(help=_("How attention is computed."))] = "sdpa",
    zero: Annotated[int, typer.Option(min=0, max=3, help=_("Stage of DeepSpeed's ZeRO; 0: without DeepSpeed."))] = 0,
    offload: Annotated[bool, typer.Option("--offload", help=_("DeepSpeed: optimizer in main memory."))] = False,
    gpus: Annotated[int, typer.Option(min=1, max=65536, help=_("GPUs that train together."))] = 1,
    vision_rank: Annotated[int, typer.Option(min=0, max=65536, help=_("Rank of a LoRA on the part that sees."))] = 0,
    fused_loss: Annotated[bool, typer.Option("--fused-loss", help=_("A loss that keeps no logits (Liger)."))] = False,
    total_mib: Total = None,
    used_mib: Used = 0,
    device: Where = "cuda",
    as_json: Json = False,
) -> None:
    if offload and not zero:
        raise SpecError(
            "usage",
            N_("Only DeepSpeed can move its optimizer into main memory."),
            N_("Add --zero 2, or leave out --offload."),
        )
    plan = TrainPlan(
        method=method,
        seq=seq,
        batch=batch,
        accumulation=accumulation,
        rank=rank,
        targets=tuple(part.strip() for part in targets.split(",") if part.strip()),
        packing=packing,
        lengths=lengths,
        checkpointing=checkpointing,
        optimizer=optimizer,
        precision=precision,
        attention=attention,
        zero=cast(Any, zero),
        offload=offload,
        gpus=gpus,
        vision_rank=vision_rank,
        fused_loss=fused_loss,
        device=device,
    )
    _show(_facts(model), _budgeted(plan, total_mib, used_mib), as_json)


def as_dict(made: Estimate, plan: Plan, solution: Solution | None) -> dict[str, Any]:
    """A forecast as JSON, in MiB; ``terms`` are their p50 and add up to ``p50_mib``."""
    data: dict[str, Any] = {
        "p50_mib": _mib(made.p50),
        "p95_mib": _mib(made.p95),
        "allocated_p50_mib": _mib(made.allocated_p50),
        "allocated_p95_mib": _mib(made.allocated_p95),
        "terms": {term.name: _mib(term.p50) for term in made.terms},
        "fits": made.fits,
        "why": str(made.why),
        "verdict": solution.verdict.state if solution else None,
        "free_mib": None if plan.free is None else _mib(plan.free),
        "kv_tokens": made.capacity,
        "details": [
            {"term": t.name, "p50_mib": _mib(t.p50), "p95_mib": _mib(t.p95), "formula": t.formula, "source": t.source}
            for t in made.terms
        ],
    }
    if solution:
        largest = {
            name: value for name, value in asdict(replace(solution, changes=())).items() if name not in _NO_LARGEST
        }
        changes = [
            {"change": str(c.text), "p50_mib": _mib(c.estimate.p50), "fields": c.field} for c in solution.changes
        ]
        data |= {"largest": {name: value for name, value in largest.items() if value is not None}, "changes": changes}
    return data


_NO_LARGEST = ("verdict", "changes")


def in_lines(made: Estimate, solution: Solution | None) -> list[str]:
    """The forecast for a person."""
    lines = [f"{_(TITLES[t.name]):<16}{_mib(t.p50):>12,.0f} MiB   {_(t.formula)}" for t in made.terms]
    lines += [
        f"{_('in all'):<16}{_mib(made.p50):>12,.0f} MiB   " + _("at most {most:,.0f}").format(most=_mib(made.p95))
    ]
    lines += [f"{_('torch alone'):<16}{_mib(made.allocated_p50):>12,.0f} MiB", str(made.why)]
    if solution and solution.changes:
        lines += [_("What would fit:"), *(f"  {change.text}" for change in solution.changes)]
    return lines


def _show(known: ModelFacts, plan: Plan, as_json: bool) -> None:
    made = estimate(known, plan)
    solution = solve(known, plan, plan.free) if plan.free is not None else None
    output(as_dict(made, plan, solution), as_json, "\n".join(in_lines(made, solution)))


def _facts(model: str) -> ModelFacts:
    folder = Path(model).expanduser()
    if folder.exists() or folder.is_symlink() or "/" in model:
        return facts.from_folder(folder)
    return facts.from_card(catalog.find(open_workspace(), model))


def _budgeted(plan: Plan, total_mib: int | None, used_mib: int) -> Plan:
    if total_mib is not None:
        return replace(plan, total=total_mib * MIB, used=used_mib * MIB)
    here = machine.snapshot()
    free = free_now(here, None, HOST if plan.device == "cpu" or not here.gpus else None).free
    return plan if free is None else replace(plan, total=free, used=used_mib * MIB)


def _mib(size: int) -> float:
    return round(size / MIB, 1)
