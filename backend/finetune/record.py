"""A run as the page shows it: read from its row and its job folder, and read on from there at the next look.

However long a run is, a look costs what was written since the last one: the curves are bounded (:mod:`backend.queue.series`),
files that have not changed are not read again, of the sample answers at most :data:`SAMPLED` steps are kept.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.finetune import files, health
from backend.finetune.control import finish_asked
from backend.finetune.health_signs import Signs, Verdict
from backend.queue import folder
from backend.queue.rows import JobRow
from backend.queue.series import Curve, Series
from backend.workspace import read_json

MEASURED = ("train", "evaluate", "save")
"""Phases whose figures belong to the curves; those of the rehearsal do not."""
AFTER = ("convert", "merge", "check", "prove", "register")
"""Phases in which it has learned."""
SAMPLED = 200
"""Steps of which the answers are kept; of more, every second one is left out."""
CHUNK = 4 << 20


class RunSeries(Series):
    """The curves of a training. After a resume it counts on from its last checkpoint: what had come after that is dropped,
    so that a curve never runs backwards."""

    def __init__(self, job_dir: Path) -> None:
        super().__init__(job_dir)
        self._step = -1.0

    def _take(self, event: dict[str, object]) -> None:
        step = event.get("step")
        if event.get("phase") not in MEASURED or not isinstance(step, int | float):
            super()._take({name: value for name, value in event.items() if name != "metrics"})
            return
        if event.get("phase") == "train":
            if step < self._step:
                # With figures it is done again; without, it is where the checkpoint had been made.
                for curve in self.curves.values():
                    _drop(curve, step if event.get("metrics") else step + 0.5)
            self._step = float(step)
        super()._take(event)


def _drop(curve: Curve, step: float) -> None:
    """Take out the points from ``step`` on."""
    steps = [at if at is not None else -1.0 for _t, at, _value in curve.points]
    del curve.points[bisect_left(steps, step) :]
    curve.last = curve.points[-1][2] if curve.points else None


@dataclass(frozen=True)
class Run:
    """spec: fields of its settings, as the plan has settled them. curves: metric -> its points. checkpoints: the complete ones,
    oldest first. answers: step -> question number -> the sample; step 0 is the base. plan, result: as they stand in their
    files. finishing: a person asked it to end and to keep the best. verdicts: what the curves say."""

    row: JobRow
    dir: Path
    spec: dict[str, Any]
    curves: dict[str, Curve]
    checkpoints: tuple[files.Checkpoint, ...]
    answers: dict[int, dict[int, files.Sample]]
    rehearsal: files.Rehearsal | None
    plan: dict[str, Any]
    result: dict[str, Any]
    finishing: bool
    verdicts: tuple[Verdict, ...]

    @property
    def step(self) -> int:
        """Optimizer steps done, as far as it said so."""
        loss = self.curves.get("loss")
        known = [loss.points[-1][1] if loss and loss.points else None, self.result.get("step")]
        if self.row.progress.get("phase") in MEASURED:
            known.append(self.row.progress.get("step"))
        return int(max((value for value in known if isinstance(value, int | float)), default=0))

    @property
    def steps(self) -> int | None:
        """Steps in all; None before the plan is made."""
        for value in (self.result.get("steps"), self.plan.get("steps")):
            if isinstance(value, int | float) and value > 0:
                return int(value)
        total = self.row.progress.get("total")
        trains = self.row.progress.get("phase") in MEASURED
        return int(total) if trains and isinstance(total, int | float) else None

    @property
    def share(self) -> float:
        """The part of the steps that is done, 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0

    def last(self, metric: str) -> float | str | None:
        """The newest value of ``metric``; text where it is no number."""
        curve = self.curves.get(metric)
        return curve.last if curve else None

    def most(self, metric: str) -> float | None:
        """The largest value of ``metric``."""
        curve = self.curves.get(metric)
        return max((value for _t, _step, value in curve.points), default=None) if curve else None

    @property
    def best(self) -> files.Checkpoint | None:
        """The checkpoint with the lowest validation loss; the newest where none was measured."""
        marked = [one for one in self.checkpoints if one.best]
        return marked[0] if marked else (self.checkpoints[-1] if self.checkpoints else None)

    @property
    def file(self) -> Path | None:
        """The capsule; None where there is none."""
        path = self.dir / files.CAPSULE
        return path if path.is_file() else None

    @property
    def folder(self) -> Path | None:
        """What it made: the merged model, else the adapter."""
        made = [self.dir / name for name in (files.MERGED, files.ADAPTER) if (self.dir / name).is_dir()]
        named = self.result.get("folder")
        if not made and isinstance(named, str) and Path(named).is_dir():
            made = [Path(named)]
        return made[0] if made else None

    @property
    def card(self) -> str:
        """The model card that was written for what it made; empty where there is none."""
        try:
            return (self.folder / "README.md").read_text(encoding="utf-8") if self.folder else ""
        except (OSError, UnicodeDecodeError):
            return ""


