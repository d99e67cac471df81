"""What is searched: the stores of one workspace, each opened when it is first asked for, so that a damaged one stops no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backend.agent.store import AgentStore
from backend.chat.conversations import Conversations
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.store import Store, open_store
from backend.workspace import Workspace


@dataclass(frozen=True)
class Sources:
    """The workspace, and how its stores are come by. A panel hands in those that it has open already."""

    workspace: Workspace
    jobs: Callable[[], Store]
    conversations: Callable[[], Conversations]
    agents: Callable[[], AgentStore]
    runs: Callable[[], EvaluateStore]

    @classmethod
    def of(cls, workspace: Workspace) -> Sources:
        """Stores of its own, for a program that ends soon."""
        return cls(
            workspace,
            lambda: open_store(workspace),
            lambda: Conversations(workspace),
            lambda: AgentStore(workspace),
            lambda: open_runs(workspace),
        )
