"""How evaluators, kinds of sets, groups of subjects and rules of marking read on the Evaluate page."""

from __future__ import annotations

from backend.evaluate.records import Evaluator
from backend.i18n import N_, _, ngettext

ENGINES: dict[Evaluator, str] = {"opencompass": "opencompass", "lm_eval": "lm_eval"}
"""Evaluators that live in an environment of their own, and its name."""
ABOUT: dict[Evaluator, str] = {
    "tunedeck": N_("Nothing to install. All sets, also with a judge; can be stopped and goes on."),
    "opencompass": N_("The program of the course: its tables, its prompts. C-Eval, MMLU and multiple choice."),
    "lm_eval": N_("Multiple choice, and sets of your own. No judge."),
}
KINDS = {
    "bundled": N_("ships with TuneDeck"),
    "ceval": N_("C-Eval layout"),
    "mmlu": N_("MMLU layout"),
    "own": N_("your own"),
}
GROUPS = {
    "english": N_("English"),
    "stem": N_("STEM"),
    "social-science": N_("Social science"),
    "humanities": N_("Humanities"),
    "other": N_("Other subjects"),
    "hard": N_("Hard subjects"),
}
RULES = {
    "choice": N_("multiple choice: the letter counts"),
    "exact": N_("exact: the whole answer, spaces and case aside"),
    "contains": N_("contains: the solution occurs in the answer"),
    "regex": N_("pattern: a regular expression matches"),
    "judge": N_("judge: another model decides"),
}


def kind(name: str) -> str:
    """The kind of a set, in words."""
    return _(KINDS[name]) if name in KINDS else name


def group(name: str) -> str:
    """A group of subjects; one that is not known stands for itself."""
    return _(GROUPS[name]) if name in GROUPS else name


def rule(name: str) -> str:
    """How an answer is marked, in one line."""
    return _(RULES[name]) if name in RULES else name


def questions(count: int) -> str:
    """``1,346 questions``."""
    return ngettext("{n} question", "{n} questions", count).format(n=f"{count:,}")


def subjects(count: int) -> str:
    """``52 subjects``."""
    return ngettext("{n} subject", "{n} subjects", count).format(n=f"{count:,}")
