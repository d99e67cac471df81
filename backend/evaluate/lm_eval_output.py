"""Results of lm-evaluation-harness as runs: ``<model>/results_<time>.json``, and ``samples_<task>_<time>.jsonl`` beside it where they were kept.

It names a metric ``acc,none``: what was measured, and by which filter the answer was read. Shares are told from 0 to 1 there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backend.errors import DataError
from backend.evaluate.imported import Imported, key_of, run_of
from backend.evaluate.opencompass_answers import number_of, read_object
from backend.evaluate.records import Answer, Outcome, Score
from backend.i18n import N_

SHARES = frozenset(
    {"acc", "acc_norm", "acc_mutual_info", "exact_match", "em", "f1", "mcc", "contains", "quasi_exact_match", "pass@1"}
)
"""Told from 0 to 1; in percent here, as all of ours."""
ORDER = ("acc", "exact_match", "acc_norm")
INVALID = "[invalid]"
"""What its filters leave where they find nothing."""
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})")


def files(folder: Path) -> list[Path]:
    """All its results in a folder, oldest first."""
    return sorted(folder.glob("results_*.json"))


def read(file: Path, path: Path | None = None) -> Imported:
    """The run of one file of results. path: what a person named, where that is another.

    Raises:
        DataError: ``lm_eval_results_unreadable``.
    """
    data = read_object(file)
    results = data.get("results")
    if not isinstance(results, dict) or not results:
        raise DataError(
            "lm_eval_results_unreadable",
            N_("{name} holds no results of lm-evaluation-harness."),
            N_("Choose its file results_….json, or the folder with it."),
            name=file.name,
        )
    groups = data.get("group_subtasks") if isinstance(data.get("group_subtasks"), dict) else {}
    names = {name for name, tasks in (groups or {}).items() if tasks}
    scores = [score for name, row in results.items() for score in _scores(name, row, data, group=name in names)]
    scores += [
        score
        for name, row in _object(data, "groups").items()
        if name not in results
        for score in _scores(name, row, data, group=True)
    ]
    told = "".join(match.groups()[:3]) + "_" + "".join(match.groups()[3:]) if (match := _TIME.search(file.name)) else ""
    answers = [answer for score in _counting(scores) for answer in _answers(file, score)]
    version = str(data.get("lm_eval_version") or data.get("git_hash") or "")
    run = run_of("lm_eval", _model(data, file), scores, path=path or file, told=told, version=version)
    return Imported(run, tuple(scores), tuple(answers))


def _scores(name: str, row: Any, data: Mapping[str, Any], *, group: bool) -> list[Score]:
    """The numbers of one task, the one that counts first."""
    counted = _object(data, "n-samples").get(name)
    n = counted.get("effective") if isinstance(counted, dict) else None
    task = _object(data, "configs").get(name)
    mode = "gen" if not isinstance(task, dict) or task.get("output_type") in (None, "generate_until") else "ll"
    version = str(_object(data, "versions").get(name, ""))
    version = "" if version in ("N/A", "None") else version
    found = []
    for metric, each in (row if isinstance(row, dict) else {}).items():
        what, _comma, by = str(metric).partition(",")
        value = number_of(each)
        if what.endswith("_stderr") or not by:
            continue
        if value is not None and what in SHARES:
            value *= 100
        label = what if by == "none" else f"{what},{by}"
        found.append(Score(name, value, n if isinstance(n, int) else None, version, label, mode, group=group))
    if not found and not group:
        error = DataError(
            "lm_eval_task_empty",
            N_("lm-evaluation-harness wrote down no number for this task."),
            N_("Its log says why; ask this task again."),
        )
        found = [
            Score(name, None, None, version, cause=error.to_dict(), evidence=json.dumps(row, ensure_ascii=False)[:500])
        ]
    return sorted(found, key=lambda score: _rank(score.metric))


def _rank(metric: str) -> int:
    what = metric.partition(",")[0]
    return ORDER.index(what) if what in ORDER else len(ORDER)


def _counting(scores: list[Score]) -> list[Score]:
    """Of each task the score that counts."""
    first: dict[str, Score] = {}
    for score in scores:
        if not score.group:
            first.setdefault(score.subject, score)
    return list(first.values())


def _answers(file: Path, score: Score) -> Iterator[Answer]:
    """The answers of one task, as the filter of ``score`` read them."""
    stamp = file.stem.removeprefix("results_")
    metric, _comma, by = score.metric.partition(",")
    try:
        lines = (
            file.with_name(f"samples_{score.subject}_{stamp}.jsonl")
            .read_text(encoding="utf-8", errors="replace")
            .split("\n")
        )
    except OSError:
        return
    seen: set[Any] = set()
    for line in filter(str.strip, lines):
        try:
            sample = json.loads(line)
        except ValueError:
            continue
        if (
            not isinstance(sample, dict)
            or sample.get("filter", "none") != (by or "none")
            or sample.get("doc_id") in seen
        ):
            continue
        value = number_of(sample.get(metric))
        if value is None:
            continue
        seen.add(sample.get("doc_id"))
        yield _answer(score.subject, len(seen) - 1, sample, right=value > 0)


def _answer(subject: str, number: int, sample: Mapping[str, Any], *, right: bool) -> Answer:
    asked = [each for each in _object(sample, "arguments").values() if isinstance(each, dict)]
    prompt = str(asked[0].get("arg_0", "")) if asked else ""
    options = [str(each.get("arg_1", "")).strip() for each in asked]
    said, taken, gold = _text(sample.get("resps")), _text(sample.get("filtered_resps")), str(sample.get("target", ""))
    weighed = _weighed(sample.get("filtered_resps"))
    if len(weighed) == len(options) > 1:  # a choice by likelihood: nothing was written
        taken = options[max(range(len(weighed)), key=weighed.__getitem__)]
        said = "\n".join(f"{option}: {value:.4g}" for option, value in zip(options, weighed, strict=True))
        gold = options[int(gold)] if gold.isdecimal() and int(gold) < len(options) else gold.strip()
    outcome: Outcome = "right" if right else "unread" if taken.strip() in ("", INVALID) else "wrong"
    number_ = sample.get("doc_id")
    return Answer(
        subject,
        number_ if isinstance(number_, int) else number,
        key_of(str(sample.get("doc_hash") or prompt), str(sample.get("target_hash") or gold)),
        _asked(sample, prompt),
        prompt,
        said,
        "" if outcome == "unread" else taken,
        gold,
        outcome,
    )


def _asked(sample: Mapping[str, Any], prompt: str) -> str:
    """The question as a person reads it: the document's, with its options."""
    doc = _object(sample, "doc")
    question = next(
        (str(doc[name]) for name in ("question", "query", "input", "problem", "ctx") if doc.get(name)), prompt
    )
    options = doc.get("choices")
    options = options.get("text") if isinstance(options, dict) else options
    if isinstance(options, list) and all(isinstance(each, str) for each in options):
        question += "\n" + "\n".join(f"{chr(65 + place)}. {each}" for place, each in enumerate(options))
    return question.strip()


def _weighed(value: Any) -> list[float]:
    """The likelihood of each option, empty where text was written."""
    rows = [each[0] if isinstance(each, list) and each else None for each in value] if isinstance(value, list) else []
    found = [number for each in rows if (number := _float(each)) is not None]
    return found if len(found) == len(rows) else []


def _float(value: Any) -> float | None:
    try:
        return number_of(float(value))
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str:
    while isinstance(value, list):
        value = value[0] if value else ""
    return str(value)


def _model(data: Mapping[str, Any], file: Path) -> str:
    config = _object(data, "config")
    name = str(data.get("model_name") or "")
    arguments = config.get("model_args")
    if not name and isinstance(arguments, dict):
        name = str(arguments.get("model") or arguments.get("pretrained") or "")
    return name or file.parent.name or "?"


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}
