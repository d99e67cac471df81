"""Measure a model and its smaller copies beside each other: ``python -m jobs.report_card spec.json``.

load    the rows and questions that all of them get; where they cannot be had, nothing is measured
read    one model after the other: how surprised it is by each row, and how far its next tokens are from the base's
ask     while it is in memory: its answers
time    served as Deploy serves it: loading, memory, first token, tokens/s alone and with several people at once

Each part of each model is kept when it is done (``report-card/``), so that a job which ended early goes on behind it, and
``report-card.json`` grows meanwhile. What cannot be measured here has a cell that says why. The base of a comparison must be readable;
any other model may fail alone.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.catalog import ModelCard
from backend.errors import PanelError
from backend.finetune import scoring
from backend.i18n import N_
from backend.quantize import report, report_cells, report_records
from backend.quantize.report_records import Answer, Heard, Raw, Report, Said, Subject
from backend.specs.quantize import QuantizeSpec, ReportCardSpec
from backend.workspace import open_workspace
from jobs import threads
from jobs.harness import Job, Stopped, main

if TYPE_CHECKING:
    from jobs.grading.material import Material

KEPT_CHARS = 2000
"""Of a question or an answer that is kept to be read."""
READ, ASK, TIME = "read", "ask", "time"
SHARES = {READ: 0.3, ASK: 0.4, TIME: 0.3}
"""Of the work for one model, roughly."""


def run(job: Job) -> dict[str, Any]:
    spec = job.spec_as(ReportCardSpec)
    found = grade(job, spec)
    for line in report.sentences(found):
        job.log(line)
    job.artifact("report", job.dir / report_records.FILE)
    return {"recommends": report.recommend(found), "models": [one.name for one in found.models]}


def measure(job: Job, models: Sequence[str], spec: ReportCardSpec | None = None) -> None:
    """The report card of ``models`` at the end of another job, the base first. The copy that this job made is never lost by
    it: what goes wrong is written into the report.

    Raises:
        Stopped: the person asked to stop.
    """
    try:
        found = grade(job, spec or _spec(job, models))
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - the copy is made: nothing that happens here may take that away
        found = _cannot(job, error)
    for line in report.sentences(found):
        job.log(line)
    job.artifact("report", job.dir / report_records.FILE)


def grade(job: Job, spec: ReportCardSpec) -> Report:
    """Measure all that is not measured yet; the report, which is kept in the job's folder, too.

    Raises:
        PanelError: a model is not there, or the rows. Stopped: the person asked to stop.
    """
    threads.wait_briefly()
    workspace = open_workspace()
    cards = [catalog.find(workspace, name) for name in spec.models]
    job.phase("load")
    from jobs.grading.material import gather

    material = gather(job, workspace, spec)
    card = _ReportCard(job, spec, cards, material)
    card.measure()
    return card.keep(complete=True)


class _ReportCard:
    """A report while it is made."""

    def __init__(self, job: Job, spec: ReportCardSpec, cards: Sequence[ModelCard], material: Material) -> None:
        self.job, self.spec, self.cards, self.material = job, spec, list(cards), material
        self.names = _names(self.cards)
        known = report.read(job.dir)
        self.began, self.before = time.monotonic(), known.seconds if known is not None else 0.0
        self.device = known.device if known is not None else ""
        self.raws = [self._known(place) for place in range(len(self.cards))]

    def measure(self) -> None:
        """Part by part; a base that cannot be read ends it."""
        from jobs.grading.sitting import Sitting

        sitting = Sitting(self.job, self.spec, self.cards, self.material)
        try:
            for place, raw in enumerate(self.raws):
                again = place == 0 and sitting.base_is_wanted(self.raws)
                if raw.losses is None or raw.heard is None or again:
                    self.job.phase(READ)
                    self._keep_raw(place, sitting.sit(place, self.raws, self._watch(place), self._keep_raw))
                    self.device = sitting.device
        finally:
            sitting.leave()
        # Behind the others: a server beside a model in memory would find less room.
        for place in range(len(self.cards)):
            if self.raws[place].serving is None:
                self.job.phase(TIME)
                self._keep_raw(place, self._timed(place))

    def keep(self, *, complete: bool = False) -> Report:
        """What is known by now, in the job's folder."""
        answers, rights = self._answers()
        subjects = [self._subject(place, rights) for place in range(len(self.cards))]
        base = subjects[0]
        subjects = [
            replace(one, cells=tuple(report_cells.against(cell, base.cell(cell.name)) for cell in one.cells))
            if one is not base
            else one
            for one in subjects
        ]
        tokens = self.raws[0].tokens or []
        found = Report(
            models=tuple(subjects),
            answers=answers,
            rows=len(tokens),
            tokens=sum(tokens),
            questions=len(answers),
            dataset=self.material.dataset,
            version=self.material.version,
            split=self.material.split,
            people=self.spec.people,
            busy=max((raw.serving.busy for raw in self.raws if raw.serving is not None), default=0.0),
            device=self.device,
            seconds=round(self.before + time.monotonic() - self.began, 1),
            made=time.time(),
            complete=complete,
        )
        report.write(self.job.dir, found)
        return found

    def _timed(self, place: int) -> Raw:
        from jobs.grading import timing

        raw, watch = self.raws[place], self._watch(place)
        try:
            serving = timing.measure(
                self.job, self.cards[place], self.spec.models[place], self.spec, lambda share: watch(TIME, share)
            )
        except PanelError as error:
            self.job.log(f"{self.names[place]}: not timed: {error}")
            return replace(raw, problems={**raw.problems, "serve": error.to_dict()})
        return replace(raw, serving=serving, problems={k: v for k, v in raw.problems.items() if k != "serve"})

    def _subject(self, place: int, rights: Sequence[Sequence[bool | None]]) -> Subject:
        card, raw = self.cards[place], self.raws[place]
        size = card.folder_bytes + (card.base.folder_bytes if card.base is not None else 0)
        cells = report_cells.cells(card, raw, self.raws[0], size, rights[place], rights[0], self.spec.people)
        served = card.served
        refused = "serve" in raw.problems and raw.problems["serve"].get("code") != report_cells.NOT_ASKED.code
        return Subject(
            self.names[place],
            str(card.path),
            served.quantization or served.dtype,
            served.quantization_bits,
            cells,
            True if raw.serving is not None else False if refused else None,
        )

    def _answers(self) -> tuple[tuple[Answer, ...], list[list[bool | None]]]:
        """The answers to the questions that the base was asked, and for each model which of them are right."""
        heard = self.raws[0].heard or []
        places = [at for at, one in enumerate(heard) if one is not None]
        said = [[self._said(raw, at) for at in places] for raw in self.raws]
        answers = []
        for number, at in enumerate(places):
            asked = self.material.asked[at]
            texts = tuple(each[number] for each in said)
            answers.append(Answer(asked.asked[-KEPT_CHARS:], asked.expected[:KEPT_CHARS], asked.language, texts))
        return tuple(answers), [[one.right if one is not None else None for one in each] for each in said]

    def _said(self, raw: Raw, at: int) -> Said | None:
        one: Heard | None = raw.heard[at] if raw.heard is not None and at < len(raw.heard) else None
        if one is None:
            return None
        return Said(one.text[:KEPT_CHARS], one.ended, scoring.right(self.material.asked[at], one.text))

    def _known(self, place: int) -> Raw:
        mark = mark_of(self.cards[place])
        raw = report_records.read_raw(self.job.dir, place)
        # What could not be done an attempt ago may be possible now.
        return replace(raw, problems={}) if raw.mark == mark else Raw(mark=mark)

    def _keep_raw(self, place: int, raw: Raw) -> None:
        self.raws[place] = raw
        report_records.write_raw(self.job.dir, place, raw)
        self.keep()

    def _watch(self, place: int) -> Callable[[str, float], None]:
        """Progress over all models; ends the work where a person stops."""
        count, alone = len(self.cards), 1 - SHARES[TIME]
        begins = {READ: place * alone, ASK: place * alone + SHARES[READ], TIME: count * alone + place * SHARES[TIME]}

        said: list[float] = []

        def told(part: str, share: float) -> None:
            self.job.check_stop()
            done = (begins[part] + SHARES[part] * share) / count
            spent = time.monotonic() - self.began
            # A job that went on had a part of it done before it began.
            left = spent * (1 / done - 1) if done > 0.05 and not self.before else None
            if said[-1:] != [round(100 * done)]:
                said.append(round(100 * done))
                self.job.progress(part, said[-1], 100, left)

        return told


