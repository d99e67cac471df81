"""The program that works at a conversation's turns: one process each, which neither panel nor browser has to live for.

It is started when something is asked, keeps the conversation's MCP servers open, and ends when nothing was asked for a while.
"""

from __future__ import annotations

import subprocess
import sys

from backend.agent.store import lock_of
from backend.queue import locks
from backend.workspace import ROOT, Workspace

_started: dict[str, subprocess.Popen[bytes]] = {}


def ensure(workspace: Workspace, conversation: str) -> None:
    """Start the worker of ``conversation`` unless there is one. Returns at once; asked again while its turn waits, nothing happens twice."""
    for name, child in list(_started.items()):
        if child.poll() is not None:
            del _started[name]
    if conversation in _started or locks.held(lock_of(workspace, conversation)):
        return
    with (workspace.logs / "agent.log").open("ab") as output:
        _started[conversation] = subprocess.Popen(
            [sys.executable, "-m", "jobs.agent.turns", str(workspace.root), conversation],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
        )


def working(workspace: Workspace, conversation: str) -> bool:
    """Whether somebody works at it, or waits for the next question."""
    return locks.held(lock_of(workspace, conversation))
