"""Several set-ups of a model, one after another: deploy, measure memory and speed, take down. ``python -m jobs.bench_matrix spec.json``.

What this machine cannot serve is a row with the reason. A row that was measured is kept: a job that was stopped, or whose
machine restarted, goes on with the next one. ``matrix.json`` fills as it goes; see :mod:`backend.bench.matrix`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backend.bench import export, matrix, prompts
from backend.bench.matrix import NO_ROOM, OVER, Cell, Matrix, Row
from backend.errors import DataError, PanelError, ServerError
from backend.i18n import N_
from backend.memory.machine import snapshot
from backend.specs.bench import BenchMatrixSpec, Load, Size
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace, open_workspace
from jobs.benching import generator
from jobs.benching.checking import TRIAL
from jobs.benching.generator import Target
from jobs.benching.servers import Served, serving
from jobs.harness import Job, Stopped, main

WARMUP = 2
LAST_WORD_S = 10.0


def run(job: Job) -> dict[str, Any]:
    spec = job.spec_as(BenchMatrixSpec)
    workspace = open_workspace()
    job.phase("check")
    prompts.choose(spec.prompts, 1)  # a file that is none is told before a server is started
    kept = matrix.read(job.dir, spec)
    table = Table(job, replace(kept, machine=matrix.machine_words(snapshot())))
    able = _check(table, workspace)
    meter = _Meter(job, sum(len(table.rows[place].missing()) for place in able))
    for place in able:
        job.check_stop()
        try:
            _measure(table, place, spec, workspace, meter)
        except Stopped:
            table.put(place, state="waiting")
            raise
        except PanelError as error:
            state = "cannot" if error.code in NO_ROOM else "failed"
            job.log(f"{table.rows[place].label}: {error}")
            table.put(place, state=state, problem=error.to_dict())
    return _finish(job, table.matrix)


class Table:
    """The matrix as it is, kept after each change."""

    def __init__(self, job: Job, found: Matrix) -> None:
        self.job, self.matrix = job, found
        matrix.write(job.dir, found)

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.matrix.rows

    def put(self, place: int, row: Row | None = None, **changes: Any) -> None:
        """``row``, or the one that is there, with ``changes``."""
        self.matrix = self.matrix.with_row(place, replace(row or self.rows[place], **changes))
        matrix.write(self.job.dir, self.matrix)


class _Meter:
    """Progress over all measurements, with what is left by the mean of those that are done."""

    def __init__(self, job: Job, total: int) -> None:
        self._job, self._total = job, total
        self._done = 0
        self._began = time.monotonic()

    def tell(self, phase: str, share: float = 0.0) -> None:
        done = self._done + min(share, 1.0)
        spent = time.monotonic() - self._began
        left = spent / done * (self._total - done) if done >= 0.2 else None
        self._job.progress(phase, round(done, 2), self._total, left)

    def step(self) -> None:
        self._done += 1
        self.tell("time")


def _check(table: Table, workspace: Workspace) -> list[int]:
    """Places of the rows that are to be measured; those that cannot be on this machine say why."""
    able = []
    for place, row in enumerate(table.rows):
        if row.state == "done" and not row.missing():
            continue
        error = matrix.problem(workspace, row)
        if error is not None:
            table.job.log(f"{row.label}: {error}")
            table.put(place, state="cannot", problem=error.to_dict())
        else:
            table.put(place, state="waiting", problem={})
            able.append(place)
    return able


def _measure(table: Table, place: int, spec: BenchMatrixSpec, workspace: Workspace, meter: _Meter) -> None:
    """Raises:
    PanelError: the server could not be started, or went away.
    """
    row = table.rows[place]
    ready = matrix.prepared(workspace, row)
    serve: ServeSpec = ready.spec
    table.put(place, state="loading", engine=ready.engine.name)
    table.job.phase("load")
    meter.tell("load")
    with serving(table.job, serve, row.label) as served:
        steady, _peak = served.memory()
        row = replace(
            table.rows[place], load_s=served.load_s, loaded=steady, on_gpu=served.on_gpu, source=served.source()
        )
        table.put(place, row, state="measuring")
        table.job.log(f"{row.label}: {served.engine}, loaded in {served.load_s:.1f} s, {steady / 2**20:.0f} MiB")
        table.job.phase("time")
        count = prompts.counter(workspace, str(ready.card.path))
        for number in row.missing():
            try:
                cell = _cell(table.job, served, spec, spec.sizes[number], count, meter)
            except DataError as error:  # no prompt fits: a fault of this size alone
                cell = Cell(problem=error.to_dict(), measured=time.time())
            except PanelError as error:
                raise _last_word(served) or error from None
            table.put(place, table.rows[place].with_cell(number, cell))
            if cell.ended == "server_died":
                raise _last_word(served) or PanelError.from_dict(cell.problem)
            if cell.ended == "stopped":
                raise Stopped
            meter.step()
    _settle(table, place)


def _last_word(served: Served) -> PanelError | None:
    """Why the server is gone, as it said itself; None where it lives. Its watcher needs a moment to see that."""
    until = time.monotonic() + LAST_WORD_S
    while (told := served.ended()) is None and time.monotonic() < until:
        time.sleep(0.05)
    return told


def _settle(table: Table, place: int) -> None:
    """Say how the row ended: with figures, or why without."""
    cells = [cell for cell in table.rows[place].cells if cell is not None]
    if any(cell.answered for cell in cells):
        table.put(place, state="done")
        return
    problems = [cell.problem for cell in cells if cell.problem]
    short = all(problem.get("code") == matrix.TOO_LONG for problem in problems)
    table.put(place, state="cannot" if short else "failed", problem=problems[0] if problems else {})


def _cell(
    job: Job, served: Served, spec: BenchMatrixSpec, size: Size, count: Callable[[str], int], meter: _Meter
) -> Cell:
    problem = matrix.too_long(size, served.context_length)
    if problem is not None:
        return Cell(problem=problem.to_dict(), measured=time.time())
    load = Load(
        prompts=spec.prompts,
        num_prompts=max(spec.num_prompts, size.batch),
        concurrency=(size.batch,),
        input_tokens=size.input_tokens,
        output_tokens=size.output_tokens,
        ignore_eos=True,
        warmup=min(WARMUP, size.batch),
        seed=spec.seed,
    )
    target = Target(served.base_url, served.model, served.key)
    dialect = generator.check(target, load)
    asked = prompts.choose(
        spec.prompts,
        load.num_prompts,
        seed=spec.seed,
        input_tokens=size.input_tokens,
        tokens=count,
        overhead=max(0, (dialect.prompt_tokens or 0) - count(TRIAL)),
        room=max(0, served.context_length - size.output_tokens),
    )
    meter.tell("time")
    served.mark()
    found = generator.run(
        target,
        asked.prompts,
        load,
        size.batch,
        on_progress=lambda done, total, _figures: meter.tell("time", done / max(1, total)),
        stop=lambda: job.stop_requested,
        dialect=dialect,
    )
    repeated = ("prompts_repeated",) if asked.repeated else ()
    wrong = found.problem(served.model)
    steady, peak = served.memory()
    return Cell(
        columns=dict(found.columns),
        steady=steady,
        peak=peak,
        complete=found.complete,
        ended=found.ended,
        errors=dict(found.errors),
        first_error=found.first_error,
        notices=tuple(dict.fromkeys((*found.notices, *repeated))),
        problem=wrong.to_dict() if wrong is not None else {},
        measured=time.time(),
    )


def _finish(job: Job, found: Matrix) -> dict[str, Any]:
    """Write what people take along.

    Raises:
        ServerError: ``bench_nothing_measured``.
    """
    assert all(row.state in OVER for row in found.rows)
    if not found.measured:
        wrong = sorted((row for row in found.rows if row.problem), key=lambda row: row.state != "failed")
        first = next(iter(wrong), None)
        raise ServerError(
            "bench_nothing_measured",
            N_("None of the {n} set-ups could be measured on this machine."),
            N_("The table says of each why. Choose set-ups that this machine can serve."),
            n=len(found.rows),
            line=f"{first.label}: {PanelError.from_dict(first.problem)}" if first else "",
        )
    for ending, text in export.files([found]).items():
        path = job.dir / f"matrix.{ending}"
        path.write_text(text, encoding="utf-8")
        job.artifact("report", path, label=path.name)
    counts: dict[str, int] = {state: found.count(state) for state in OVER}
    return {"rows": len(found.rows), **counts, "complete": True}


if __name__ == "__main__":
    raise SystemExit(main("bench_matrix", run))
