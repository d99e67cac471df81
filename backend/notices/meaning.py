"""What the end of a job means, in a sentence or two with its figures: a finding that somebody can act on, not that a program ended.

Read from what the job left in its folder. What is gone or cannot be read is left out: then the plain state is said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.queue.store import Store

Level = Literal["good", "attention", "bad"]
"""good: as it was meant. attention: it ended well, and somebody should look at what it found. bad: it failed."""
STATES = {
    "succeeded": N_("It ended well."),
    "failed": N_("It stopped with an error."),
    "lost": N_("Its process vanished without leaving a result."),
}


@dataclass(frozen=True)
class Meaning:
    """text: for people, in their language."""

    text: str
    level: Level = "good"


@dataclass(frozen=True)
class Ended:
    """A job that ended well, as the functions below look at it. result: what its program returned."""

    store: Store
    row: JobRow
    result: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        return self.store.spec(self.row.id)


Tells = Callable[[Ended], Meaning | None]


def meaning(store: Store, row: JobRow) -> Meaning:
    """What the end of ``row`` means. Never raises: what cannot be read is no reason to say nothing."""
    if row.state != "succeeded":
        said = PanelError.from_dict(row.error).localized()[0] if row.error.get("message") else ""
        return Meaning(said or _(STATES.get(row.state, STATES["failed"])), "bad")
    try:
        told = _tells().get(row.verb, lambda _ended: None)
        found = told(Ended(store, row, store.result(row.id) or {}))
    except (PanelError, OSError, sqlite3.Error, KeyError, TypeError, ValueError, IndexError, AttributeError):
        found = None
    return found or Meaning(_("It ended well."))


def _tells() -> dict[str, Tells]:
    from backend.notices import meaning_data, meaning_measures, meaning_models

    return {**meaning_models.TELLS, **meaning_measures.TELLS, **meaning_data.TELLS}
