"""Work at the turns of one conversation: ``python -m jobs.agent.turns WORKSPACE CONVERSATION``.

Started when something is asked (:mod:`backend.agent.working`). It needs no panel: closed, killed or restarted, the panel finds in ``agent.db`` what was
done meanwhile. It holds the conversation's lock, so there is never a second one; killed itself, it leaves a turn that can go on.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

from backend import settings
from backend.agent import checks, tool_settings
from backend.agent.calls import Protocol
from backend.agent.records import Turn
from backend.agent.store import AgentStore, lock_of
from backend.agent.tools import Context
from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import locks
from backend.queue.store import Store, open_store
from backend.workspace import Workspace, open_workspace
from jobs.agent import past
from jobs.agent.asking import Interrupted, ServerModel
from jobs.agent.book import StoreBook
from jobs.agent.loop import Outcome, run_turn
from jobs.agent.toolbox import Toolbox

LOOK_S = 0.1
MOST_EARLIER = 40
"""Turns that a model is told of."""

log = logging.getLogger("tunedeck.agent")


def main(arguments: list[str]) -> int:
    root, conversation = Path(arguments[0]), arguments[1]
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    workspace = open_workspace(root)
    idle = settings.load(workspace).agent_idle_s
    store = AgentStore(workspace)
    path = lock_of(workspace, conversation)
    while (lock := locks.acquire(path)) is not None:
        box = Toolbox(workspace)
        try:
            _serve(workspace, store, conversation, box, idle)
        finally:
            box.close()
            os.close(lock)
        # What was asked while we left found us still here, and started nobody.
        if store.next_waiting(conversation) is None:
            break
    return 0


def _serve(workspace: Workspace, store: AgentStore, conversation: str, box: Toolbox, idle: float) -> None:
    """Work until nothing was asked for ``idle`` seconds, or the workspace is gone."""
    queue = open_store(workspace)
    last = time.monotonic()
    while time.monotonic() - last < idle and workspace.root.exists():
        turn = store.next_waiting(conversation)
        if turn is None:
            time.sleep(LOOK_S)
            continue
        if store.begin(turn.id):
            _work(workspace, store, queue, turn, box)
        last = time.monotonic()


def _work(workspace: Workspace, store: AgentStore, queue: Store, turn: Turn, box: Toolbox) -> None:
    try:
        outcome = _outcome(workspace, store, queue, turn, box)
    except Interrupted:
        outcome = Outcome("stopped")
    except PanelError as error:
        outcome = Outcome("failed", error=error)
    except Exception as error:
        log.exception("turn %d", turn.id)
        failure = PanelError(
            "agent_broke",
            N_("The program that works for the agent broke: {problem}"),
            N_("What it had found is kept; go on from there. The file agent.log in the workspace's logs says more."),
            problem=f"{type(error).__name__}: {error}"[:500],
        )
        outcome = Outcome("failed", error=failure)
    store.end(turn.id, outcome.state, answer=outcome.answer, problem=outcome.problem, error=outcome.error)


def _outcome(workspace: Workspace, store: AgentStore, queue: Store, turn: Turn, box: Toolbox) -> Outcome:
    book = StoreBook(store, turn.id, turn.conversation)
    model = ServerModel(queue, workspace, turn.model)
    model.ready(book.stopped)
    protocol = resolved(workspace, turn, model.takes_tools())
    store.use(turn.id, protocol)
    tools = box.chosen(turn.options.tools, book.stopped)
    if box.problems:
        store.note(turn.id, box.problems)
    folder = store.folder(turn.conversation)
    folder.mkdir(parents=True, exist_ok=True)
    context = Context(workspace, folder, book.stopped, tool_settings.load(workspace))
    return run_turn(
        book,
        model,
        tools,
        _history(store, turn, protocol),
        turn,
        protocol,
        context,
        done=store.steps([turn.id]),
        off=box.off(turn.options.tools),
    )


def resolved(workspace: Workspace, turn: Turn, takes_tools: bool | None) -> Protocol:
    """The form that the person chose; else what the last check found best; else the server's tools where the template knows them."""
    if turn.options.protocol != "auto":
        return turn.options.protocol
    return checks.choose(workspace, turn.model) or ("openai" if takes_tools else "react")


def _history(store: AgentStore, turn: Turn, protocol: Protocol) -> list[past.Said]:
    earlier = [each for each in store.turns(turn.conversation, limit=MOST_EARLIER + 1) if each.id < turn.id]
    steps = store.steps([each.id for each in earlier])
    return past.of_turns([(each, [s for s in steps if s.turn == each.id]) for each in earlier], protocol)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
