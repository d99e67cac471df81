"""Rows that XTuner would die of without saying which, drop in silence, or train as something else than they say.

Looked at one after another: JSON Lines never as a whole; a .json file is a list, which the datasets library reads whole too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from backend.engines.base import Problem
from backend.i18n import _

ROLES = ("system", "user", "assistant")
"""What ``openai_map_fn`` of xtuner 0.2.0 knows; it raises a bare NotImplementedError on others."""


def problem(data: Path, rows: Literal["messages", "conversation"]) -> Problem | None:
    """The first row of ``data`` that cannot be trained on as it is meant, counted from 1; None where all can.

    Raises:
        OSError: the file cannot be read.
    """
    number = 0
    try:
        for number, row in enumerate(_rows(data), start=1):
            if said := (_messages if rows == "messages" else _conversation)(row):
                return Problem("data", _("Row {number}: {problem}").format(number=number, problem=said))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        said = _("this is no JSON: {problem}").format(problem=error)
        return Problem("data", _("Row {number}: {problem}").format(number=number + 1, problem=said))
    return None if number else Problem("data", _("There is no row in {path}.").format(path=data))


def _rows(data: Path) -> Iterator[Any]:
    if data.suffix == ".json":
        found = json.loads(data.read_text(encoding="utf-8"))
        yield from found if isinstance(found, list) else [found]
        return
    with data.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _messages(row: Any) -> str:
    """Why not; empty where it can be trained on."""
    turns = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(turns, list) or not turns:
        return _("it has no list of messages.")
    for turn in turns:
        if not isinstance(turn, dict) or turn.get("role") not in ROLES:
            return _("XTuner knows the roles {roles} only.").format(roles=", ".join(ROLES))
        if not isinstance(turn.get("content"), str):
            return _("the content of a message is no text.")
        if turn["role"] == "assistant" and not turn["content"].strip():
            return _("an answer is empty, and would be learned as such.")
    # Answers before the first question are skipped.
    asked = next((place for place, turn in enumerate(turns) if turn["role"] != "assistant"), len(turns))
    if not any(turn["role"] == "assistant" for turn in turns[asked:]):
        return _("nobody answers, so there is nothing to learn; XTuner would leave it out.")
    return ""


def _conversation(row: Any) -> str:
    turns = row.get("conversation") if isinstance(row, dict) else None
    if not isinstance(turns, list) or not turns:
        return _("it has no list called conversation.")
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("output"), str) or not turn["output"].strip():
            return _("a turn has no output, and would be learned as empty.")
        if any(turn.get(name) is not None and not isinstance(turn[name], str) for name in ("system", "input")):
            return _("the system or input of a turn is no text.")
    return ""
