"""Where a turn's steps are written while it goes on, and where a person's word comes from."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from backend.agent.records import Step
from backend.agent.store import AgentStore
from backend.errors import NotFoundError

SAVE_S = 0.15
"""So often is a reply stored while it is written."""


class Book(Protocol):
    """What the loop needs of whoever keeps its steps."""

    def begin_step(self, number: int) -> Step:
        """A new step, begun now."""
        ...

    def save(self, step: Step, sent: bytes | None = None) -> None:
        """Keep it as it is now."""
        ...

    def stopped(self) -> bool:
        """Whether a person wants the turn to end. Asked often."""
        ...

    def decision(self, step: Step, place: int) -> bool | None:
        """The person's word on a call, None as long as there is none."""
        ...

    def unasked(self) -> tuple[str, ...]:
        """Tools that need no yes any more."""
        ...


class StoreBook:
    """The turn ``turn`` of a conversation, in ``agent.db``."""

    def __init__(self, store: AgentStore, turn: int, conversation: str) -> None:
        self._store, self._turn, self._conversation = store, turn, conversation
        self._looked, self._stop = 0.0, False

    def begin_step(self, number: int) -> Step:
        return self._store.begin_step(self._turn, number)

    def save(self, step: Step, sent: bytes | None = None) -> None:
        self._store.save(step, sent)

    def stopped(self) -> bool:
        now = time.monotonic()
        if not self._stop and now - self._looked > 0.05:
            self._looked, self._stop = now, self._store.stop_wanted(self._turn)
        return self._stop

    def decision(self, step: Step, place: int) -> bool | None:
        return self._store.decision(step.id, place)

    def unasked(self) -> tuple[str, ...]:
        try:
            return self._store.conversation(self._conversation).options.unasked
        except NotFoundError:
            return ()


class MemoryBook:
    """Steps in memory, for checks of a model: nobody is there to be asked, so the answer is no."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.steps: list[Step] = []
        self.sent: dict[int, bytes] = {}
        self._stopped = stopped
        self._ids = itertools.count(1)

    def begin_step(self, number: int) -> Step:
        step = Step(next(self._ids), 0, number, "writing", started=time.time())
        self.steps.append(step)
        return step

    def save(self, step: Step, sent: bytes | None = None) -> None:
        self.steps = [step if each.id == step.id else each for each in self.steps]
        if sent is not None:
            self.sent[step.id] = sent

    def stopped(self) -> bool:
        return self._stopped()

    def decision(self, step: Step, place: int) -> bool | None:
        return False

    def unasked(self) -> tuple[str, ...]:
        return ()


def throttled(save: Callable[[Step], None]) -> Callable[[Step, str], Step]:
    """Keeps a reply that grows: ``(step, text) -> step``, stored :data:`SAVE_S` apart."""
    last = 0.0

    def keep(step: Step, text: str) -> Step:
        nonlocal last
        step = replace(step, reply=text, state="writing")
        now = time.monotonic()
        if now - last >= SAVE_S:
            last = now
            save(step)
        return step

    return keep
