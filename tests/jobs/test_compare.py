"""Asking several servers at once: the answers belong to the panel process, and what happens to one disturbs no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.compare.asking import Asking
from backend.compare.comparisons import Comparisons
from backend.compare.records import Comparison, Contender, Turn
from backend.errors import ConflictError
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

PARAMS = ChatParams(max_tokens=20_000)
LEFT, RIGHT = Contender("left", PARAMS), Contender("right", PARAMS)
ENDLESS = "!" + json.dumps({"tokens": 100_000, "delay_s": 0.005})


@pytest.fixture
def servers(store: Store) -> Iterator[dict[str, Stub]]:
    """Two running models, ``left`` and ``right``."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(stub(name)) for name in ("left", "right")}
        for each in running.values():
            stack.enter_context(published(store, each))
        yield running


@pytest.fixture
def panel(workspace: Workspace, store: Store) -> Iterator[Asking]:
    """What writes answers in a panel."""
    asking = Asking(workspace, store)
    yield asking
    asking.close()


def newest(comparisons: Comparisons, comparison: Comparison) -> Turn:
    return comparisons.turns(comparisons.get(comparison.id))[-1]


def answers(comparisons: Comparisons, comparison: Comparison) -> list[Message]:
    found = [answer for answer in newest(comparisons, comparison).answers if answer is not None]
    assert len(found) == len(comparison.contenders)
    return found


def ended(panel: Asking, comparison: Comparison) -> list[Message]:
    until(lambda: not newest(panel.comparisons, comparison).running, 20, "all answers have their end")
    return answers(panel.comparisons, comparison)


def saying(panel: Asking, comparison: Comparison) -> list[Message]:
    """The answers, when each has said something that is stored."""
    until(lambda: all(a.content for a in answers(panel.comparisons, comparison)), 20, "all have begun")
    return answers(panel.comparisons, comparison)


def test_four_columns_are_asked_at_once_with_one_seed_and_settings_of_their_own(
    panel: Asking, servers: dict[str, Stub]
) -> None:
    cool = Contender("left", PARAMS.model_copy(update={"temperature": 0.1, "system": "Be brief", "seed": 5}))
    begun = panel.begin([LEFT, RIGHT, cool, RIGHT], "Hello", seed=11)
    done = ended(panel, begun)
    assert [(a.state, a.content, a.model) for a in done] == [
        ("done", "You said: Hello", name) for name in ("left", "right", "left", "right")
    ]
    asked = [request for server in servers.values() for request in server.requests()]
    assert [request["seed"] for request in asked] == [11] * 4
    assert sorted(request["temperature"] for request in servers["left"].requests()) == [0.1, 0.7]
    assert sorted(len(request["messages"]) for request in servers["left"].requests()) == [1, 2]


def test_stopping_one_answer_lets_the_others_go_on(panel: Asking, servers: dict[str, Stub]) -> None:
    begun = panel.begin([LEFT, RIGHT], ENDLESS, seed=1)
    first, second = saying(panel, begun)
    panel.stop(first.id)
    until(lambda: servers["left"].cancelled() == 1, 10, "the stopped server saw that its reader left")
    said = second.content
    until(lambda: len(answers(panel.comparisons, begun)[1].content) > len(said), 10, "the other one goes on")
    assert [a.state for a in answers(panel.comparisons, begun)] == ["stopped", "running"]
    panel.stop_all(begun.id)
    assert [a.state for a in answers(panel.comparisons, begun)] == ["stopped", "stopped"]


def test_a_server_that_dies_leaves_its_words_and_the_reason_in_its_column(panel: Asking, store: Store) -> None:
    dying: dict[str, Any] = {"tokens": 9, "die_at": 4}
    with stub("left", script=dying) as left, stub("right") as right, published(store, left), published(store, right):
        begun = panel.begin([LEFT, RIGHT], "Hello", seed=1)
        failed, done = ended(panel, begun)
    assert (failed.state, failed.content.split()) == ("failed", ["w0", "w1", "w2", "w3"])
    assert failed.error["code"] == "server_died"
    assert (done.state, done.content) == ("done", "You said: Hello")


def test_a_model_that_cannot_start_says_why_in_its_column(panel: Asking, servers: dict[str, Stub]) -> None:
    failed, done = ended(panel, panel.begin([Contender("vanished"), RIGHT], "Hello", seed=1))
    assert (failed.state, failed.error["code"], done.state) == ("failed", "model_unknown", "done")


def test_a_second_question_waits_for_all_answers(panel: Asking, servers: dict[str, Stub]) -> None:
    begun = panel.begin([LEFT, RIGHT], ENDLESS, seed=1)
    panel.stop(answers(panel.comparisons, begun)[0].id)
    with pytest.raises(ConflictError, match="still being written"):
        panel.ask(begun.id, "And now?", seed=1)
    assert len(panel.comparisons.turns(begun)) == 1


def test_one_column_is_asked_again_and_the_next_question_follows_that_answer(panel: Asking, store: Store) -> None:
    with stub("right") as right, published(store, right):
        with stub("left", script={"status": 500}) as left, published(store, left):
            begun = panel.begin([LEFT, RIGHT], "One", seed=1)
            assert [a.state for a in ended(panel, begun)] == ["failed", "done"]
        with stub("left", script={"say": "better"}) as left, published(store, left):
            panel.again(begun.id, 0)
            assert [a.content for a in ended(panel, begun)] == ["better", "You said: One"]
            panel.ask(begun.id, "Two", seed=2)
            ended(panel, begun)
            assert [m["content"] for m in left.requests()[-1]["messages"]] == ["One", "better", "Two"]
        assert len(right.requests()) == 2


def test_another_panel_sees_the_answers_grow_and_can_stop_them(
    panel: Asking, servers: dict[str, Stub], workspace: Workspace, store: Store
) -> None:
    begun = panel.begin([LEFT, RIGHT], ENDLESS, seed=1)
    other = Asking(workspace, store)
    saying(other, begun)
    with pytest.raises(ConflictError, match="still being written"):
        other.ask(begun.id, "Me too", seed=1)
    other.stop_all(begun.id)
    assert [a.state for a in ended(panel, begun)] == ["stopped", "stopped"]
    other.close()


def test_kill_9_of_the_panel_shows_every_column_as_interrupted_with_what_was_saved(
    workspace: Workspace, store: Store, servers: dict[str, Stub]
) -> None:
    code = (
        "import sys, threading; from backend.chat.params import ChatParams; from backend.compare.asking import asking;"
        "from backend.compare.records import Contender; from backend.queue.store import open_store;"
        "from backend.workspace import open_workspace\n"
        "w = open_workspace(); p = ChatParams(max_tokens=20000)\n"
        "asking(w, open_store(w)).begin([Contender('left', p), Contender('right', p)], sys.argv[1], seed=1)\n"
        "threading.Event().wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, ENDLESS], cwd=ROOT, stdin=subprocess.DEVNULL)
    comparisons = Comparisons(workspace)
    try:

        def saved() -> list[Message]:
            found = comparisons.list()
            turns = comparisons.turns(found[0]) if found else []
            said = [a for turn in turns for a in turn.answers if a is not None and a.content]
            return said if len(said) == 2 else []

        seen = until(saved, 30, "a part of both answers is in the file")
        assert [a.state for a in seen] == ["running", "running"]
    finally:
        process.kill()
        process.wait(10)
    left = answers(comparisons, comparisons.list()[0])
    assert [a.state for a in left] == ["interrupted", "interrupted"]
    assert all(after.content.startswith(before.content) for before, after in zip(seen, left, strict=True))
    comparisons.columns.close()