def mark_of(card: ModelCard) -> str:
    """What tells one state of a model's files from another."""
    stamps = []
    for folder in filter(None, [card.path, card.base.path if card.base is not None else None]):
        for path in sorted(folder.glob("*.safetensors")):
            found = path.stat()
            stamps.append(f"{path.name}:{found.st_size}:{found.st_mtime_ns}")
    return f"{card.path}|{'|'.join(stamps)}"


def _names(cards: Sequence[ModelCard]) -> list[str]:
    """A name for each; those that share one are told apart by their folders."""
    names = [card.name for card in cards]
    return [name if names.count(name) == 1 else str(card.path) for name, card in zip(names, cards, strict=True)]


def _spec(job: Job, models: Sequence[str]) -> ReportCardSpec:
    """What follows from the spec of the job at whose end this is."""
    spec = job.spec
    told: dict[str, Any] = {}
    if isinstance(spec, QuantizeSpec):
        told = {"device": spec.device, "seed": spec.seed}
        if spec.calibration == "dataset":
            told |= {"dataset": spec.dataset, "version": spec.version}
    return ReportCardSpec(models=tuple(models), **told)


def _cannot(job: Job, error: Exception) -> Report:
    """Write down why it could not be measured, beside what was."""
    if not isinstance(error, PanelError):
        job.log("".join(traceback.format_exception(error)).rstrip())
        error = PanelError(
            "report_failed",
            N_("The report card could not be made: {kind}: {problem}"),
            N_("The copy is kept. Make the report card again from its page, or read the log for what happened."),
            kind=type(error).__name__,
            problem=str(error)[:1000],
        )
    found = report.read(job.dir) or Report(made=time.time())
    found = replace(found, complete=True, problem=error.to_dict())
    try:
        report.write(job.dir, found)
    except PanelError as second:
        job.log(f"the reason could not be kept either: {second}")
    return found


if __name__ == "__main__":
    raise SystemExit(main("report_card", run))
