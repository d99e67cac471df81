"""The Agent page in AppTest, and conversations in every state, written as a worker writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.agent.calls import Call, Problem
from backend.agent.options import Options
from backend.agent.records import Called, Step, Turn
from backend.agent.store import AgentStore, lock_of
from backend.errors import PanelError
from backend.queue import locks
from backend.workspace import ROOT, Workspace

OPTIONS = Options()


@dataclass
class Worker:
    """Writes what a worker would. Holds the conversation's lock while it ``works``."""

    workspace: Workspace
    store: AgentStore
    _held: list[int] = field(default_factory=list)

    def asked(self, text: str = "How much?", conversation: str | None = None, options: Options = OPTIONS) -> Turn:
        return self.store.ask(conversation, text, model="stub", options=options)

    def begin(self, turn: Turn) -> None:
        """From now on somebody works at it."""
        lock = locks.acquire(lock_of(self.workspace, turn.conversation))
        assert lock is not None
        self._held.append(lock)
        assert self.store.begin(turn.id)

    def step(self, turn: Turn, number: int = 1, **values: Any) -> Step:
        step = replace(self.store.begin_step(turn.id, number), **{"state": "done", **values})
        self.store.save(step)
        return step

    def leave(self) -> None:
        """Die, or end: the locks are free."""
        while self._held:
            os.close(self._held.pop())

    def end(
        self,
        turn: Turn,
        state: str = "done",
        answer: str | None = None,
        problem: Problem | None = None,
        error: PanelError | None = None,
    ) -> Turn:
        self.store.end(turn.id, state, answer=answer, problem=problem, error=error)
        self.leave()
        return self.store.turn(turn.id)

    def finished(self, *steps: dict[str, Any], text: str = "How much?", conversation: str | None = None) -> Turn:
        """A turn that was worked at and is not over yet in the file: say how with :meth:`end`."""
        turn = self.asked(text, conversation)
        self.begin(turn)
        for number, values in enumerate(steps, start=1):
            self.step(turn, number, **values)
        return turn


@contextmanager
def working(workspace: Workspace) -> Iterator[Worker]:
    store = AgentStore(workspace)
    worker = Worker(workspace, store)
    try:
        yield worker
    finally:
        worker.leave()
        store.close()


def called(name: str = "calculator", arguments: dict[str, Any] | None = None, **values: Any) -> Called:
    return Called(Call(name, {"expression": "2340*0.15"} if arguments is None else arguments), **values)


def open_at(conversation: str = "") -> AppTest:
    """The page in a new session, at its address."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
    if conversation:
        app.query_params["c"] = conversation
    return sound(app.switch_page(str(ROOT / "pages" / "agent.py")).run())


def sound(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    return sound(app.button(key=key).click().run())


def unfold(app: AppTest, key: str) -> AppTest:
    """Open what draws itself only then."""
    app.session_state[key] = True
    return sound(app.run())


def seen(app: AppTest) -> str:
    """Everything that a person reads in the main part, also what is written literally."""
    kinds = (app.title, app.markdown, app.text, app.caption, app.code, app.warning, app.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def keys(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button if button.key]
