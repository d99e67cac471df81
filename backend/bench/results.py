"""What was measured, in one shape: the result of a benchmark of one server is a matrix of one row. And its curves over load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from backend.bench import matrix
from backend.bench.knee import Knee, knee
from backend.bench.matrix import Cell, Matrix, Row
from backend.bench.records import Bench, read_bench
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs import parse
from backend.specs.bench import BenchMatrixSpec, Size


@dataclass(frozen=True)
class Curve:
    """One server under growing load. points: (people at once, columns). knee: None where fewer than two loads were measured."""

    label: str
    points: tuple[tuple[int, dict[str, float | None]], ...]
    knee: Knee | None


def of_job(store: Store, row: JobRow) -> Matrix:
    """The figures of ``row``, as far as they are; no row where there are none."""
    folder = store.job_dir(row.id)
    if row.verb == "bench_matrix":
        spec = parse("bench_matrix", store.spec(row.id))
        assert isinstance(spec, BenchMatrixSpec)
        return _standing(matrix.read(folder, spec), row)
    found = read_bench(folder)
    return of_bench(found, row.title) if found is not None else Matrix((), (), began=row.created)


def of_bench(found: Bench, label: str) -> Matrix:
    """The levels of load of one server as the sizes of one row."""
    size = {name: int(found.load.get(name) or 0) for name in ("input_tokens", "output_tokens")}
    size["output_tokens"] = size["output_tokens"] or Size().output_tokens
    memory: dict[str, Any] = found.memory or {}
    cells = tuple(_cell(level, found, memory) for level in found.levels)
    row = Row(
        label,
        {"model": found.model},
        cells,
        state="done" if found.complete else "failed",
        engine=found.engine,
        on_gpu=bool(memory.get("on_gpu")),
        problem=found.problem or {},
    )
    sizes = tuple(Size(batch=int(level["concurrency"]), **size) for level in found.levels)
    return Matrix(sizes, (row,), began=found.created)


def numbered(found: Matrix, job: int) -> Matrix:
    """``found`` with the job's number before each label: for several results under one another."""
    return replace(found, rows=tuple(replace(row, label=f"#{job} {row.label}") for row in found.rows))


def curves(found: Matrix) -> list[Curve]:
    """Of each row whose sizes differ in the number of people alone."""
    told = []
    for row in found.rows:
        groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for size, cell in zip(found.sizes, row.cells, strict=True):
            if cell is not None and cell.answered:
                level = {"concurrency": size.batch, "columns": cell.columns, "complete": cell.complete}
                groups.setdefault((size.input_tokens, size.output_tokens), []).append(level)
        for levels in groups.values():
            levels.sort(key=lambda level: int(level["concurrency"]))
            points = tuple((int(level["concurrency"]), dict(level["columns"])) for level in levels)
            if len(points) > 1:
                told.append(Curve(row.label, points, knee(levels)))
    return told


def _standing(found: Matrix, row: JobRow) -> Matrix:
    """A job that does not run measures nothing, whatever its record says it was about to do."""
    if not row.done:
        return found
    rows = (replace(each, state="waiting") if each.state in ("loading", "measuring") else each for each in found.rows)
    return replace(found, rows=tuple(rows))


def _cell(level: dict[str, Any], found: Bench, memory: dict[str, Any]) -> Cell:
    own = level.get("memory") or memory
    return Cell(
        columns=dict(level.get("columns") or {}),
        steady=int(own.get("steady") or 0),
        peak=int(own.get("peak") or 0),
        complete=bool(level.get("complete", True)),
        ended=str(level.get("ended") or ""),
        errors=dict(level.get("errors") or {}),
        first_error=str(level.get("first_error") or ""),
        notices=tuple(dict.fromkeys((*(level.get("notices") or ()), *found.notices))),
        measured=found.created,
    )
