"""What lm-evaluation-harness is lent: its questions as they are written, and two rules that it has no filter for.

This file is put beside the tasks that are written for it and runs over there, so it imports nothing of ours. Its own reader of JSON takes a text that
looks like a date for a date; so the questions are read here. A filter hands on what was read out of an answer, and the metric ``exact_match`` compares
that with the solution: where a solution occurs, the filter hands on the solution itself.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

INVALID = "[invalid]"
"""What its own filters hand on where they read nothing."""
_LATIN = "A-Za-z0-9\u00c0-\u024f"
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_HAN_GAP = re.compile(r"(?<=[\u3040-\u9fff]) (?=[\u3040-\u9fff])")


def questions(data_files: dict[str, str], **_settings: Any) -> dict[str, Any]:
    """Split -> its questions (``custom_dataset``)."""
    hub = import_module("datasets")  # a package of its environment, not of ours
    text, texts = hub.Value("string"), [hub.Value("string")]
    columns = {
        "number": hub.Value("int64"),
        "system": text,
        "prompt": text,
        "choices": texts,
        "solution": text,
        "gold": texts,
    }
    found = {}
    for split, name in data_files.items():
        with open(name, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        found[split] = hub.Dataset.from_dict(
            {key: [row[key] for row in rows] for key in columns}, hub.Features(columns)
        )
    return found


def contains(resps: Iterable[Sequence[str]], docs: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The solution that occurs in each answer, whole words only; else the answer."""
    return [[_contained(doc["gold"], said) for said in of_one] for of_one, doc in zip(resps, docs, strict=True)]


def matches(resps: Iterable[Sequence[str]], docs: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The pattern that fits somewhere in each answer; else the answer."""
    return [[_matched(doc["gold"], said) for said in of_one] for of_one, doc in zip(resps, docs, strict=True)]


def occurs(wanted: str, text: str) -> bool:
    """Whether ``wanted`` stands in ``text`` but for width, case, blanks and commas in numbers; "art" is not in "party", nor 8 in 18 or 8.5."""
    wanted = unified(wanted)
    if not wanted:
        return False
    before = r"(?<![0-9])(?<![0-9][.,])" if wanted[0].isdecimal() else _edge(wanted[0], "(?<![%s])")
    after = r"(?![0-9])(?![.,][0-9])" if wanted[-1].isdecimal() else _edge(wanted[-1], "(?![%s])")
    return re.search(before + re.escape(wanted) + after, unified(text)) is not None


def unified(text: str) -> str:
    """``text`` as it is compared."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return _HAN_GAP.sub("", " ".join(text.split()))


def _edge(letter: str, pattern: str) -> str:
    return pattern % _LATIN if re.match(f"[{_LATIN}]", letter) else ""


def _contained(solutions: Sequence[str], said: str) -> str:
    text = said.strip()
    return next((each for each in solutions if occurs(each, text)), text or INVALID)


def _matched(solutions: Sequence[str], said: str) -> str:
    text = said.strip()
    if not text:
        return INVALID
    return next((each for each in solutions if re.search(each, text)), text)
