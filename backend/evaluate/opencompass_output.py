"""An output folder of OpenCompass, whole or half-finished, as runs: ``<time>/{configs,logs,predictions,results,summary}``, a folder for each model
in the last three but one.

Success is a number in ``results/<model>/<subject>.json`` and nothing else. Of a subject without one the cause is looked for in the log of the step
that did not come to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from backend.evaluate import groups, opencompass_answers, opencompass_logs, opencompass_plan, summaries
from backend.evaluate.imported import Imported, run_of
from backend.evaluate.opencompass_answers import number_of, read_object
from backend.evaluate.records import Answer, Score
from backend.evaluate.summaries import Summary

PARTS = ("results", "predictions", "summary", "logs", "configs")
IGNORED = frozenset({"bp", "sys_len", "ref_len", "type"})
"""Numbers in a result that are no score."""
HALF_A_DECIMAL = 0.0051
_TIME = re.compile(r"^\d{8}_\d{6}$")


def is_attempt(folder: Path) -> bool:
    """Whether it is the folder of one attempt."""
    return any((folder / part).is_dir() for part in PARTS[:3]) or all((folder / part).is_dir() for part in PARTS[3:])


def read(folder: Path, path: Path | None = None) -> list[Imported]:
    """The runs of one attempt, one for each model. path: what a person named, where that is another."""
    plan = opencompass_plan.read(folder)
    summary = newest_summary(folder)
    models = dict.fromkeys([*plan.models, *(summary.models if summary else ())])
    for part in ("results", "predictions", "logs/infer"):
        models |= dict.fromkeys(sorted(each.name for each in _folders(folder / part)))
    told = folder.name if _TIME.match(folder.name) else summary.time if summary else ""
    return [found for model in models if (found := _of_model(folder, model, plan, summary, told, path or folder))]


def newest_summary(folder: Path) -> Summary | None:
    """The table of the last summary in the folder, None where there is none that can be read."""
    files = sorted((folder / "summary").glob("summary_*.*"), key=lambda file: (file.stem, file.suffix == ".csv"))
    for file in reversed([file for file in files if file.suffix in (".csv", ".txt", ".md")]):
        try:
            found = summaries.parse(summaries.decoded(file), file.name)
        except summaries.UNREADABLE:
            continue
        if found is not None:
            return found
    return None


def _of_model(
    folder: Path, model: str, plan: opencompass_plan.Plan, summary: Summary | None, told: str, path: Path
) -> Imported | None:
    lines = of_column(summary, summary.models.index(model)) if summary and model in summary.models else []
    known = {score.subject: score for score in lines if not score.group}
    subjects = dict.fromkeys([*plan.subjects, *known])
    for part in ("results", "predictions"):
        subjects |= dict.fromkeys(_names(folder / part / model))
    subjects = {name: None for name in subjects if name not in groups.KNOWN_NAMES}
    scores: list[Score] = []
    answers: list[Answer] = []
    for subject in subjects:
        cells, said = _of_subject(folder, model, subject)
        shown = known.get(subject)
        if not cells and shown is not None and shown.value is not None:
            cells = [shown]
        if not cells:
            cells = [opencompass_logs.without_number(folder, model, subject)]
        version, mode = (shown.version, shown.mode) if shown else ("", plan.subjects.get(subject) or "gen")
        scores += [replace(cell, version=version, mode=mode or "gen") for cell in cells]
        answers += said
    if not scores:
        return None
    computed = {(row.subject, row.metric) for row in groups.with_averages("", scores) if row.group}
    scores += [
        line for line in lines if line.group and (line.subject, line.metric) not in computed and line.value is not None
    ]
    finished = all(score.value is not None for score in scores)
    notices = () if finished or (folder / "summary").is_dir() else ("import_half_finished",)
    run = run_of("opencompass", model, scores, path=path, told=told, notices=notices)
    return Imported(run, tuple(scores), tuple(answers))


def _of_subject(folder: Path, model: str, subject: str) -> tuple[list[Score], list[Answer]]:
    """Its numbers, the one that counts first, and its answers; nothing where there is no number."""
    result = read_object(folder / "results" / model / f"{subject}.json")
    numbers = {
        name: value for name, each in result.items() if name not in IGNORED and (value := number_of(each)) is not None
    }
    if not numbers or "error" in result:
        return [], []
    predictions = opencompass_answers.predictions(folder / "predictions" / model, subject)
    answers = opencompass_answers.read(subject, result.get("details"), predictions)
    n = len(answers) or len(predictions) or None
    order = sorted(
        numbers, key=lambda name: groups.METRICS.index(name) if name in groups.METRICS else len(groups.METRICS)
    )
    return [Score(subject, numbers[name], n, metric=name) for name in order], answers


def of_column(summary: Summary, place: int) -> list[Score]:
    """The cells of one model, without causes."""
    found = []
    for line in summary.lines:
        if set(line.dataset) <= {"-", " "} or line.dataset.startswith("---"):
            continue
        group = line.group or line.dataset in groups.KNOWN_NAMES
        metric, mode = line.metric or "accuracy", line.mode or "gen"
        raw = summary.raw.get((summary.models[place], line.dataset), {})
        cell = Score(
            line.dataset, _exact(line.values[place], raw.get(metric)), None, line.version, metric, mode, group=group
        )
        told = raw.get("error")
        found.append(
            cell if not told or group or cell.value is not None else opencompass_logs.with_error(cell, str(told))
        )
    return found


def _exact(printed: str, raw: object) -> float | None:
    """The number that was printed, with all its decimals where they are known."""
    value, whole = summaries.number(printed), number_of(raw)
    return whole if value is not None and whole is not None and abs(value - whole) < HALF_A_DECIMAL else value


def _names(folder: Path) -> Iterable[str]:
    """The subjects of which there is a file, those in pieces once."""
    files = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    names = [str(file.relative_to(folder).with_suffix("")) for file in files if not file.name.startswith("tmp_")]
    return dict.fromkeys(_whole(name, set(names)) for name in names)


def _whole(name: str, names: set[str]) -> str:
    """``logic`` for ``logic_0`` and ``logic_1``, of which the first is always there."""
    root, _mark, piece = name.rpartition("_")
    return root if root and piece.isdecimal() and f"{root}_0" in names else name


def _folders(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
