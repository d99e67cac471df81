"""The program that works at a conversation's turns: one process each, which neither panel nor browser has to live for.

It is started when something is asked, keeps the conversation's MCP servers open, and ends when nothing was asked for a while.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from backend.agent.store import lock_of
from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import locks
from backend.workspace import ROOT, Workspace

COMMAND = (sys.executable, "-m", "jobs.agent.turns")
SOON_S, AGAIN_S = 15.0, 10.0
"""A worker that failed so soon has not begun; the next one is started so much later."""
LOG = "agent.log"


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    started: float


_started: dict[str, _Child] = {}
_failed: dict[str, tuple[float, int]] = {}


def ensure(workspace: Workspace, conversation: str) -> None:
    """Start the worker of ``conversation`` unless there is one. Returns at once; to be asked again while its turn waits: a worker may just be
    leaving, and one that cannot start (:func:`failure`) is tried again after a while."""
    _look()
    if conversation in _started or locks.held(lock_of(workspace, conversation)) or _resting(conversation):
        return
    with (workspace.logs / LOG).open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, str(workspace.root), conversation],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
        )
    _started[conversation] = _Child(process, time.monotonic())


def failure(workspace: Workspace, conversation: str) -> PanelError | None:
    """Why nobody works at it, where the program for that ended at once a moment ago."""
    _look()
    if not _resting(conversation):
        return None
    return PanelError(
        "agent_not_started",
        N_("The program that works for the agent ended at once (exit code {exit}): {line}"),
        N_(
            "It is tried again by itself. The file {file} in the workspace's logs says more; make setup puts missing packages right."
        ),
        exit=_failed[conversation][1],
        line=_last_line(workspace),
        file=LOG,
    )


def _look() -> None:
    """Which of ours have ended, and which of those had not begun. A signal is no failure to start."""
    for name, child in list(_started.items()):
        code = child.process.poll()
        if code is not None:
            del _started[name]
            if code > 0 and time.monotonic() - child.started < SOON_S:
                _failed[name] = (time.monotonic(), code)


def _resting(conversation: str) -> bool:
    failed = _failed.get(conversation)
    return failed is not None and time.monotonic() - failed[0] < AGAIN_S


def _last_line(workspace: Workspace) -> str:
    try:
        with (workspace.logs / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "?"
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "?")
