"""A question, a subject, and a set of them, wherever they come from: bundled, a folder in OpenCompass's layout, or one's own rows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Rule = Literal["choice", "exact", "contains", "regex", "judge"]
"""How an answer is marked: the letter of an option; the whole text; a text that must occur; a pattern; another model's verdict."""
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Question:
    """One question. rule: see :data:`Rule`. options: texts, without letters, for ``choice``. answer: the letter for ``choice``, the pattern for
    ``regex``, else the solution. accept: other solutions that count as well. system: a system prompt, or empty. language: ``en``, ``zh`` or empty.
    number: its place in the subject, from 0."""

    subject: str
    number: int
    text: str
    rule: Rule
    answer: str
    options: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    system: str = ""
    language: str = ""

    @property
    def key(self) -> str:
        """What identifies it in all runs, 16 hex digits: the same question has the same key, whatever file it stands in."""
        said = json.dumps([self.text, self.options, self.rule, self.answer, self.system], ensure_ascii=False)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Subject:
    """name: as its file is named. title: for people, may be empty. questions: how many. examples: solved ones to show before. group: the group
    that its score counts in, may be empty. problem: why it cannot be asked (``PanelError.to_dict``), empty where it can."""

    name: str
    questions: int
    examples: int = 0
    title: str = ""
    group: str = ""
    language: str = ""
    problem: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QuestionSet:
    """name: unique in the workspace; what specs call it. kind: ``bundled``; ``ceval`` or ``mmlu``, a folder in that layout; ``own``, made from rows.
    version: 12 hex digits of all questions; scores of different versions are not compared. path: its folder or file. problem: of the set as a
    whole (its folder is gone), empty where there is none."""

    name: str
    title: str
    kind: Literal["bundled", "ceval", "mmlu", "own"]
    version: str
    subjects: tuple[Subject, ...]
    path: Path | None = None
    problem: dict[str, Any] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """How many there are in subjects that can be asked."""
        return sum(subject.questions for subject in self.subjects if not subject.problem)
