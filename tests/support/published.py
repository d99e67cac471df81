"""The published measurements of tests/data/memory_published.csv: rows with their sources, what they plan, what we forecast."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.memory.forecast import Estimate, ModelFacts, ServePlan, TrainPlan, estimate, facts

DATA = Path(__file__).resolve().parents[1] / "data"
TABLE = DATA / "memory_published.csv"
MODELS = DATA / "memory_models.toml"
MIB = 1 << 20
UNITS = {"B": 1 / MIB, "MiB": 1.0, "GiB": 1024.0, "MB": 1e6 / MIB, "GB": 1e9 / MIB}
"""MiB in each unit that the sources print."""

IN_USE_BEFORE = {"Llama3-Tutorial", "Llama3-Tutorial-llava", "csg-lesson5"}
"""Sources that calibrate because constants or notes of ours knew them; of csg-llama3 the rows of XTuner are such as well."""

QUANTIZED = {
    "awq-int4": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "gptq-int4": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "gptq-int8": {"quant_method": "gptq", "bits": 8, "group_size": 128},
}
"""``quantization_config`` of the checkpoints that the sources measured."""


@dataclass(frozen=True)
class Source:
    """key: as the rows name it. figure: what its numbers are."""

    key: str
    title: str
    where: str
    figure: str


@dataclass(frozen=True)
class Row:
    """One line of the table. ``cells`` are its text; measured: MiB."""

    cells: dict[str, str]

    def __getattr__(self, name: str) -> str:
        try:
            return self.cells[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def measured(self) -> float:
        return float(self.cells["measured_mib"])

    @property
    def method(self) -> str:
        """full, lora or qlora; empty for a server."""
        return "" if self.group == "serving" else self.group.split("-")[1]

    def number(self, name: str, otherwise: int = 0) -> int:
        return int(self.cells[name] or otherwise)

    @property
    def facts(self) -> ModelFacts:
        return _facts(self.model, self.weights)

    @property
    def plan(self) -> ServePlan | TrainPlan:
        """The same set-up as a person would have planned it."""
        if self.engine == "lmdeploy":
            return ServePlan(
                total=self.number("total_mib") * MIB, cache_ratio=float(self.cache_ratio), kv_bits=_kv(self)
            )
        if self.group == "serving":
            said, answer = self.number("prompt"), self.number("generated")
            return ServePlan(
                "transformers", session_len=said + answer, answer_len=answer, concurrency=self.number("batch")
            )
        return TrainPlan(
            self.method,  # type: ignore[arg-type]
            self.number("seq"),
            self.number("batch"),
            rank=self.number("rank", 16),
            targets=tuple(self.targets.split()) or ("all-linear",),
            lengths=self.lengths,  # type: ignore[arg-type]
            accumulation=self.number("accumulation", 1),
            checkpointing=self.checkpointing == "yes",
            optimizer=self.optimizer,  # type: ignore[arg-type]
            precision="pure_bf16" if self.precision == "bf16" else "mixed",
            zero=self.number("zero"),  # type: ignore[arg-type]
            gpus=self.number("gpus", 1),
            attention=self.attention,  # type: ignore[arg-type]
            upcast=self.upcast == "yes",
            double_quant=self.weights != "nf4",
            vision_rank=64 if "llava" in self.model else 0,
            total=self.number("total_mib") * MIB or None,
        )

    @property
    def forecast(self) -> tuple[float, float]:
        """(p50, p95) in MiB, of the same kind as what was measured."""
        return of_kind(estimate(self.facts, self.plan), self.figure)


def of_kind(found: Estimate, figure: str) -> tuple[float, float]:
    """What a forecast says for ``figure``, in MiB: torch's maximum (``allocated``), what its allocator holds (``reserved``:
    the process without its CUDA context), or the process as nvidia-smi shows it."""
    if figure == "allocated":
        return found.allocated_p50 / MIB, found.allocated_p95 / MIB
    if figure == "reserved":
        outside = next(term for term in found.terms if term.name == "context")
        return (found.p50 - outside.p50) / MIB, (found.p95 - outside.p50) / MIB
    return found.p50 / MIB, found.p95 / MIB


def _kv(row: Row) -> Any:
    return row.number("kv_bits", 16)


@cache
def configs() -> dict[str, dict[str, Any]]:
    """The public config of each model, as far as it decides sizes."""
    return tomllib.loads(MODELS.read_text(encoding="utf-8"))


@cache
def _facts(model: str, weights: str) -> ModelFacts:
    config = configs()[model]
    if weights in QUANTIZED:
        config = {**config, "quantization_config": QUANTIZED[weights]}
    dtype = {"fp16": "float16", "bf16": "bfloat16"}.get(weights, "float16")
    return facts.from_config(config, model, dtype)


@cache
def rows() -> tuple[Row, ...]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return tuple(Row(cells) for cells in csv.DictReader(lines))


@cache
def sources() -> dict[str, Source]:
    """From the lines ``# source key | title | where | what the figure is`` of the table's head."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# source "):
            parts = [part.strip() for part in line.removeprefix("# source ").split("|")]
            found[parts[0]] = Source(*parts)
    return found


def block(row: Row) -> str:
    """Rows that go to one side together."""
    return f"{row.source if row.engine == 'lmdeploy' else ''}/{row.model}"


def draw(all_rows: Iterable[Row]) -> dict[str, str]:
    """What the rule in the table's head says for each row's id: calibration, judged or reported."""
    strata: dict[tuple[str, str], dict[str, list[Row]]] = {}
    found = {}
    for row in all_rows:
        if row.group.startswith("elsewhere-"):
            found[row.id] = "reported"
        else:
            strata.setdefault((row.group, row.engine), {}).setdefault(block(row), []).append(row)
    for blocks in strata.values():
        known = {name for name, members in blocks.items() if any(_in_use(row) for row in members)}
        ordered = sorted(blocks, key=lambda name: (name not in known, hashlib.sha256(name.encode()).hexdigest()))
        calibrating = ordered[: max(len(known), (2 * len(blocks) + 3) // 6)]
        for name, members in blocks.items():
            found.update({row.id: "calibration" if name in calibrating else "judged" for row in members})
    return found


def _in_use(row: Row) -> bool:
    return row.source in IN_USE_BEFORE or (row.source == "csg-llama3" and row.engine == "xtuner")
