"""Server time of one rerun of the Chat page with 500 messages against 10; goal: at most 1.5 x.

    python -m tests.bench.bench_chat

A rerun is what every press costs. With 500 messages the page draws its tail of 20, so the fair other side of the second
row has 20 messages: what is left is the price of a long history that is not drawn. A message changes before every
rerun. The conversations take turns, so that a busy machine slows all alike; the figure is the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.chat import replies
from backend.chat.conversations import Conversations
from backend.chat.search import search
from backend.workspace import ROOT
from tests.support import homes
from tests.support.talk import Talk, living
from ui.chat import state as chat_state

FEW, MANY = 10, 500
ROUNDS = 30
GOAL, TAIL_GOAL = 1.5, 1.2
SEARCH_MS, FULL_SEARCH = 200, 100
ANSWER = "Wheat grows in spring. It needs water, light and a soil that holds both. " * 12
"""About 900 characters, as the answers of small models have."""


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``; the value is that of 500 messages, in ms."""
    with homes.temporary() as workspace, closing(Conversations(workspace)) as talks:
        with living(talks) as owner:
            made = {n: _fill(Talk(talks, owner), n) for n in (FEW, chat_state.TAIL, MANY)}
            times = _rerun(talks, made)
            rows = [
                _row("Chat page: a rerun", times, FEW, GOAL),
                _row("Chat page: a rerun, the same number of messages drawn", times, chat_state.TAIL, TAIL_GOAL),
                _searched(talks, owner),
            ]
        replies._all.pop(str(workspace.root)).close()
        return rows


def _fill(talk: Talk, count: int) -> str:
    for n in range(count // 2):
        talk.say(f"Question {n}: how does wheat grow?", ANSWER)
    return talk.id


def _rerun(talks: Conversations, made: dict[int, str]) -> dict[int, float]:
    """Median seconds of one rerun for each conversation."""
    apps = {count: _open(conversation) for count, conversation in made.items()}
    times: dict[int, list[float]] = {count: [] for count in made}
    for turn in range(ROUNDS):
        for count, app in apps.items():
            with talks.write() as db:
                db.execute(
                    "UPDATE messages SET content = ? WHERE id = (SELECT max(id) FROM messages WHERE conversation = ?)",
                    (f"{ANSWER} {turn}", made[count]),
                )
            times[count].append(_timed(lambda app=app: app.run()))  # type: ignore[misc]
            assert not app.exception, app.exception
    return {count: statistics.median(values) for count, values in times.items()}


def _open(conversation: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["c"] = conversation
    app.switch_page("../pages/chat.py").run()
    assert not app.exception, app.exception
    assert app.chat_message, "the conversation is not drawn"
    return app


def _row(what: str, times: dict[int, float], against: int, goal: float) -> dict[str, Any]:
    ratio = times[MANY] / times[against]
    return {
        "what": what,
        "value": round(times[MANY] * 1000, 1),
        "unit": "ms",
        "ratio": round(ratio, 2),
        "goal": f"<= {goal} x {against} messages",
        "ok": ratio <= goal,
    }


def _searched(talks: Conversations, owner: str) -> dict[str, Any]:
    """A search that has to read everything: 100 conversations of 100 messages, nothing found."""
    for _ in range(FULL_SEARCH):
        _fill(Talk(talks, owner), FULL_SEARCH)
    found: list[Any] = []
    took = statistics.median(_timed(lambda: found.extend(search(talks, "rye"))) for _ in range(7))
    assert found == []
    return {
        "what": "Search in 10,000 messages",
        "value": round(took * 1000, 1),
        "unit": "ms",
        "goal": f"at most {SEARCH_MS} ms",
        "ok": took * 1000 <= SEARCH_MS,
    }


def _timed(work: Callable[[], object]) -> float:
    # The script runs in a thread of its own: the process's time is what it cost, whoever else uses the machine.
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    for row in measure():
        ratio = f"{row['ratio']:.2f} x" if "ratio" in row else ""
        print(f"{row['what']:58} {row['value']:>8.1f} {row['unit']} {ratio:>8}  {'ok' if row['ok'] else 'MISSED'}")


if __name__ == "__main__":
    main()
