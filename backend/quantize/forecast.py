"""What a quantization takes of memory and of time: arithmetic over a model's facts, and earlier runs here where there are any.

llm-compressor 0.14 goes through the model layer by layer (``pipelines/sequential``): it keeps what each row looks like between two
layers, and GPTQ for each matrix of the layer a square of its inputs in 32 bits (Frantar et al. 2022, arXiv 2210.17323, algorithm 1).
LMDeploy's ``lite`` sends all pieces through one layer after the other, and packs column by column.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from backend.errors import PanelError
from backend.finetune.faults import Span
from backend.finetune.times import CPU_FLOPS, HIGH, LOAD_BYTES_S, LOW, MEASURED, REACHED, peak
from backend.i18n import N_
from backend.memory import trust
from backend.memory.forecast import Estimate, ModelFacts, Reason, Term, verdict
from backend.memory.forecast.terms import CONTEXT, CONTEXT_95, spread, together
from backend.memory.machine import Machine
from backend.memory.planned import Kind as Device
from backend.memory.planned import Planned
from backend.quantize.methods import Kind
from backend.quantize.sizes import WIDE
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace

MIB = 1 << 20
PROGRAM = {"llmcompressor": 560 * MIB, "lmdeploy": 475 * MIB}
"""Main memory beside the model (torch 2.13.0 for the CPU): 470 and 385 were measured of the engines alone; the job's own program and its
check of the copy hold 90 more."""
READER = {"llmcompressor": 0, "lmdeploy": 125 * MIB}
"""And where rows are read, which LMDeploy does with a library of its own: measured."""
KEPT = 5
"""Numbers that each token keeps between two layers, as times the width: inputs, outputs, positions, and what the allocator keeps of
what was freed. Measured on the CPU: 4 to 6."""
UNEVEN, LENGTHS = 3 * MIB // 2, 256
"""Rows of many lengths leave so much for each in the allocator of the C library (128 rows of 40 to 300 tokens: 190 MiB more than 16), and
there are not many more lengths than so many."""
START_S, READER_S = {"llmcompressor": 12.0, "lmdeploy": 8.0}, {"llmcompressor": 0.0, "lmdeploy": 9.0}
"""Until the model is loaded: programs, on an idle machine; and where rows are read."""
LAYER_S = 0.3
"""What a layer takes beside its arithmetic: it is traced, moved, packed."""
ROW_S = 0.004
"""What a row takes in a layer beside its arithmetic, on the CPU."""
COLUMN_S, COLUMN_INPUT_S = 2.5e-5, 5e-9
"""LMDeploy packs the columns one by one: each takes so long, and so long for each of its inputs."""
SOLVE = 3.0
"""Operations of GPTQ for each cube of a matrix' inputs: factored, inverted, factored again."""
STEP_S = 2e-4
"""GPTQ rounds the columns of a matrix one by one: each takes so long beside its arithmetic."""
ALIKE = ("model", "method", "calibration", "samples", "sample_tokens", "device")
"""Fields on which the time depends."""
LOOKED_AT = 200


def memory(
    known: ModelFacts, kind: Kind, spec: QuantizeSpec, rows: int, tokens: int, free: int | None = None
) -> Planned:
    """The memory of one run of ``spec``, whose device is settled. tokens: of all calibration ``rows``. free: bytes where it runs."""
    device: Device = "cuda" if spec.device == "cuda" else "cpu"
    terms = tuple(_terms(known, kind, rows, tokens, device))
    p50, p95 = together([(term.p50, term.p95) for term in terms])
    found = Estimate(terms, p50, p95, p50, p95, None, Reason(""))
    if free is not None:
        judged = verdict(found, free)
        found = replace(found, fits=judged.state != "does_not_fit", why=judged.reason)
    return Planned(found, kind.engine, device, (), known, None)


