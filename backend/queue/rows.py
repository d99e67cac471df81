"""A job as the store knows it, and its states.

queued ──▶ starting ──▶ running ──▶ succeeded | failed
  ▲           │            │  ▲
  │           ▼            ▼  │ (adopted: the supervisor died, the program lives)
  └─ resume  cancelled ◀─ stopping        running, stopping ──▶ lost   (both died)
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

STATES = ("queued", "starting", "running", "stopping", "succeeded", "failed", "cancelled", "lost")
LIVE = ("starting", "running", "stopping")
DONE = ("succeeded", "failed", "cancelled", "lost")


@dataclass(frozen=True)
class JobRow:
    """One job. Times are epoch seconds; ``elapsed`` is seconds by a clock that does not jump.

    wait: why a queued job waits, ``{"code", "params"}``. progress: newest ``{"t", "phase", "step", "total", "eta_s",
    "metrics"}``. health: ``""``, ``"stopped"`` (suspended by a signal) or ``"quiet"`` (silent for long). error: see
    :meth:`backend.errors.PanelError.to_dict`, with ``evidence`` (``{"line", "text"}`` of the log) where there is one.
    leases: ``{"resource": "cpu" | "gpu:<uuid>" | "port:<n>", "amount": n}``; a GPU amount is MiB, 0 = the whole card.
    """

    id: int
    verb: str
    title: str
    state: str
    attempt: int
    created: float
    started: float | None
    ended: float | None
    elapsed: float
    position: float
    owner: str
    parent: int | None
    service: bool
    auto_resumes: int
    resources: dict[str, int] = field(default_factory=dict)
    wait: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    health: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    leases: list[dict[str, Any]] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """A supervisor has it: starting, running or stopping."""
        return self.state in LIVE

    @property
    def done(self) -> bool:
        """It ended, well or not."""
        return self.state in DONE


COLUMNS = (
    "id, verb, title, state, attempt, created, started, ended, elapsed, position, owner, parent, service, "
    "auto_resumes, resources, wait, progress, health, error"
)


def from_sql(row: sqlite3.Row, leases: list[dict[str, Any]]) -> JobRow:
    """The :class:`JobRow` of a ``SELECT`` of :data:`COLUMNS`."""
    values = dict(row)
    for name in ("resources", "wait", "progress", "error"):
        values[name] = json.loads(values[name])
    values["service"] = bool(values["service"])
    return JobRow(**values, leases=leases)
