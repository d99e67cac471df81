"""A matrix of set-ups: its rows, what was measured of each, and why a row cannot be measured on this machine.

``matrix.json`` in the job's folder is written anew after each step, so that the table fills live and a job that was stopped
goes on where it was. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from backend import catalog
from backend.catalog import ModelCard
from backend.engines.serving import Prepared, prepare
from backend.errors import NotFoundError, PanelError, ServerError
from backend.i18n import N_
from backend.memory.machine import Machine
from backend.specs.bench import BenchMatrixSpec, SetUp, Size
from backend.workspace import Workspace, read_json, write_json

FILE = "matrix.json"
State = Literal["waiting", "loading", "measuring", "done", "cannot", "failed"]
OVER: tuple[State, ...] = ("done", "cannot", "failed")
CPU = "cpu:"
TOO_LONG = "bench_size_too_long"
NO_ROOM = ("not_enough_memory", "not_enough_gpu_memory")
"""What a server says that this machine is too small for: no failure, but a row that cannot be."""


@dataclass(frozen=True)
class Cell:
    """One size of one set-up. columns: as :mod:`backend.bench.columns` names them. steady, peak: bytes of the server meanwhile.
    complete: every request was answered or failed by itself; else ended says why not. errors: kind -> how many requests.
    problem: why it was not measured. measured: when, epoch seconds."""

    columns: dict[str, float | None] = field(default_factory=dict)
    steady: int = 0
    peak: int = 0
    complete: bool = True
    ended: str = ""
    errors: dict[str, int] = field(default_factory=dict)
    first_error: str = ""
    notices: tuple[str, ...] = ()
    problem: dict[str, Any] = field(default_factory=dict)
    measured: float = 0.0

    @property
    def answered(self) -> bool:
        """There are figures in it."""
        return bool(self.columns.get("number_of_completion_tokens"))

    @property
    def settled(self) -> bool:
        """To measure it again would tell nothing new."""
        return self.complete and (self.answered or self.problem.get("code") == TOO_LONG)


@dataclass(frozen=True)
class Row:
    """One set-up. cells: one for each size, None where it was not measured yet. load_s: from the start of its engine to its first
    answer. loaded: bytes that it held then. on_gpu: its figures are GPU memory. source: how they were found, see
    :mod:`jobs.benching.footprint`. problem: why it cannot be measured here, or what went wrong."""

    label: str
    serve: dict[str, Any]
    cells: tuple[Cell | None, ...]
    state: State = "waiting"
    engine: str = ""
    load_s: float | None = None
    loaded: int = 0
    on_gpu: bool = False
    source: str = ""
    problem: dict[str, Any] = field(default_factory=dict)

    def missing(self) -> list[int]:
        """Places of the sizes that are still to be measured."""
        return [place for place, cell in enumerate(self.cells) if cell is None or not cell.settled]

    def with_cell(self, place: int, cell: Cell) -> Row:
        return replace(self, cells=(*self.cells[:place], cell, *self.cells[place + 1 :]))


@dataclass(frozen=True)
class Matrix:
    """The whole table. machine: what it was measured on, see :func:`machine_words`. began: epoch seconds."""

    sizes: tuple[Size, ...]
    rows: tuple[Row, ...]
    preset: str = ""
    machine: str = ""
    began: float = 0.0

    def with_row(self, place: int, row: Row) -> Matrix:
        return replace(self, rows=(*self.rows[:place], row, *self.rows[place + 1 :]))

    @property
    def measured(self) -> int:
        """Rows with figures."""
        return sum(any(cell and cell.answered for cell in row.cells) for row in self.rows)

    def count(self, state: State) -> int:
        return sum(row.state == state for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what ``matrix.json`` and the command line hold."""
        return {**asdict(self), "sizes": [size.model_dump() for size in self.sizes]}


def fresh(spec: BenchMatrixSpec, machine: str = "") -> Matrix:
    """Nothing measured yet."""
    rows = tuple(Row(one.label, dict(one.serve), (None,) * len(spec.sizes)) for one in spec.setups)
    return Matrix(spec.sizes, rows, spec.preset, machine, time.time())


def read(job_dir: Path, spec: BenchMatrixSpec) -> Matrix:
    """The table as far as it is; one without a single figure where the job has not begun, or its record is not of ``spec``."""
    data = read_json(job_dir / FILE)
    try:
        found = _parsed(data)
    except (KeyError, TypeError, ValueError):
        return fresh(spec)
    same = [row.label for row in found.rows] == [one.label for one in spec.setups] and found.sizes == spec.sizes
    return found if same else fresh(spec)


def write(job_dir: Path, matrix: Matrix) -> None:
    """Keep it, whole or not at all.

    Raises:
        WorkspaceError: the disk is full.
    """
    write_json(job_dir / FILE, matrix.to_dict())


def prepared(workspace: Workspace, setup: SetUp | Row) -> Prepared:
    """The server of ``setup`` as this machine would start it, checked as far as it can be without starting.

    Raises:
        PanelError: why it cannot be served here.
    """
    fields_ = dict(setup.serve)
    model = str(fields_.pop("model", ""))
    try:
        catalog.find(workspace, model)
    except NotFoundError as error:
        raise NotFoundError(
            "bench_model_missing",
            N_("'{model}' is not on the list of models."),
            N_("If it is a smaller copy, make it first, on the Quantize page."),
            model=model,
        ) from error
    return prepare(workspace, model, **fields_)


def problem(workspace: Workspace, setup: SetUp | Row) -> PanelError | None:
    """Why ``setup`` cannot be measured on this machine; None where it can."""
    try:
        prepared(workspace, setup)
    except PanelError as error:
        return error
    return None


def too_long(size: Size, context: int) -> PanelError | None:
    """Why a server of ``context`` tokens (0: it does not say) cannot be asked for ``size``."""
    needed = size.input_tokens + size.output_tokens
    if not context or needed <= context:
        return None
    return ServerError(
        TOO_LONG,
        N_("Prompt and answer of {needed} tokens are longer than the context of {context} tokens."),
        N_("Choose a shorter size for this model."),
        needed=needed,
        context=context,
    )


def machine_words(machine: Machine) -> str:
    """What it was measured on: names of the GPUs, else :data:`CPU` and the number of cores."""
    if machine.gpus:
        names = [gpu.name for gpu in machine.gpus]
        return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return f"{CPU}{machine.cores}"


def copies(models: Sequence[ModelCard], model: ModelCard) -> list[ModelCard]:
    """The quantized copies of ``model`` on the list, the newest first."""
    names = (model.name, str(model.path))
    found = [one for one in models if one.quantization and one.lineage and one.lineage.base in names]
    return sorted(found, key=lambda one: -(one.lineage.created or 0.0 if one.lineage else 0.0))


def _parsed(data: dict[str, Any]) -> Matrix:
    sizes = tuple(Size(**size) for size in data["sizes"])
    rows = []
    for stored in data["rows"]:
        cells = tuple(_cell(cell) if cell is not None else None for cell in stored["cells"])
        rows.append(Row(**{**_known(Row, stored), "cells": cells}))
    return Matrix(**{**_known(Matrix, data), "sizes": sizes, "rows": tuple(rows)})


def _cell(data: dict[str, Any]) -> Cell:
    return Cell(**{**_known(Cell, data), "notices": tuple(data.get("notices") or ())})


def _known(cls: Any, data: dict[str, Any]) -> dict[str, Any]:
    """``data`` without what a later TuneDeck added."""
    names = {each.name for each in fields(cls)}
    return {name: value for name, value in data.items() if name in names}
