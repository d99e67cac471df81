"""A past run as it was read from files, before it is kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.evaluate.records import Answer, Run, Score

FAMILIES = {"ceval-": "ceval", "lukaemon_mmlu_": "mmlu", "cmmlu-": "cmmlu", "mmlu_pro": "mmlu_pro", "mmlu_": "mmlu"}
"""How names of subjects begin, and the collection that they are of; the first that fits."""
NAMED = 3


@dataclass(frozen=True)
class Imported:
    """run: with ``id`` 0. scores: also the cells without a value, each with its cause. answers: empty where only scores were there."""

    run: Run
    scores: tuple[Score, ...]
    answers: tuple[Answer, ...] = ()

    @property
    def digest(self) -> str:
        """The same for the same run read again, wherever its files lie by now."""
        run = self.run
        scores = sorted(
            [s.subject, s.metric, s.version, s.value, s.n or 0, s.cause.get("code", "")] for s in self.scores
        )
        told = [run.evaluator, run.model, run.name, dict(run.settings), scores, len(self.answers)]
        made = hashlib.sha256(json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for answer in self.answers:
            made.update(
                f"{answer.subject}\0{answer.number}\0{answer.key}\0{answer.said}\0".encode("utf-8", "surrogatepass")
            )
        return made.hexdigest()


def run_of(
    evaluator: str,
    model: str,
    scores: Sequence[Score],
    *,
    path: Path,
    told: str = "",
    version: str = "",
    notices: Iterable[str] = (),
) -> Run:
    """The run of an import. told: the time in its names, ``20260101_120000``, empty where there is none."""
    began = moment(told) or _changed(path)
    subjects = [score.subject for score in scores if not score.group]
    name = collection(subjects)
    whole = all(score.value is not None for score in scores if not score.group)
    return Run(
        id=0,
        name=" · ".join(filter(None, (model, name))),
        evaluator=evaluator,  # type: ignore[arg-type]  # one of the two that leave files
        version=version,
        model=model,
        set_name=name,
        set_version="",
        source="import",
        path=str(path),
        state="done" if whole else "partial",
        began=began,
        ended=began,
        settings={"time": told} if told else {},
        notices=tuple(notices),
    )


def collection(subjects: Iterable[str]) -> str:
    """What a run asked, by the names of its subjects: ``ceval``, ``ceval, mmlu``, or the names themselves where they are few."""
    found: dict[str, None] = {}
    for subject in subjects:
        found[next((name for begin, name in FAMILIES.items() if subject.startswith(begin)), subject)] = None
    names = list(found)
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def key_of(asked: str, gold: str) -> str:
    """What identifies a question of which only its text is known."""
    return hashlib.sha256(f"{asked}\0{gold}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def moment(told: str) -> float | None:
    """Epoch seconds of ``20260101_120000`` on this machine's clock."""
    try:
        return time.mktime(time.strptime(told, "%Y%m%d_%H%M%S"))
    except (ValueError, OverflowError):
        return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
