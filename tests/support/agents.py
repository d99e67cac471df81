"""A conversation with an agent whose model says what a test wants: a real worker process, a real store, a scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.agent import working
from backend.agent.options import Options
from backend.agent.records import Step, Turn
from backend.agent.store import AgentStore
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until


def react(name: str, arguments: str, thought: str = "I need a tool.") -> dict[str, Any]:
    """A reply that calls a tool in ReAct."""
    return {"say": f"Thought: {thought}\nAction: {name}\nAction Input: {arguments}"}


def final(text: str) -> dict[str, Any]:
    """A reply that ends a turn in ReAct."""
    return {"say": f"Thought: I know it now.\nFinal Answer: {text}"}


class Agent:
    """One conversation."""

    def __init__(self, workspace: Workspace, server: Stub) -> None:
        self.workspace, self.server = workspace, server
        self.store = AgentStore(workspace)
        self.conversation: str | None = None

    def begin(self, text: str = "What is 6 * 7?", **options: Any) -> Turn:
        """Ask, and let a worker begin."""
        given = Options(**{"protocol": "react", "tools": ("calculator",), **options})
        turn = self.store.ask(self.conversation, text, model="stub", options=given)
        self.conversation = turn.conversation
        working.ensure(self.workspace, turn.conversation)
        return turn

    def ask(self, text: str = "What is 6 * 7?", **options: Any) -> tuple[Turn, list[Step]]:
        """Ask, and wait for the end."""
        return self.ended(self.begin(text, **options))

    def go_on(self, turn: Turn) -> tuple[Turn, list[Step]]:
        """Go on with a turn, and wait for the end."""
        self.store.go_on(turn.id)
        working.ensure(self.workspace, turn.conversation)
        return self.ended(turn)

    def ended(self, turn: Turn, timeout: float = 30) -> tuple[Turn, list[Step]]:
        """The turn once it is over, and its steps."""

        def over() -> bool:
            now = self.store.turn(turn.id)
            if now.state == "waiting":
                working.ensure(self.workspace, turn.conversation)  # as a page does: the last worker may be leaving
            return now.over

        until(over, timeout, "the turn is over")
        return self.store.turn(turn.id), self.store.steps([turn.id])

    def step(self, turn: Turn, state: str) -> Step:
        """The last step, once it is in ``state``."""

        def found() -> Step | None:
            steps = self.store.steps([turn.id])
            return steps[-1] if steps and steps[-1].state == state else None

        found_step = until(found, 20, f"a step is {state}")
        assert found_step is not None
        return found_step

    def kill(self, turn: Turn) -> None:
        """kill -9 of the worker; the turn is lost then."""
        worker = working._started[turn.conversation].process
        worker.kill()
        worker.wait(10)
        until(lambda: self.store.turn(turn.id).state == "lost", 10, "the turn is lost")


@contextmanager
def agent(workspace: Workspace, store: Store, replies: list[dict[str, Any]], **script: Any) -> Iterator[Agent]:
    """An :class:`Agent` whose model gives ``replies``, one after the other; all processes end with the block."""
    with stub(script={"replies": replies, **script}) as server, published(store, server):
        made = Agent(workspace, server)
        try:
            yield made
        finally:
            end_workers()


def end_workers() -> None:
    """No worker that this process started is left."""
    for child in working._started.values():
        child.process.kill()
        child.process.wait(10)
    working._started.clear()
    working._failed.clear()
