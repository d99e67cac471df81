"""Conversations in a real SQLite file: what was said stays, whoever dies and however many write."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.chat.answers import MAX_PROMPT_CHARS, Answers
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import title_from
from backend.chat.schema import MIGRATIONS
from backend.errors import ConflictError, NotFoundError, WorkspaceError
from backend.queue import locks
from backend.workspace import ROOT, Workspace
from tests.support.wait import until

PARAMS = ChatParams()


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    opened = Conversations(workspace)
    yield opened
    opened.close()


@pytest.fixture
def owner(workspace: Workspace) -> Iterator[str]:
    """A panel that lives: its lock is held."""
    fd = locks.acquire(workspace.run / "chat-me.lock")
    assert fd is not None
    yield "me"
    os.close(fd)


def ask(talks: Conversations, owner: str, text: str = "Hello", conversation: str | None = None) -> tuple[str, int]:
    _, answer = Answers(talks).ask(conversation, text, model="starter", params=PARAMS, owner=owner)
    return answer.conversation, answer.id


def said(
    talks: Conversations, owner: str, text: str = "Hello", answer: str = "Hi", conversation: str | None = None
) -> str:
    conversation, message = ask(talks, owner, text, conversation)
    assert Answers(talks).finish(message, owner, "done", answer)
    return conversation


def test_a_conversation_keeps_prompt_answer_figures_and_settings(talks: Conversations, owner: str) -> None:
    params = ChatParams(system="Be brief", temperature=0.2, seed=7)
    _, answer = Answers(talks).ask(None, "Wie geht's?", model="starter", params=params, owner=owner)
    assert talks.message(answer.id).running
    Answers(talks).finish(
        answer.id, owner, "done", "Gut.", finish_reason="stop", prompt_tokens=9, completion_tokens=3, counted=1,
        ttft_s=0.05, tokens_s=88.5, left_out=2,
    )  # fmt: skip
    conversation = talks.get(answer.conversation)
    assert (conversation.title, conversation.model, conversation.params) == ("Wie geht's?", "starter", params)
    prompt, reply = talks.messages(conversation.id)
    assert (prompt.role, prompt.content, prompt.partial) == ("user", "Wie geht's?", False)
    assert (reply.content, reply.state, reply.finish_reason) == ("Gut.", "done", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.counted) == (9, 3, True)
    assert (reply.ttft_s, reply.tokens_s, reply.left_out) == (0.05, 88.5, 2)
    assert reply.params["temperature"] == 0.2
    assert not reply.partial


def test_conversations_are_listed_newest_first_renamed_and_deleted_with_their_messages(
    talks: Conversations, owner: str
) -> None:
    first, second = said(talks, owner, "First"), said(talks, owner, "Second")
    assert [c.id for c in talks.list()] == [second, first]
    said(talks, owner, "More", conversation=first)
    assert [c.id for c in talks.list()] == [first, second]
    assert talks.rename(first, "  Über\nGetreide  ").title == "Über Getreide"
    with pytest.raises(ConflictError, match="needs a name"):
        talks.rename(first, " \n ")
    talks.delete(first)
    assert [c.id for c in talks.list()] == [second]
    with pytest.raises(NotFoundError, match="does not exist"):
        talks.get(first)
    with talks.read() as db:
        assert db.execute("SELECT count(*) FROM messages WHERE conversation = ?", (first,)).fetchone()[0] == 0


def test_only_the_tail_is_read_and_older_messages_come_on_demand(talks: Conversations, owner: str) -> None:
    conversation = said(talks, owner, "0")
    for n in range(1, 30):
        said(talks, owner, str(n), conversation=conversation)
    tail = talks.messages(conversation, limit=4)
    assert [m.content for m in tail] == ["28", "Hi", "29", "Hi"]
    assert [m.content for m in talks.messages(conversation, limit=2, before=tail[0].id)] == ["27", "Hi"]
    assert talks.count(conversation) == 60


def test_a_second_message_is_refused_while_an_answer_is_being_written(talks: Conversations, owner: str) -> None:
    conversation, message = ask(talks, owner)
    with pytest.raises(ConflictError, match="still being written"):
        ask(talks, owner, "And?", conversation)
    assert talks.count(conversation) == 2
    Answers(talks).finish(message, owner, "stopped", "Hal")
    ask(talks, owner, "And?", conversation)
    assert talks.count(conversation) == 4


def test_there_is_nothing_to_ask_again_in_an_empty_conversation(talks: Conversations, owner: str) -> None:
    empty = talks.create().id
    with pytest.raises(ConflictError, match="no message to answer"):
        Answers(talks).ask_again(empty, model="starter", params=PARAMS, owner=owner)


def test_another_panel_can_stop_an_answer(talks: Conversations, owner: str, workspace: Workspace) -> None:
    _, message = ask(talks, owner)
    answers = Answers(talks)
    assert answers.save_partial(message, owner, "Once upon")
    elsewhere = Conversations(workspace)
    Answers(elsewhere).request_stop(message)
    assert not answers.save_partial(message, owner, "Once upon a time")
    assert elsewhere.message(message).content == "Once upon a time"
    elsewhere.close()


def test_deleting_a_conversation_ends_its_answer(talks: Conversations, owner: str) -> None:
    conversation, message = ask(talks, owner)
    talks.delete(conversation)
    assert not Answers(talks).save_partial(message, owner, "x")
    assert not Answers(talks).finish(message, owner, "done", "x")


def test_an_answer_whose_panel_is_gone_is_interrupted_and_never_complete(
    talks: Conversations, workspace: Workspace
) -> None:
    fd = locks.acquire(talks.owner_lock("dead"))
    assert fd is not None
    conversation, message = ask(talks, "dead")
    Answers(talks).save_partial(message, "dead", "Once upon a")
    assert talks.message(message).running
    os.close(fd)
    left = talks.messages(conversation)[-1]
    assert (left.state, left.content, left.partial) == ("interrupted", "Once upon a", True)
    assert not Answers(talks).save_partial(message, "dead", "Once upon a time")
    # A late word of the dead panel (it was only slow) does not undo what was shown.
    assert not Answers(talks).finish(message, "dead", "done", "Once upon a time")
    assert talks.message(message).state == "interrupted"


def test_after_a_dead_panel_the_conversation_goes_on(talks: Conversations, owner: str) -> None:
    conversation, _ = ask(talks, "never-lived")
    ask(talks, owner, "Still there?", conversation)
    assert [m.state for m in talks.messages(conversation)] == ["done", "interrupted", "done", "running"]


def test_two_processes_write_at_once_and_nothing_is_lost(workspace: Workspace, talks: Conversations) -> None:
    writer = (
        "import sys; from backend.chat.conversations import Conversations; from backend.chat.answers import Answers;"
        "from backend.chat.params import ChatParams; from backend.workspace import open_workspace;"
        "from backend.queue import locks\n"
        "talks = Conversations(open_workspace()); answers = Answers(talks); me = sys.argv[1]\n"
        "fd = locks.acquire(talks.owner_lock(me))\n"
        "for n in range(40):\n"
        "    _, a = answers.ask(None, f'{me} {n}', model='m', params=ChatParams(), owner=me)\n"
        "    answers.save_partial(a.id, me, 'half'); answers.finish(a.id, me, 'done', f'{me} {n} done')\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", writer, name], cwd=ROOT, stdin=subprocess.DEVNULL) for name in "ab"
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    found = talks.list(limit=1000)
    assert {c.title for c in found} == {f"{name} {n}" for name in "ab" for n in range(40)}
    assert all(talks.messages(c.id)[-1].content == f"{c.title} done" for c in found)


def test_what_was_said_survives_kill_9_in_mid_stream(workspace: Workspace, talks: Conversations) -> None:
    writer = (
        "import itertools; from backend.chat.conversations import Conversations; from backend.queue import locks;"
        "from backend.chat.answers import Answers; from backend.chat.params import ChatParams;"
        "from backend.workspace import open_workspace\n"
        "talks = Conversations(open_workspace()); answers = Answers(talks)\n"
        "fd = locks.acquire(talks.owner_lock('p'))\n"
        "_, a = answers.ask(None, 'Count', model='m', params=ChatParams(), owner='p')\n"
        "for n in itertools.count(): answers.save_partial(a.id, 'p', ' '.join(map(str, range(n % 5000))))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", writer], cwd=ROOT, stdin=subprocess.DEVNULL)
    try:

        def counted_to_100() -> bool:
            found = talks.list()
            return bool(found) and " 100" in talks.messages(found[0].id)[-1].content

        until(counted_to_100, 30, "the answer has got to 100")
        assert talks.messages(talks.list()[0].id)[-1].running
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    reply = talks.messages(talks.list()[0].id)[-1]
    assert reply.state == "interrupted"
    words = reply.content.split()
    assert len(words) > 100
    assert words == [str(n) for n in range(len(words))]


@pytest.mark.parametrize("damage", ["garbage", "truncated", "page"])
def test_a_damaged_file_is_kept_beside_and_said(workspace: Workspace, owner: str, damage: str) -> None:
    talks = Conversations(workspace)
    for n in range(200):
        said(talks, owner, f"{n} " + "wheat " * 200)
    talks.close()
    data = bytearray(workspace.chat_db.read_bytes())
    assert len(data) > 100_000
    if damage == "garbage":
        data = bytearray(os.urandom(5000))
    elif damage == "truncated":
        del data[len(data) // 2 :]
    else:
        data[4096 * 3 : 4096 * 9] = os.urandom(4096 * 6)
    workspace.chat_db.write_bytes(data)

    reopened = Conversations(workspace)
    notice = reopened.notice()
    assert notice is not None
    assert "was damaged" in str(notice)
    kept = Path(notice.params["path"])
    assert kept.read_bytes() == bytes(data)
    assert str(kept) in str(notice)
    assert reopened.list() == []
    said(reopened, owner)
    reopened.close()

    again = Conversations(workspace)
    assert again.notice() is not None, "the notice stays until a person has read it"
    again.dismiss_notice()
    assert again.notice() is None
    assert len(again.list()) == 1
    again.close()
    assert len(list(workspace.root.glob("chat.db.damaged-*"))) == 1


def test_a_panel_that_is_open_goes_on_with_the_new_file_when_another_put_the_damaged_one_aside(
    workspace: Workspace, talks: Conversations, owner: str
) -> None:
    said(talks, owner, "Old")
    workspace.chat_db.rename(workspace.root / "aside")
    other = Conversations(workspace)
    said(other, owner, "New")
    assert [c.title for c in talks.list()] == ["New"]
    other.close()


def test_a_file_of_a_newer_tunedeck_is_refused_and_left_as_it_is(workspace: Workspace, owner: str) -> None:
    talks = Conversations(workspace)
    said(talks, owner)
    talks.close()
    db = sqlite3.connect(workspace.chat_db)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with pytest.raises(WorkspaceError, match="newer TuneDeck") as caught:
        Conversations(workspace)
    assert caught.value.code == "workspace_newer"
    assert list(workspace.root.glob("chat.db.damaged-*")) == []
    db = sqlite3.connect(workspace.chat_db)
    assert db.execute("SELECT count(*) FROM messages").fetchone()[0] == 2
    db.close()


def test_a_file_that_cannot_be_written_is_said_in_plain_words(workspace: Workspace) -> None:
    workspace.chat_db.mkdir()  # for root, too, this cannot be opened as a file
    with pytest.raises(WorkspaceError, match="cannot write"):
        Conversations(workspace)


@pytest.mark.parametrize("text", ["😀 שלום مرحبا", "字" * 100_000, "a\ud800b\0c", "x" * MAX_PROMPT_CHARS])
def test_emoji_rtl_broken_and_very_long_prompts_are_stored(talks: Conversations, owner: str, text: str) -> None:
    conversation, _ = ask(talks, owner, text)
    stored = talks.messages(conversation)[0].content
    assert stored == text.replace("\ud800", "?").replace("\0", "")
    assert len(talks.get(conversation).title) <= 60


@pytest.mark.parametrize(
    ("text", "message"), [("  \n", "nothing to send"), ("x" * (MAX_PROMPT_CHARS + 1), "1,000,001")]
)
def test_empty_and_endless_prompts_are_refused_without_a_trace(
    talks: Conversations, owner: str, text: str, message: str
) -> None:
    with pytest.raises(ConflictError, match=message):
        ask(talks, owner, text)
    assert talks.list() == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  two\n lines ", "two lines"),
        ("word " * 30, "word word word word word word word word word word word…"),
        ("字" * 100, "字" * 59 + "…"),
    ],
)
def test_a_title_is_the_beginning_of_the_first_prompt(text: str, title: str) -> None:
    assert title_from(text) == title


def test_settings_that_a_later_version_would_refuse_do_not_hide_a_conversation(
    talks: Conversations, owner: str
) -> None:
    conversation = said(talks, owner)
    with talks.write() as db:
        db.execute("UPDATE conversations SET params = ?", ('{"temperature": 99, "top_p": 0.5, "gone": 1}',))
    assert talks.get(conversation).params == ChatParams(top_p=0.5)
    assert time.time() - talks.get(conversation).updated < 60
