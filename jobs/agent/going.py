"""A turn while it goes on: what its parts share, and how a step is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.agent.calls import Problem, Protocol
from backend.agent.protocols.sending import Turn as Said
from backend.agent.records import Step, Turn
from backend.agent.tools import Context, Runs, Tool
from backend.errors import PanelError, fill
from jobs.agent.asking import Asks
from jobs.agent.book import Book


@dataclass(frozen=True)
class Outcome:
    """How a turn ended: ``done``, ``failed`` or ``stopped``. problem beside an answer is a doubt about it."""

    state: str
    answer: str | None = None
    problem: Problem | None = None
    error: PanelError | None = None


@dataclass
class Going:
    """A turn while it goes on. until: ``time.monotonic()`` at which its time is over."""

    book: Book
    model: Asks
    tools: Mapping[str, Runs]
    turn: Turn
    protocol: Protocol
    context: Context
    history: Sequence[Said]
    off: Sequence[str]
    until: float
    steps: list[Step] = field(default_factory=list)
    tight: int = 0
    result_role: str = "system"

    def stopped(self) -> bool:
        return self.book.stopped() or time.monotonic() > self.until

    @property
    def offered(self) -> list[Tool]:
        return [each.tool for each in self.tools.values()]


class End(Exception):
    """The turn ends here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state)
        self.outcome = outcome


def keep(
    going: Going, step: Step, *, ended: bool = False, since: float | None = None, sent: bytes | None = None
) -> Step:
    """Store ``step``, the last one; ``since``: when our own work on it began."""
    if since is not None:
        step = replace(step, ours_s=step.ours_s + time.monotonic() - since)
    if ended:
        step = replace(step, ended=time.time())
    going.book.save(step, sent)
    going.steps[-1] = step
    return step


def nudge(problem: Problem) -> str:
    """For the model, in English."""
    return f"Error: {fill(problem.did, problem.params)} Expected: {fill(problem.expected, problem.params)}"
