"""Answers out of the files of OpenCompass: what was asked and said in ``predictions``, what was read out of it and counted in the ``details`` of
``results``. A file of predictions may be in pieces; details are an object with a number for each question, or a list."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.evaluate.imported import key_of
from backend.evaluate.questions import LETTERS
from backend.evaluate.records import Answer, Outcome
from backend.workspace import read_json

ROLES = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}
_LABEL = "label: "


def predictions(folder: Path, subject: str) -> list[dict[str, Any]]:
    """What was asked and said, by number; also of a subject that was still being asked. Empty where there is nothing."""
    files = [folder / f"{subject}.json"]
    if not files[0].is_file():
        files = []
        while (piece := folder / f"{subject}_{len(files)}.json").is_file():
            files.append(piece)
    return [each for file in files for each in _numbered(read_object(file))]


def read(subject: str, details: Any, said: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """The answers of which it is written down how they were counted; none where no details were kept."""
    rows = details if isinstance(details, list) else _numbered(details if isinstance(details, dict) else {})
    if len(said) not in (0, len(rows)):
        said = ()  # of another attempt
    return [
        _answer(subject, number, row, said[number] if said else {})
        for number, row in enumerate(rows)
        if isinstance(row, dict)
    ]


def number_of(value: Any) -> float | None:
    """A number that can stand in a table."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none that can be read."""
    try:
        data = read_json(file)
    except OSError:
        return {}
    return data if isinstance(data, dict) else {}


def _answer(subject: str, number: int, row: Mapping[str, Any], kept: Mapping[str, Any]) -> Answer:
    prompt, asked = _prompt(row, kept)
    whole = _first(kept.get("prediction", row.get("origin_prediction", "")))
    taken = _said(row, "parsed", "predictions", "pred")
    gold = _said(row, "references", "refr", "answer", "answers", "gold") or str(_first(kept.get("gold", "")))
    return Answer(
        subject=subject,
        number=number,
        key=key_of(asked, gold),
        question=asked,
        prompt=prompt,
        said=_likelihoods(row) or (whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False)),
        taken=taken,
        gold=gold,
        outcome=_outcome(row, taken, gold),
    )


def _outcome(row: Mapping[str, Any], taken: str, gold: str) -> Outcome:
    verdicts = (_first(row[name]) for name in ("correct", "is_correct", "cascade_correct") if name in row)
    verdict = next((each for each in verdicts if isinstance(each, bool)), None)
    if verdict if verdict is not None else taken.strip() == gold.strip():
        return "right"
    # Its extractor takes any capital letter: one that no question has as an option is none.
    choice = len(gold) == 1 and gold in LETTERS
    return "unread" if not taken.strip() or (choice and taken.strip() not in LETTERS) else "wrong"


def _prompt(row: Mapping[str, Any], kept: Mapping[str, Any]) -> tuple[str, str]:
    """(exactly what was sent, the question as a person reads it)."""
    prompt = kept.get("origin_prompt") or row.get("prompt", "")
    if not prompt:
        asked = next((each for name, each in kept.items() if name.startswith(_LABEL) and isinstance(each, dict)), {})
        prompt = "\n".join(
            filter(None, (str(kept.get("in-context examples") or ""), str(asked.get("testing input") or "")))
        )
        return prompt, str(asked.get("testing input") or prompt).strip()
    if not isinstance(prompt, list):
        return str(prompt), str(prompt).strip()
    turns = [
        {
            "role": ROLES.get(str(turn.get("role")), str(turn.get("role"))),
            "content": str(turn.get("prompt", turn.get("content", ""))),
        }
        for turn in prompt
        if isinstance(turn, dict)
    ]
    asked_last = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
    return json.dumps(turns, ensure_ascii=False), asked_last.strip()


def _likelihoods(row: Mapping[str, Any]) -> str:
    """Of options that were weighed and not written: each with its number."""
    weighed = row.get("origin_prediction")
    found = [
        f"{name.removeprefix(_LABEL)}: PPL {value['PPL']:.4g}"
        for name, value in (weighed.items() if isinstance(weighed, dict) else ())
        if isinstance(value, dict) and number_of(value.get("PPL")) is not None
    ]
    return "\n".join(found)


def _said(row: Mapping[str, Any], *names: str) -> str:
    value = next((row[name] for name in names if name in row), "")
    first = _first(value)
    return "" if first is None else str(first)


def _first(value: Any) -> Any:
    """Of several attempts at a question the first."""
    while isinstance(value, list):
        value = value[0] if value else ""
    return value


def _numbered(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The members ``"0"``, ``"1"``, … in this order."""
    names = sorted((name for name in data if name.isdecimal()), key=int)
    return [data[name] for name in names if isinstance(data[name], dict)]
