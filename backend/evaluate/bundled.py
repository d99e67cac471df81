"""The set of questions that comes along: 60 multiple choices in English and 60 in Chinese, in six subjects each, and five solved examples a subject.

Written for TuneDeck, by hand, from the kinds of facts that the starter model was taught (``jobs/starter``): a model that knows what a schoolchild
knows solves nearly all, the starter well over half. Each question stands here in a wording that the starter's training does not have in a
multiple choice, with wrong options of the same kind. Each letter is the right one equally often. A line of ``data/bundled.jsonl``:

    {"subject": "geography-en", "split": "test", "question": "…", "options": ["…", "…", "…", "…"], "answer": "B"}
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from backend.evaluate.layouts import version_of
from backend.evaluate.questions import Question, Subject
from backend.i18n import N_

NAME = "bundled"
TITLE = N_("Bundled questions, English and Chinese")
FILE = Path(__file__).parent / "data" / "bundled.jsonl"
GROUPS = {"en": "english", "zh": "中文"}
TITLES = {
    "geography-en": "Geography",
    "opposites-en": "Opposites",
    "numbers-en": "Numbers and calendar",
    "nature-en": "Nature and colours",
    "translation-en": "Chinese to English",
    "everyday-en": "General knowledge",
    "geography-zh": "地理",
    "opposites-zh": "反义词",
    "numbers-zh": "数字与日历",
    "nature-zh": "自然与颜色",
    "translation-zh": "英译中",
    "everyday-zh": "常识",
}
"""Subjects in the order in which they stand. Each title is in the language of its questions, whoever reads."""


@cache
def questions() -> dict[str, tuple[Question, ...]]:
    """Subject -> what is asked."""
    return _read("test")


@cache
def examples() -> dict[str, tuple[Question, ...]]:
    """Subject -> solved examples."""
    return _read("dev")


@cache
def subjects() -> tuple[Subject, ...]:
    """The subjects, by language."""
    asked, solved = questions(), examples()
    return tuple(
        Subject(name, len(asked[name]), len(solved[name]), title, GROUPS[_language(name)], _language(name))
        for name, title in TITLES.items()
    )


@cache
def version() -> str:
    """See :attr:`backend.evaluate.questions.QuestionSet.version`."""
    return version_of(question for rows in questions().values() for question in rows)


def _read(split: str) -> dict[str, tuple[Question, ...]]:
    found: dict[str, list[Question]] = {name: [] for name in TITLES}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["split"] == split:
            into = found[row["subject"]]
            into.append(
                Question(
                    row["subject"],
                    len(into),
                    row["question"],
                    "choice",
                    row["answer"],
                    tuple(row["options"]),
                    language=_language(row["subject"]),
                )
            )
    return {name: tuple(rows) for name, rows in found.items()}


def _language(subject: str) -> str:
    return subject.rpartition("-")[2]
