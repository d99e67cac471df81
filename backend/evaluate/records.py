"""What is kept of an evaluation: a run, its score of each subject, and each answer. See :mod:`backend.evaluate.store`.

A run is one model asked by one evaluator; scores of different evaluators, or of different versions of a set, never stand in one column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Evaluator = Literal["tunedeck", "opencompass", "lm_eval"]
EVALUATORS: tuple[Evaluator, ...] = ("tunedeck", "opencompass", "lm_eval")
Outcome = Literal["right", "wrong", "unread", "failed"]
"""unread: something was said, and no answer could be read out of it. failed: nothing was said, note says why."""
State = Literal["running", "done", "partial", "stopped", "failed"]
"""partial: it ended, and a score is missing; its cause says why. stopped: by a person, or the job was lost; it can go on."""


@dataclass(frozen=True)
class Run:
    """id: 0 where it is not kept yet. name: for people; two may have the same. version: of the evaluator. model: as people know it (name in the
    catalogue, or of a server). fingerprint: of its weights and template, may be empty; the same model again has the same. set_name, set_version:
    see :class:`backend.evaluate.questions.QuestionSet`; of an import what could be told. job: number of the job, None for an import. path: what was
    imported. began, ended: epoch seconds. settings: of the spec, what decides about scores. notices: codes of what a person should know."""

    id: int
    name: str
    evaluator: Evaluator
    version: str
    model: str
    set_name: str
    set_version: str
    set_title: str = ""
    fingerprint: str = ""
    source: Literal["job", "import"] = "job"
    job: int | None = None
    path: str = ""
    state: State = "running"
    began: float = 0.0
    ended: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """One cell. subject: as OpenCompass's ``dataset`` column names it for its runs. version: of the prompt, where the evaluator says one. metric:
    ``accuracy``, ``naive_average``, … mode: ``gen``, ``ppl``, … value: in percent for accuracy, else as the evaluator reports it; None where there is
    none. n: questions that it rests on, planned ones while it runs; None where an import does not say. group: an average over subjects, as it was
    reported. cause: why value is None (``PanelError.to_dict``). evidence: the lines that show it."""

    subject: str
    value: float | None = None
    n: int | None = None
    version: str = ""
    metric: str = "accuracy"
    mode: str = "gen"
    group: bool = False
    cause: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""


@dataclass(frozen=True)
class Answer:
    """One question answered. number: place in the subject. key: :attr:`backend.evaluate.questions.Question.key`, for imports a hash of what was asked.
    question: as a person reads it, options included. prompt: exactly what was sent, JSON list of messages or plain text. said: the whole answer. taken:
    what was read out of it. gold: the solution. seconds, tokens: of this answer, None where not known. note: why it failed (``PanelError.to_dict``), or
    what a judge said (``{"judge": …, "model": …}``)."""

    subject: str
    number: int
    key: str
    question: str
    prompt: str
    said: str
    taken: str
    gold: str
    outcome: Outcome
    seconds: float | None = None
    tokens: int | None = None
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """How far a subject is, or how it ended. planned: questions that are to be asked."""

    subject: str
    planned: int
    right: int = 0
    wrong: int = 0
    unread: int = 0
    failed: int = 0

    @property
    def asked(self) -> int:
        """How many have an outcome."""
        return self.right + self.wrong + self.unread + self.failed

    @property
    def counted(self) -> int:
        """How many the accuracy rests on: an answer that could not be read counts as not right, a question that failed does not count."""
        return self.right + self.wrong + self.unread