class Reader:
    """Reads one run again and again. Safe to share between threads: what it keeps is replaced, never changed, but for the
    curves, which guard themselves."""

    def __init__(self, job_dir: Path) -> None:
        self.dir = job_dir
        self._series = RunSeries(job_dir)
        self._answers: dict[int, dict[int, files.Sample]] = {}
        self._answered = 0
        self._answered_at = (0, 0)
        self._checkpoints: tuple[files.Checkpoint, ...] = ()
        self._marked: tuple[tuple[str, int], ...] = ()
        self._read: dict[str, tuple[tuple[int, int], Any]] = {}

    def read(self, row: JobRow) -> Run:
        """The run now. ``row``: its job as the store gave it just now."""
        curves = self._series.update().curves
        plan = _object(self._file(files.PLAN))
        run = Run(
            row=row,
            dir=self.dir,
            # What the plan has settled is what it runs with: the version of the rows, the precision.
            spec=_object(self._file(folder.SPEC)) | _object(plan.get("spec")),
            curves=dict(curves),
            checkpoints=self._saved(),
            answers=self._asked(),
            rehearsal=files.build(self._file(files.REHEARSAL), files.Rehearsal),
            plan=plan,
            result=_object(self._file(folder.RESULT)),
            finishing=row.live and finish_asked(self.dir),
            verdicts=(),
        )
        return replace(run, verdicts=tuple(health.verdicts(signs(run))))

    def _file(self, name: str) -> Any:
        """A JSON file of the folder, read when it has changed; None where there is none."""
        path = self.dir / name
        try:
            info = path.stat()
            state = (info.st_mtime_ns, info.st_size)
            known = self._read.get(name)
            if known is None or known[0] != state:
                known = (state, read_json(path))
                self._read[name] = known
        except (OSError, ValueError):
            return None
        return known[1]

    def _saved(self) -> tuple[files.Checkpoint, ...]:
        """The complete checkpoints; their files are read when one came or went."""
        marked = []
        try:
            with os.scandir(self.dir / files.CHECKPOINTS) as entries:
                for entry in entries:
                    try:
                        info = (Path(entry.path) / files.COMPLETE).stat()
                    except OSError:
                        continue
                    marked.append((entry.name, info.st_mtime_ns))
        except OSError:
            pass
        found = tuple(sorted(marked))
        if found != self._marked:
            self._checkpoints, self._marked = tuple(files.checkpoints(self.dir)), found
        return self._checkpoints

    def _asked(self) -> dict[int, dict[int, files.Sample]]:
        """The sample answers; of a step that was done twice, the later ones.

        A run that goes on from a checkpoint takes back the answers after it. So a file is read anew where it has changed; a
        very large one is only read on.
        """
        path = self.dir / files.SAMPLES
        try:
            info = path.stat()
        except OSError:
            return self._answers
        if (info.st_mtime_ns, info.st_size) == self._answered_at:
            return self._answers
        answers = {step: dict(given) for step, given in self._answers.items()}
        if info.st_size <= CHUNK or info.st_size < self._answered:
            answers, self._answered = {}, 0
        new, self._answered = _lines(path, self._answered)
        for one in new:
            answers.setdefault(one.step, {})[one.prompt] = one
        while len(answers) > SAMPLED:
            steps = sorted(answers)
            answers = {step: answers[step] for step in [*steps[:-1:2], steps[-1]]}
        self._answers = dict(sorted(answers.items()))
        self._answered_at = (info.st_mtime_ns, info.st_size)
        return self._answers


def signs(run: Run) -> Signs:
    """What the verdicts on ``run`` are made of."""
    words = [name for name in ("loss", "eval_loss", "grad_norm") if isinstance(run.last(name), str)]
    return Signs(
        curves={
            name: [(at, value) for _t, at, value in curve.points if at is not None]
            for name, curve in run.curves.items()
        },
        no_number=words[0] if words else "",
        step=run.step,
        steps=run.steps,
        live=run.row.live and run.row.progress.get("phase") not in AFTER,
        expected_step_s=run.rehearsal.step_s if run.rehearsal else None,
        spec=run.spec,
    )


def _lines(path: Path, offset: int) -> tuple[list[files.Sample], int]:
    """Samples that were written after ``offset``, and where to go on."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(CHUNK)
    except OSError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return [], offset
    found = []
    for line in whole.splitlines():
        try:
            found.append(files.build(json.loads(line), files.Sample))
        except ValueError:
            continue  # torn by a kill
    return [one for one in found if one is not None], offset + len(whole)


def _object(data: Any) -> dict[str, Any]:
    return dict(data) if isinstance(data, Mapping) else {}