def _terms(known: ModelFacts, kind: Kind, rows: int, tokens: int, device: Device) -> Iterator[Term]:
    wide = WIDE[known.dtype] if kind.engine == "llmcompressor" else 2
    weights = known.stored.total * wide // WIDE[known.dtype]
    yield spread("weights", weights, 0.02, N_("the weights as they are loaded"), "backend/catalog/weights.py")
    if tokens:
        kept = KEPT * tokens * known.hidden * wide
        if kind.engine == "llmcompressor" and device == "cpu":
            kept += UNEVEN * min(rows, LENGTHS)
        formula = N_("tokens of all rows x width x what is kept between two layers")
        yield spread("activations", kept, 0.6, formula, N_("measured"))
    widest = max((one.inputs * one.outputs for one in known.linears), default=0)
    work = 12 * widest + 2 * known.stored.linear // max(1, known.layers)
    if solves(kind, tokens):
        inputs = max((one.inputs for one in known.linears), default=0)
        work += 8 * inputs**2 + sum(4 * one.inputs**2 * one.count for one in known.linears) // max(1, known.layers)
    formula = N_("one layer in 32 bits, and the square of its inputs for each matrix that GPTQ rounds")
    yield spread("workspace", work, 0.5, formula, "arXiv 2210.17323")
    program = PROGRAM[kind.engine] + (READER[kind.engine] if tokens else 0)
    low, high = (CONTEXT, CONTEXT_95) if device == "cuda" else (program, program * 6 // 5)
    yield Term("context", low, high, N_("the libraries alone"), N_("measured"))


def solves(kind: Kind, tokens: int) -> bool:
    """It rounds by GPTQ, which looks at rows."""
    return kind.engine == "llmcompressor" and kind.calibrated != "never" and tokens > 0


def corrected(workspace: Workspace, foreseen: Planned) -> Planned:
    """``foreseen`` as earlier jobs of this kind correct the guessed parts of it."""
    # Without earlier jobs it stands as it was foreseen.
    with contextlib.suppress(PanelError, OSError):
        if workspace.state_db.exists():
            from backend.queue.store import Store  # the queue asks for forecasts, and they for plans

            store = Store(workspace)
            with trust.opened(store) as memory:
                found = trust.residual(store, memory, "quantize", foreseen.engine, foreseen.kind)
            return replace(foreseen, estimate=trust.corrected(foreseen.estimate, found))
    return foreseen


def seconds(
    workspace: Workspace, known: ModelFacts, kind: Kind, spec: QuantizeSpec, rows: int, tokens: int, machine: Machine
) -> Span:
    """How long it takes, without the report card: as an earlier run with such settings here, else from arithmetic."""
    earlier = _earlier(workspace, spec)
    if earlier is not None:
        low, high = MEASURED["earlier"]
        return Span(earlier * low, earlier, earlier * high, "earlier")
    likely = _assumed(known, kind, spec, rows, tokens, machine)
    return Span(likely * LOW, likely, likely * HIGH, "assumed")


def _assumed(known: ModelFacts, kind: Kind, spec: QuantizeSpec, rows: int, tokens: int, machine: Machine) -> float:
    cpu = spec.device == "cpu"
    rate = CPU_FLOPS * max(1, machine.cores) if cpu else REACHED * peak(machine.gpus)
    found = START_S[kind.engine] + 3 * known.stored.total / LOAD_BYTES_S + LAYER_S * known.layers
    if tokens:
        found += READER_S[kind.engine]
        # Once to look, once more with the rounded weights for the next layer.
        passes = 2 if kind.engine == "llmcompressor" else 1
        found += passes * 2.0 * known.params.linear * tokens / rate
        found += passes * rows * known.layers * (ROW_S if cpu else ROW_S / 4)
    if solves(kind, tokens):
        found += sum(one.count * 2.0 * one.inputs**2 * tokens for one in known.linears) / rate
        found += sum(one.count * (SOLVE * one.inputs**3 + 2.0 * one.inputs**2 * one.outputs) for one in known.linears) / rate  # fmt: skip
        found += sum(one.count * one.inputs for one in known.linears) * STEP_S
    if kind.method == "awq":
        found += sum(one.count * one.outputs * (COLUMN_S + COLUMN_INPUT_S * one.inputs) for one in known.linears)
    return found


def _earlier(workspace: Workspace, spec: QuantizeSpec) -> float | None:
    """Seconds of the newest run here with such settings that ended well."""
    mine = spec.model_dump(mode="json")
    for job in _runs(workspace):
        other, result = (_json(workspace, job, name) for name in ("spec.json", "result.json"))
        took = result.get("seconds")
        alike = all(other.get(name) == mine[name] for name in ALIKE)
        if alike and result.get("ok") and isinstance(took, (int, float)) and took > 0:
            return float(took)
    return None


def _runs(workspace: Workspace) -> list[int]:
    """Numbers of quantizations here, the newest first."""
    if not workspace.state_db.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{workspace.state_db}?mode=ro", uri=True, timeout=1)) as db:
            query = "SELECT id FROM jobs WHERE verb = 'quantize' ORDER BY id DESC LIMIT ?"
            return [row[0] for row in db.execute(query, (LOOKED_AT,))]
    except sqlite3.Error:
        return []


def _json(workspace: Workspace, job: int, name: str) -> dict[str, Any]:
    try:
        found = json.loads((workspace.job_dir(job) / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
