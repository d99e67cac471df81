"""Sets of questions as OpenCompass reads them: a folder in the layout of C-Eval or MMLU, or its custom data sets, a JSONL file for each subject.

A folder that is whole is asked from where it lies. Otherwise what is asked is written anew: only so many questions, another encoding, or a split that
OpenCompass opens without asking anything of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.engines.opencompass_text import BENCHMARKS, HF_ANSWER, HF_BATCH, Asked, Own, safe_name
from backend.errors import DataError, PanelError
from backend.evaluate import wording
from backend.evaluate.questions import LETTERS, Question
from backend.i18n import N_
from backend.specs.evaluate import EvaluateSpec

Questions = Mapping[str, Sequence[Question]]
ASKED_SPLIT = {"ceval": "val", "mmlu": "test"}
HEADER = ("id", "question", "A", "B", "C", "D", "answer", "explanation")
EXAMPLES = 5
"""Solved questions that both benchmarks show before each; with fewer OpenCompass ends."""


@dataclass(frozen=True)
class Prepared:
    """asked: for the config. names: OpenCompass's name -> subject. refused: subjects that it cannot be asked, and why."""

    asked: Asked
    names: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, PanelError] = field(default_factory=dict)


def prepare(spec: EvaluateSpec, kind: str, questions: Questions, gpus: int = 0) -> Prepared:
    """What ``spec`` asks of a set of that ``kind``. gpus: that a model may use which OpenCompass loads itself."""
    options: dict[str, Any] = {
        "by": spec.by,
        "answer_tokens": spec.answer_tokens,
        "workers": spec.concurrency,
        "batch": max(8, 4 * spec.concurrency),
        "timeout_s": spec.timeout_s,
    }
    if spec.by == "hf":
        given = "answer_tokens" in spec.model_fields_set
        options |= {"answer_tokens": spec.answer_tokens if given else HF_ANSWER, "batch": HF_BATCH, "gpus": gpus}
    if kind in BENCHMARKS:
        prefix = BENCHMARKS[kind].prefix
        return Prepared(Asked(kind, tuple(questions), **options), {prefix + subject: subject for subject in questions})
    own: list[Own] = []
    names: dict[str, str] = {}
    refused: dict[str, PanelError] = {}
    for subject, some in questions.items():
        problem = _problem(subject, some)
        if problem is not None:
            refused[subject] = problem
            continue
        abbr = safe_name(subject, names)
        names[abbr] = subject
        rule = "mcq" if some[0].rule == "choice" else "qa"
        own.append(Own(abbr, f"{abbr}.jsonl", rule, bool(some[0].system)))
    return Prepared(Asked("own", own=tuple(own), **options), names, refused)


def names(kind: str, subjects: Sequence[str]) -> dict[str, str]:
    """Subject -> what it is called in the results: OpenCompass's own name where it has one, else its own."""
    prefix = BENCHMARKS[kind].prefix if kind in BENCHMARKS else ""
    return {subject: prefix + subject for subject in subjects}


def _problem(subject: str, some: Sequence[Question]) -> PanelError | None:
    """Why OpenCompass cannot ask these, None where it can."""
    rules = {question.rule for question in some}
    if rules not in ({"choice"}, {"exact"}) or any(question.accept for question in some if question.rule == "exact"):
        return DataError(
            "opencompass_rule",
            N_(
                "OpenCompass marks multiple choice, and answers that must be one exact text; '{subject}' has questions of another kind."
            ),
            N_("Ask this subject with TuneDeck's own evaluator or with lm-evaluation-harness."),
            subject=subject,
        )
    if len({bool(question.system) for question in some}) > 1:
        return DataError(
            "opencompass_system",
            N_(
                "In '{subject}' some questions have a system prompt and others have none; OpenCompass asks all of a subject alike."
            ),
            N_("Ask this subject with TuneDeck's own evaluator, or make two subjects of it."),
            subject=subject,
        )
    return None


def write(folder: Path, prepared: Prepared, questions: Questions, examples: Questions, source: Path | None) -> Path:
    """The folder that OpenCompass reads: ``source`` where it is whole, else ``folder``, which is written. examples: solved questions of each subject."""
    kind = prepared.asked.kind
    if kind not in BENCHMARKS:
        folder.mkdir(parents=True, exist_ok=True)
        for own in prepared.asked.own:
            rows = questions[prepared.names[own.abbr]]
            (folder / own.file).write_text(_jsonl(rows, own.kind), encoding="utf-8")
        return folder
    if source is not None and all(_whole(kind, source, subject, len(some)) for subject, some in questions.items()):
        return source
    for subject, some in questions.items():
        for split in BENCHMARKS[kind].splits:
            rows = examples.get(subject, ())[:EXAMPLES] if split == "dev" else some
            _write_csv(folder / split / f"{subject}_{split}.csv", rows, header=kind == "ceval")
    return folder


def _whole(kind: str, source: Path, subject: str, count: int) -> bool:
    """Whether all files of ``subject`` are there as OpenCompass reads them, with all ``count`` questions that are asked."""
    for split in BENCHMARKS[kind].splits:
        try:
            with (source / split / f"{subject}_{split}.csv").open(encoding="utf-8", newline="") as file:
                if file.read(1) == "\ufeff":
                    return False
                file.seek(0)
                rows = sum(1 for _row in csv.reader(file)) - (kind == "ceval")
        except (OSError, ValueError, csv.Error):
            return False
        if split == ASKED_SPLIT[kind] and rows != count:
            return False
    return True


def _write_csv(path: Path, questions: Sequence[Question], *, header: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if header:
            writer.writerow(HEADER)
        for number, question in enumerate(questions):
            row = (question.text, *question.options, question.answer)
            writer.writerow((number, *row, "") if header else row)


def _jsonl(questions: Sequence[Question], kind: str) -> str:
    """Rows of one file. All have the same columns: the first decides about those of all."""
    most = max(len(question.options) for question in questions)
    lines = []
    for question in questions:
        options = dict(zip(LETTERS, (*question.options, *[None] * (most - len(question.options))), strict=False))
        row = {**(options if kind == "mcq" else {}), "answer": question.answer}
        if question.system:
            row["system"] = question.system
        # Last: what stands in it is then text, and no place to be filled in.
        row["prompt"] = wording.asked(question)
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines) + "\n"
