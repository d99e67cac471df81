"""Why an attempt of OpenCompass left no number for a subject: what its logs say, or that there is none.

A log is named after the first subject of a task, which may have asked many: its first lines name them all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from backend.engines import opencompass_causes
from backend.errors import PanelError
from backend.evaluate.opencompass_answers import predictions, read_object
from backend.evaluate.records import Score
from backend.i18n import N_

HEAD_BYTES, TAIL_BYTES = 64_000, 200_000


def without_number(folder: Path, model: str, subject: str) -> Score:
    """The cell of a subject that has no number, with cause and evidence."""
    told = read_object(folder / "results" / model / f"{subject}.json").get("error")
    if told:
        return with_error(Score(subject), str(told))
    answered = len(predictions(folder / "predictions" / model, subject))
    steps = ("eval", "infer") if answered else ("infer", "eval")
    for step in steps:
        log = _log(folder / "logs" / step / model, subject)
        if log:
            found = opencompass_causes.find(log)
            return Score(subject, n=answered or None, cause=found.stored(), evidence=found.evidence)
    return Score(subject, n=answered or None, cause=_no_log(folder, model, subject, answered).to_dict())


def with_error(cell: Score, told: str) -> Score:
    """``cell`` whose result holds an error in place of a number."""
    error = PanelError(
        "import_result_error",
        N_("OpenCompass could not count the answers: {line}"),
        N_("What the model said is in the predictions; ask this subject again with a newer OpenCompass."),
        line=opencompass_causes.said(told),
    )
    return replace(cell, cause=error.to_dict(), evidence=told[:2000])


def _no_log(folder: Path, model: str, subject: str, answered: int) -> PanelError:
    if answered:
        return PanelError(
            "import_not_counted",
            N_("{count} questions were answered, but never counted, and no log says why."),
            N_("The run was stopped, or its files were moved. Run this subject again."),
            count=answered,
        )
    begun = sorted((folder / "predictions" / model).glob(f"tmp_{subject}*"))
    if begun:
        return PanelError(
            "import_stopped",
            N_("The run was stopped while this subject was being asked; no log says why."),
            N_("Run this subject again."),
        )
    return PanelError(
        "import_no_log",
        N_("There is no result for this subject, and no log that says why."),
        N_("Look for logs/infer/{model}/{subject}.out on the machine that ran it, or run this subject again."),
        model=model,
        subject=subject,
    )


def _log(folder: Path, subject: str) -> list[str]:
    """The last lines of the log that tells of ``subject``; empty where there is none."""
    exact = [file for file in (folder / f"{subject}.out", *sorted(folder.glob(f"{subject}_*.out"))) if file.is_file()]
    if exact:
        return _tail(exact[0])
    named = re.compile(rf"(?<![\w-]){re.escape(subject)}(?![\w-])")
    for file in sorted(folder.glob("*.out")) if folder.is_dir() else []:
        if named.search(_head(file)) or any(map(named.search, _tail(file))):
            return _tail(file)
    return []


def _head(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
