"""Our part of an agent's step: reading the reply, making the call, recording; goal: under 50 ms, also for the 200th.

    python -m tests.bench.bench_agent_steps

A model that answers at once calls the calculator two hundred times in one turn; what is left of the time is ours.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.agent.options import Options
from backend.agent.protocols.sending import Sent
from backend.agent.store import AgentStore
from backend.agent.tools import Context
from backend.chat.sent import Sent as Record
from backend.workspace import open_workspace
from jobs.agent.asking import Reply
from jobs.agent.book import StoreBook
from jobs.agent.loop import run_turn
from jobs.agent.tools.calculator import Calculator

STEPS, FEW = 200, 20
GOAL_MS = 50


class Instant:
    """A model that costs nothing. at: when it was asked, each time."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def takes_tools(self) -> bool | None:
        return False

    def reply(
        self, sent: Sent, options: Options, *, watch: Callable[[str], None], stopped: Callable[[], bool]
    ) -> Reply:
        self.at.append(time.monotonic())
        number = len(self.at)
        text = f'Thought: on.\nAction: calculator\nAction Input: {{"expression": "{number}+1"}}'
        if number == STEPS:
            text = "Thought: enough.\nFinal Answer: done"
        watch(text)
        record = Record(request={"messages": sent.messages}, response={"choices": [{"message": {"content": text}}]})
        return Reply(text, {"role": "assistant", "content": text}, "stop", 10, 10, True, 0.0, record)


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``."""
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder:
        workspace = open_workspace(Path(folder) / "workspace")
        store = AgentStore(workspace)
        options = Options(protocol="react", tools=("calculator",), most_steps=200, most_seconds=3600)
        turn = store.ask(None, "Count", model="instant", options=options)
        context = Context(workspace, store.folder(turn.conversation))
        model, book = Instant(), StoreBook(store, turn.id, turn.conversation)
        outcome = run_turn(book, model, [Calculator()], [], turn, "react", context)
        assert outcome.answer == "done", outcome
        assert len(store.steps([turn.id])) == STEPS
        store.close()
    spent = [(later - sooner) * 1000 for sooner, later in zip(model.at, model.at[1:], strict=False)]
    first, last = statistics.median(spent[:FEW]), statistics.median(spent[-FEW:])
    return [
        {"what": "a step with a call, median of 200", "value": round(statistics.median(spent), 1), "unit": "ms",
         "goal": f"under {GOAL_MS} ms", "ok": statistics.median(spent) < GOAL_MS},
        {"what": "the slowest of them", "value": round(max(spent), 1), "unit": "ms"},
        {"what": "the last 20, against the first 20", "value": round(last, 1), "unit": "ms", "ratio": round(last / first, 2),
         "goal": f"under {GOAL_MS} ms; all that was said is sent again", "ok": last < GOAL_MS},
    ]  # fmt: skip


def main() -> None:
    for row in measure():
        ratio = f"{row['ratio']:.2f} x" if "ratio" in row else ""
        print(f"{row['what']:50} {row['value']:>8.1f} {row['unit']} {ratio:>8}  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
