"""Rows of ``agent.db`` as records."""

from __future__ import annotations

import json
import sqlite3

from backend.agent.options import Options
from backend.agent.records import Conversation, Step, Turn, problem_from, step_from


def conversation(row: sqlite3.Row) -> Conversation:
    """A row of ``conversations``."""
    options = _options(row["options"])
    return Conversation(row["id"], row["title"], row["model"], options, row["created"], row["updated"])


def turn(row: sqlite3.Row) -> Turn:
    """A row of ``turns``."""
    return Turn(
        id=row["id"],
        conversation=row["conversation"],
        text=row["text"],
        state=row["state"],
        model=row["model"],
        options=_options(row["options"]),
        created=row["created"],
        protocol=row["protocol"],
        answer=row["answer"],
        problem=problem_from(json.loads(row["problem"])),
        error=json.loads(row["error"]),
        notes=tuple(json.loads(row["notes"])),
        stop=bool(row["stop"]),
        started=row["started"],
        ended=row["ended"],
    )


def step(row: sqlite3.Row) -> Step:
    """A row of ``steps``."""
    return step_from(row["id"], row["turn"], row["number"], row["state"], row["reply"], json.loads(row["data"]))


def _options(text: str) -> Options:
    """What a later version added is passed over."""
    data = json.loads(text)
    return Options.model_validate({name: value for name, value in data.items() if name in Options.model_fields})
