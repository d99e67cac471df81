"""Answers belong to the panel process, not to the page: watched, stopped, cut off by every kind of death."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backend.chat import replies as replies_module
from backend.chat.conversations import Conversations
from backend.chat.history import estimate_tokens
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.chat.replies import Replies
from backend.errors import ConflictError
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

PARAMS = ChatParams(max_tokens=20_000)


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    """A running model called ``stub``."""
    with stub() as running, published(store, running):
        yield running


@pytest.fixture
def panel(workspace: Workspace, store: Store) -> Iterator[Replies]:
    """What writes answers in a panel."""
    replies = Replies(workspace, store, Conversations(workspace))
    yield replies
    replies.close()
    replies.conversations.close()


def plan(**script: Any) -> str:
    return "!" + json.dumps(script)


def ended(panel: Replies, answer: Message) -> Message:
    until(lambda: not panel.conversations.message(answer.id).running, 20, "the answer has its end")
    return panel.conversations.message(answer.id)


def live_text(panel: Replies, answer: Message) -> str:
    reply = panel.reply(answer.id)
    return reply.live().text if reply else ""


def test_an_answer_is_written_without_any_page(panel: Replies, server: Stub) -> None:
    answer = panel.ask(None, "Hello", model="stub", params=PARAMS)
    done = ended(panel, answer)
    assert (done.state, done.content, done.counted) == ("done", "You said: Hello", True)
    assert done.ttft_s is not None
    assert panel.reply(answer.id) is None


def test_who_looks_just_as_the_end_is_stored_finds_a_message_like_any_other(
    panel: Replies, server: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is in the file, and the thread that writes has one more thing to store: a page may look just then."""
    go_on, keep, held = threading.Event(), replies_module.sent_to_model.keep, list[int]()

    def held_up(conversations: Any, message_id: int, sent: Any) -> None:
        if not held:
            held.append(message_id)
            assert go_on.wait(20)
        keep(conversations, message_id, sent)

    monkeypatch.setattr(replies_module.sent_to_model, "keep", held_up)
    try:
        answer = panel.ask(None, "Hello", model="stub", params=PARAMS)
        until(lambda: held and not panel.conversations.message(answer.id).running, 20, "the end is in the file")
        assert panel.reply(answer.id) is None
    finally:
        go_on.set()


def test_the_whole_conversation_is_sent_with_its_system_prompt(panel: Replies, server: Stub) -> None:
    params = ChatParams(system="Be brief")
    first = panel.ask(None, "One", model="stub", params=params)
    ended(panel, first)
    ended(panel, panel.ask(first.conversation, "Two", model="stub", params=params))
    assert [m["content"] for m in server.requests()[-1]["messages"]] == ["Be brief", "One", "You said: One", "Two"]


def test_the_text_so_far_is_in_the_file_while_the_answer_goes_on(panel: Replies, server: Stub) -> None:
    answer = panel.ask(None, plan(tokens=100_000, delay_s=0.01), model="stub", params=PARAMS)
    until(lambda: panel.conversations.message(answer.id).content.split()[2:3] == ["w2"], 10, "a part is saved")
    assert panel.conversations.message(answer.id).running


def test_stop_keeps_what_was_said_and_ends_the_servers_work(panel: Replies, server: Stub) -> None:
    answer = panel.ask(None, plan(tokens=100_000, delay_s=0.005), model="stub", params=PARAMS)
    until(lambda: "w5" in live_text(panel, answer), 10, "some words have come")
    panel.stop(answer.id)
    stopped = panel.conversations.message(answer.id)
    assert (stopped.state, stopped.partial) == ("stopped", True)
    assert stopped.content.startswith("w0 w1 w2 w3 w4 w5")
    # Nobody counted: a message may carry several tokens, so the figure is an estimate from the text, and says so.
    assert stopped.completion_tokens == estimate_tokens(stopped.content)
    assert not stopped.counted
    until(lambda: server.cancelled() == 1, 10, "the server saw that its reader left")
    ended(panel, panel.ask(answer.conversation, "Go on", model="stub", params=PARAMS))
    assert server.requests()[-1]["messages"][1]["content"] == stopped.content


def test_another_panel_sees_the_answer_grow_and_can_stop_it(
    panel: Replies, server: Stub, workspace: Workspace, store: Store
) -> None:
    answer = panel.ask(None, plan(tokens=100_000, delay_s=0.01), model="stub", params=PARAMS)
    other = Replies(workspace, store, Conversations(workspace))
    until(lambda: other.conversations.message(answer.id).content, 10, "the other panel sees text")
    with pytest.raises(ConflictError, match="still being written"):
        other.ask(answer.conversation, "Me too", model="stub", params=PARAMS)
    other.stop(answer.id)
    assert ended(panel, answer).state == "stopped"
    other.conversations.close()


def test_a_server_that_dies_in_mid_answer_leaves_its_words_and_the_reason(panel: Replies, server: Stub) -> None:
    failed = ended(panel, panel.ask(None, plan(tokens=9, die_at=4), model="stub", params=PARAMS))
    assert (failed.state, failed.content.split()) == ("failed", ["w0", "w1", "w2", "w3"])
    assert failed.error["code"] == "server_died"
    assert failed.partial


