"""Branches in a real SQLite file: an edited message and another answer begin one, and nothing is ever lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from backend.chat.branches import Branches
from backend.chat.conversations import Conversations
from backend.chat.schema import MIGRATIONS
from backend.errors import ConflictError, NotFoundError
from backend.workspace import Workspace
from tests.support.talk import PARAMS, Talk, living


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    opened = Conversations(workspace)
    yield opened
    opened.close()


@pytest.fixture
def owner(talks: Conversations) -> Iterator[str]:
    with living(talks) as name:
        yield name


@pytest.fixture
def talk(talks: Conversations, owner: str) -> Talk:
    return Talk(talks, owner)


def test_an_edited_message_begins_a_branch_and_the_old_one_comes_back_whole(talk: Talk, talks: Conversations) -> None:
    talk.say("a?")
    old = talk.say("b?")
    talk.say("c?")
    new = talk.say("B?", instead_of=old.id)
    assert talk.shown() == "a? a. B? B."
    branches = Branches(talks)
    assert branches.alternatives(talks.messages(talk.id)) == {new.id: [old.id, new.id]}
    branches.show(old.id)
    assert talk.shown() == "a? a. b? b. c? c."
    assert talks.count(talk.id) == 6
    assert talks.count(talk.id, everywhere=True) == 8
    branches.show(new.id)
    assert talk.shown() == "a? a. B? B."


def test_the_very_first_message_can_be_edited(talk: Talk, talks: Conversations) -> None:
    first = talk.say("a?")
    talk.say("b?")
    talk.say("A?", instead_of=first.id)
    assert talk.shown() == "A? A."
    Branches(talks).show(first.id)
    assert talk.shown() == "a? a. b? b."


def test_asking_again_adds_an_answer_beside_the_earlier_ones(talk: Talk, talks: Conversations) -> None:
    talk.say("Pick?")
    four = talks.messages(talk.id)[-1]
    seven = talk.again("Seven")
    nine = talk.again("Nine")
    assert talk.shown() == "Pick? Nine"
    assert Branches(talks).alternatives(talks.messages(talk.id)) == {nine.id: [four.id, seven.id, nine.id]}
    Branches(talks).show(four.id)
    talk.say("Why?")
    assert talk.shown() == "Pick? Pick. Why? Why."


def test_an_earlier_answer_can_be_asked_for_again_and_what_followed_it_stays(talk: Talk, talks: Conversations) -> None:
    talk.say("a?")
    answer = talks.messages(talk.id)[-1]
    talk.say("b?")
    talk.again("another", instead_of=answer.id)
    assert talk.shown() == "a? another"
    Branches(talks).show(answer.id)
    assert talk.shown() == "a? a. b? b."


def test_coming_back_to_a_branch_shows_the_end_at_which_it_was_left(talk: Talk, talks: Conversations) -> None:
    branches = Branches(talks)
    first = talk.say("a?")
    b = talk.say("b?")
    talk.say("B?", instead_of=b.id)
    other = talk.say("A?", instead_of=first.id)
    branches.show(first.id)
    assert talk.shown() == "a? a. B? B."
    branches.show(b.id)
    branches.show(other.id)
    branches.show(first.id)
    assert talk.shown() == "a? a. b? b."


def test_what_was_shown_is_the_same_for_another_panel(talk: Talk, talks: Conversations, workspace: Workspace) -> None:
    old = talk.say("a?")
    talk.say("A?", instead_of=old.id)
    Branches(talks).show(old.id)
    elsewhere = Conversations(workspace)
    assert [m.content for m in elsewhere.messages(talk.id)] == ["a?", "a."]
    elsewhere.close()


def test_a_message_follows_the_branch_that_its_writer_saw(talk: Talk, talks: Conversations) -> None:
    talk.say("a?")
    seen = talks.messages(talk.id)[-1]
    # Another tab has gone on: on the same branch the message comes at its end ...
    b = talk.say("b?")
    talk.say("c?", after=seen.id)
    assert talk.shown() == "a? a. b? b. c? c."
    # ... and when that tab has left it, the message brings it back.
    talk.say("B?", instead_of=b.id)
    talk.say("d?", after=b.id)
    assert talk.shown() == "a? a. b? b. c? c. d? d."
    talk.say("e?", after=999)
    assert talk.shown().endswith("d? d. e? e.")


def test_only_the_own_branch_leads_to_a_message(talk: Talk, talks: Conversations) -> None:
    talk.say("a?")
    b = talk.say("b?")
    old_answer = talks.messages(talk.id)[-1]
    talk.say("B?", instead_of=b.id)
    new_answer = talks.messages(talk.id)[-1]
    assert [m.content for m in talks.leading_to(new_answer)] == ["a?", "a.", "B?"]
    assert [m.content for m in talks.leading_to(old_answer)] == ["a?", "a.", "b?"]


def test_while_an_answer_is_being_written_no_other_branch_can_be_begun_or_shown(
    talk: Talk, talks: Conversations, owner: str
) -> None:
    old = talk.say("a?")
    talk.say("A?", instead_of=old.id)
    talk.answers.ask(talk.id, "b?", model="m", params=PARAMS, owner=owner)
    with pytest.raises(ConflictError, match="still being written"):
        Branches(talks).show(old.id)
    with pytest.raises(ConflictError, match="still being written"):
        talk.say("AA?", instead_of=old.id)
    assert talk.shown() == "A? A. b? "


def test_an_answer_cannot_be_edited_and_a_prompt_cannot_be_asked_for_again(talk: Talk, talks: Conversations) -> None:
    prompt = talk.say("a?")
    answer = talks.messages(talk.id)[-1]
    with pytest.raises(NotFoundError, match="message was deleted"):
        talk.say("b?", instead_of=answer.id)
    with pytest.raises(NotFoundError, match="message was deleted"):
        talk.again("b", instead_of=prompt.id)
    with pytest.raises(NotFoundError):
        Branches(talks).show(999)
    assert talk.shown() == "a? a."


def test_a_file_of_before_branches_keeps_its_conversations_and_replaced_answers(workspace: Workspace) -> None:
    db = sqlite3.connect(workspace.chat_db)
    MIGRATIONS[0](db)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO conversations (id, title, created, updated) VALUES ('x', 'Old', 1, 1), ('y', '', 1, 1)")
    rows = [
        (1, "x", "user", "a?", 0), (2, "x", "assistant", "first", 1), (3, "y", "user", "other?", 0),
        (4, "x", "assistant", "second", 1), (5, "x", "assistant", "third", 0), (6, "x", "user", "b?", 0),
        (7, "x", "assistant", "b.", 0), (8, "y", "assistant", "other.", 0),
    ]  # fmt: skip
    db.executemany(
        "INSERT INTO messages (id, conversation, role, content, superseded, state, created, updated)"
        " VALUES (?, ?, ?, ?, ?, 'done', 1, 1)",
        rows,
    )
    db.commit()
    db.close()
    talks = Conversations(workspace)
    assert [(m.content, m.parent) for m in talks.messages("x")] == [("a?", 0), ("third", 1), ("b?", 5), ("b.", 6)]
    assert [(m.content, m.parent) for m in talks.messages("y")] == [("other?", 0), ("other.", 3)]
    assert Branches(talks).alternatives(talks.messages("x")) == {5: [2, 4, 5]}
    Branches(talks).show(4)
    assert [m.content for m in talks.messages("x")] == ["a?", "second"]
    Branches(talks).show(5)
    assert [m.content for m in talks.messages("x")] == ["a?", "third", "b?", "b."]
    talks.close()
