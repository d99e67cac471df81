"""What an evaluator is given and what it gives back: each module of an evaluator has ``evaluate(work: Work) -> Ended``.

The program (:mod:`jobs.evaluate`) has begun the run by then and ends it afterwards. In between the evaluator plans its cells (``work.store.plan``), puts
what comes (``put_answers``, ``put_scores``) and tells how far it is. A second attempt of the same job finds what is kept in ``work.answered()``. When a
person stops it, it raises :class:`jobs.harness.Stopped` or returns; what was put stays. A cell that gets no number gets a cause.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.catalog import ModelCard
from backend.evaluate.questions import Question
from backend.evaluate.records import Outcome, State, Tally
from backend.evaluate.store import EvaluateStore
from backend.finetune.intervals import wilson
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs.harness import Job


@dataclass(frozen=True)
class Served:
    """The server of the model. base_url: ends in ``/v1``. model: its name there. key: bearer token, may be empty; never shown. context_length: tokens,
    0 where nobody knows. job: number of the job that serves it, None for a server that is not ours. path: folder of the model, empty where unknown.
    asks_usage: it takes ``stream_options``."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    context_length: int = 0
    engine: str = ""
    job: int | None = None
    path: str = ""
    asks_usage: bool = True


@dataclass(frozen=True)
class Ended:
    """How it ended. notices: codes of :data:`backend.evaluate.notices.NOTICES`. version: of the evaluator. The program itself turns ``done`` into
    ``partial`` where a cell has no number."""

    state: State
    notices: tuple[str, ...] = ()
    version: str = ""


@dataclass
class Work:
    """One evaluation. run_id: the run in ``store`` that gets the answers; 0 for a trial, which keeps nothing. served: None where the evaluator loads the
    model itself (``by="hf"``). questions: all that are to be asked, by subject, drawn already. folder: of the job, for files of the evaluator.
    card: the model in the catalogue, None for one that is not there."""

    job: Job
    spec: EvaluateSpec
    workspace: Workspace
    store: EvaluateStore
    run_id: int
    served: Served | None
    questions: list[Question]
    folder: Path
    card: ModelCard | None = None
    _began: tuple[str, float, float] = field(default=("", 0.0, 0.0), init=False, repr=False)

    @property
    def stop_requested(self) -> bool:
        """A person has pressed Stop."""
        return self.job.stop_requested

    def subjects(self) -> dict[str, list[Question]]:
        """The questions of each subject, in their order."""
        found: dict[str, list[Question]] = {}
        for question in self.questions:
            found.setdefault(question.subject, []).append(question)
        return found

    def answered(self) -> dict[str, dict[int, Outcome]]:
        """Subject -> number -> outcome of what an earlier attempt has put; those that ``failed`` are to be asked again."""
        return self.store.answered(self.run_id)

    @property
    def model_path(self) -> Path | None:
        """The folder of the model on this machine (for an adapter: its own, see ``card.base``), None where there is none."""
        if self.card is not None:
            return self.card.path
        known = Path(self.served.path) if self.served is not None and self.served.path else None
        return known if known is not None and known.is_dir() else None

    @property
    def tokenizer_path(self) -> Path | None:
        """The folder whose tokenizer the model uses, None where it is not on this machine."""
        if self.card is None:
            return self.model_path
        return self.card.base.path if self.card.base is not None and not self.card.own_tokenizer else self.card.path

    def tell(
        self, done: float, total: float, counts: Tally | None = None, eta_s: float | None = None, phase: str = "ask"
    ) -> None:
        """``done`` of ``total`` questions (or whatever the phase counts). ``counts``: outcomes so far over all subjects, which give the running accuracy
        in percent with its 95 % interval. The time left is reckoned from the pace since the phase began where ``eta_s`` does not say it."""
        now = time.monotonic()
        if self._began[0] != phase:
            self._began = (phase, now, done)
        came = done - self._began[2]
        if eta_s is None and came > 0:
            eta_s = (now - self._began[1]) / came * max(0.0, total - done)
        self.job.progress(phase, done, total, eta_s, figures(counts) if counts is not None else None)


def figures(counts: Tally) -> Mapping[str, float]:
    """``right``, ``wrong``, ``unread``, ``failed``, and where a question counts ``accuracy``, ``low``, ``high`` in percent."""
    found = {name: float(getattr(counts, name)) for name in ("right", "wrong", "unread", "failed")}
    if counts.counted:
        low, high = wilson(counts.right, counts.counted)
        found |= {"accuracy": 100 * counts.right / counts.counted, "low": 100 * low, "high": 100 * high}
    return found
