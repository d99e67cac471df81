"""How lm-evaluation-harness is told what to ask of which model: tasks, their questions, one file for the run, and its command line.

A subject is a task of its own: a YAML file and the questions beside it, in the very words that TuneDeck's own evaluator sends. A subject whose questions
are marked by several rules is a group of tasks, one a rule, and its score is the group's. Everything lies in one folder, with paths relative to
the folder around it, where the program is started.

What is read out of an answer and what counts as right is decided by its own filters and its own metric ``exact_match``:

    choice    multi_choice_regex, with a pattern that looks for a letter as TuneDeck does, in the same order; failing that the text of an option
    exact     without blanks, quotes, and punctuation around it; case does not count
    contains  a filter of our own in lm_eval_rules.py, since it has none
    regex     likewise
    judge     not at all: it asks no second model
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from backend.engines import lm_eval_text
from backend.engines.lm_eval_text import HOME, KEY_VARIABLE, RUN, Endpoint, Part, Task
from backend.errors import DataError
from backend.evaluate import sets
from backend.evaluate.questions import Question, Rule
from backend.i18n import N_
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import ROOT, Workspace

SHIM = ROOT / "jobs" / "shims" / "lm_eval_run.py"
SLUG = 40


@dataclass(frozen=True)
class Made:
    """All of one evaluation. files: path below the folder that the program is started in -> text."""

    parts: tuple[Part, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def files_for(workspace: Workspace, spec: EvaluateSpec) -> dict[str, str]:
    """What a job of ``spec`` would write: path below its folder -> text. Nothing is written.

    Raises:
        DataError: the set or a subject is unknown, ``lm_eval_no_judge``.
    """
    asked = sets.questions(workspace, spec.questions, spec.subjects, spec.limit, spec.seed)
    return dict(made(asked, examples(workspace, spec, asked), spec, Endpoint(model=spec.model or "MODEL")).files)


def command_text() -> str:
    """The command line for a person to read, or to run in the folder that holds the files of :func:`files_for`. The key is not in it."""
    return f"{KEY_VARIABLE}=KEY {shlex.join(['python', '-m', 'lm_eval', 'run', '--config', RUN])}"


def command(python: str | Path, names: Sequence[str] = (), out: str = "", samples: str = "") -> list[str]:
    """What runs the tasks ``names`` (none: all), to be started in the folder around :data:`FOLDER`. out: folder for the results. samples: a file that
    names the questions to take of each task, where not all are."""
    words = [str(python), str(SHIM), "run", "--config", RUN]
    words += ["--tasks", ",".join(names)] if names else []
    words += ["--output_path", out] if out else []
    return words + (["--samples", samples] if samples else [])


def environ(key: str, folder: Path) -> dict[str, str]:
    """Variables of one run in ``folder``, on top of those of the environment. ``key``: of the server."""
    loopback = "127.0.0.1,localhost"
    home = str(folder / HOME)
    return {
        KEY_VARIABLE: key,
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "HF_HOME": home,
        "HF_DATASETS_CACHE": f"{home}/datasets",
        "LM_HARNESS_CACHE_PATH": f"{home}/requests",
        "LMEVAL_LOG_LEVEL": "INFO",
    }


def examples(workspace: Workspace, spec: EvaluateSpec, asked: Sequence[Question]) -> dict[str, list[Question]]:
    """The solved questions that stand before those of each subject, drawn as TuneDeck's own evaluator draws them."""
    found: dict[str, list[Question]] = {}
    for subject in dict.fromkeys(question.subject for question in asked) if spec.shots else ():
        solved = sets.examples(workspace, spec.questions, subject)
        if len(solved) > spec.shots:
            drawn = Random(f"{spec.seed}:{subject}")  # noqa: S311 - a draw that can be had again, no secret
            solved = [solved[place] for place in sorted(drawn.sample(range(len(solved)), spec.shots))]
        found[subject] = solved
    return found


def made(
    asked: Sequence[Question], solved: Mapping[str, Sequence[Question]], spec: EvaluateSpec, endpoint: Endpoint
) -> Made:
    """The tasks of ``asked`` and all files.

    Raises:
        DataError: ``lm_eval_no_judge``.
    """
    if any(question.rule == "judge" for question in asked):
        raise DataError(
            "lm_eval_no_judge",
            N_("lm-evaluation-harness asks no second model, and some of these questions can only be marked by one."),
            N_("Take TuneDeck's own evaluator for them: it asks a judge."),
        )
    subjects: dict[str, list[Question]] = {}
    for question in asked:
        subjects.setdefault(question.subject, []).append(question)
    parts = tuple(
        _part(place, subject, questions, tuple(solved.get(subject, ())))
        for place, (subject, questions) in enumerate(subjects.items(), start=1)
    )
    return Made(parts, lm_eval_text.files(parts, spec, endpoint))


def write(files: Mapping[str, str], folder: Path) -> None:
    """Put ``files`` into ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _part(place: int, subject: str, questions: list[Question], solved: tuple[Question, ...]) -> Part:
    plain = unicodedata.normalize("NFKD", subject).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:SLUG]
    name = f"tunedeck_{place:02d}" + (f"_{slug}" if slug else "")
    rules: dict[Rule, list[Question]] = {}
    for question in questions:
        rules.setdefault(question.rule, []).append(question)
    tasks = tuple(
        Task(name if len(rules) == 1 else f"{name}_{rule}", rule, tuple(those), solved) for rule, those in rules.items()
    )
    return Part(subject, name, tasks)