def test_asking_again_after_a_failure_answers_the_same_prompt(panel: Replies, store: Store) -> None:
    with stub() as first, published(store, first):
        failed = ended(panel, panel.ask(None, plan(say="fine", status=500), model="stub", params=PARAMS))
        assert failed.error["code"] == "server_failed"
    with stub(script={"say": "fine"}) as second, published(store, second):
        good = panel.ask(None, "Hello", model="stub", params=PARAMS)
        ended(panel, good)
        again = ended(panel, panel.ask_again(good.conversation, model="stub", params=PARAMS))
        assert again.content == "fine"
        assert [m.role for m in panel.conversations.messages(good.conversation)] == ["user", "assistant"]


def test_a_model_that_does_not_exist_is_said_with_those_that_do(panel: Replies) -> None:
    failed = ended(panel, panel.ask(None, "Hello", model="no-such-model", params=PARAMS))
    assert failed.error["code"] == "model_unknown"
    assert "starter" in failed.error["params"]["known"]


def test_a_prompt_far_too_long_is_refused_without_asking_the_server(panel: Replies, store: Store) -> None:
    with stub(context_length=512) as server, published(store, server):
        failed = ended(panel, panel.ask(None, "字" * 100_000, model="stub", params=PARAMS))
        assert failed.error["code"] == "prompt_too_long_for_model"
        assert server.requests() == []
        good = ended(panel, panel.ask(failed.conversation, "Short", model="stub", params=PARAMS))
        assert good.state == "done"
        assert [m["content"] for m in server.requests()[-1]["messages"]] == ["Short"]


def test_turns_left_out_are_counted_on_the_answer(panel: Replies, store: Store) -> None:
    with stub(context_length=200, script={"say": "word " * 40}) as server, published(store, server):
        answer = panel.ask(None, "Begin", model="stub", params=PARAMS)
        for _ in range(4):
            ended(panel, answer)
            answer = panel.ask(answer.conversation, "More", model="stub", params=PARAMS)
        assert ended(panel, answer).left_out > 0


def test_a_full_disk_does_not_lose_the_answer_while_the_panel_lives(panel: Replies, server: Stub) -> None:
    answer = panel.ask(None, plan(tokens=3000, delay_s=0.0005), model="stub", params=PARAMS)
    with panel.conversations.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    reply = panel.reply(answer.id)
    assert reply is not None
    live = until(lambda: reply.live() if reply.live().stage == "ended" else None, 30, "the answer has its end")
    assert live.unsaved is not None
    assert "disk" in str(live.unsaved)
    assert "is full" in str(live.unsaved)
    assert live.text.split()[-1] == "w2999"
    with panel.conversations.read() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    panel.reply(answer.id)  # somebody looks at the page again
    done = panel.conversations.message(answer.id)
    assert (done.state, done.content) == ("done", live.text)


def test_closing_the_panel_keeps_what_was_said(panel: Replies, server: Stub) -> None:
    answer = panel.ask(None, plan(tokens=100_000, delay_s=0.005), model="stub", params=PARAMS)
    said = until(lambda: live_text(panel, answer), 10, "some words have come")
    panel.close()
    left = panel.conversations.message(answer.id)
    assert left.state == "interrupted"
    assert left.content.startswith(said)


def test_kill_9_of_the_panel_keeps_what_was_saved_and_never_shows_it_as_complete(
    workspace: Workspace, store: Store, server: Stub
) -> None:
    code = (
        "import sys, threading; from backend.chat.replies import replies; from backend.chat.params import ChatParams;"
        "from backend.queue.store import open_store; from backend.workspace import open_workspace\n"
        "w = open_workspace(); r = replies(w, open_store(w))\n"
        "r.ask(None, sys.argv[1], model='stub', params=ChatParams(max_tokens=20000)); threading.Event().wait()\n"
    )
    prompt = plan(tokens=100_000, delay_s=0.005)
    panel = subprocess.Popen([sys.executable, "-c", code, prompt], cwd=ROOT, stdin=subprocess.DEVNULL)
    conversations = Conversations(workspace)
    try:

        def saved() -> Message | None:
            found = conversations.list()
            last = conversations.messages(found[0].id)[-1] if found else None
            return last if last and last.content else None

        seen = until(saved, 20, "a part of the answer is in the file")
        assert seen.running
    finally:
        panel.kill()
        panel.wait(10)
    left = conversations.message(seen.id)
    assert left.state == "interrupted"
    assert left.content.startswith(seen.content)
    until(lambda: server.cancelled() == 1, 10, "the server stopped working for a dead reader")
    conversations.close()


def test_many_answers_at_once_do_not_mix(panel: Replies, server: Stub) -> None:
    answers = [
        panel.ask(None, plan(say=f"answer {n} " + "x " * 30, delay_s=0.002), model="stub", params=PARAMS)
        for n in range(12)
    ]
    for n, answer in enumerate(answers):
        assert ended(panel, answer).content.startswith(f"answer {n} x")
