"""The tables of wordings under ``data/``: which there are, and what stands in them.

A table is a text file: ``#`` a comment, ``== key language part`` a heading, every other line a wording. ``~`` before a question
says that neither yes nor no answers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backend.data.make.grammar import LANGUAGES, Lang

FOLDER = Path(__file__).parent / "data"
Key = tuple[str, Lang, str]


@dataclass(frozen=True)
class Question:
    """A wording of a question. intent: what is asked (``name``, ``maker``, …). yes_or_no: may be answered with one."""

    intent: str
    lang: Lang
    wording: str
    yes_or_no: bool = True


@cache
def table(name: str) -> dict[Key, tuple[str, ...]]:
    """(key, language, part) -> wordings, of the file ``data/<name>.txt``."""
    found: dict[Key, tuple[str, ...]] = {}
    key: Key | None = None
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            what, lang, part = line[3:].split()
            key = (what, next(known for known in LANGUAGES if known == lang), part)
            found[key] = ()
        elif line and not line.startswith("#"):
            assert key is not None, f"{name}.txt: a wording before the first heading"
            found[key] += (line,)
    return found


@cache
def questions(lang: Lang, part: str) -> tuple[Question, ...]:
    """All questions about the identity in ``lang``; part: ``train``, ``near`` or ``test``."""
    return tuple(
        Question(intent, lang, wording.removeprefix("~"), not wording.startswith("~"))
        for (intent, language, which), wordings in table("questions").items()
        if (language, which) == (lang, part)
        for wording in wordings
    )


@cache
def neutral(lang: Lang) -> tuple[tuple[str, str], ...]:
    """(question, answer) of things that have nothing to do with the identity."""
    text = (FOLDER / "neutral.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return tuple((question, answer) for language, question, answer in lines if language == lang)
