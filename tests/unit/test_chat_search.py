"""Search in what was said: any language, upper and lower case alike, all branches, with the place found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.chat.conversations import Conversations
from backend.chat.search import search
from backend.workspace import Workspace
from tests.support.talk import Talk, living


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    opened = Conversations(workspace)
    with living(opened):
        yield opened
    opened.close()


def said(talks: Conversations, prompt: str, answer: str, conversation: str | None = None) -> str:
    talk = Talk(talks, "me", conversation)
    talk.say(prompt, answer)
    return talk.id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("wheat", "a"), ("WHEAT", "a"), ("小麦", "b"), ("100%", "c"), ("a_b", "c"), ("%", "c"), ("nowhere", ""),
        ("ÜBER", "d"), ("strasse", "d"), ("ends here", "d"), ("  ", ""), ("о мире", "e"), ("a\ud800", ""),
    ],
)  # fmt: skip
def test_words_are_found_in_any_language_and_wildcards_are_taken_literally(
    talks: Conversations, text: str, found: str
) -> None:
    ids = {
        said(talks, "What about wheat?", "It grows"): "a",
        said(talks, "Tell me", "小麦在春天生长"): "b",
        said(talks, "Is it 100% true?", "a_b"): "c",
        said(talks, "Eine Frage", "über die Straße,\nthe line ends\n\n  here"): "d",
        said(talks, "Вопрос О МИРЕ", "ответ"): "e",
    }
    assert "".join(ids[hit.conversation.id] for hit in search(talks, text)) == found


def test_the_place_is_shown_with_what_stands_around_it(talks: Conversations) -> None:
    said(talks, "x", "一" * 60 + "小麦\n在春天" + "二" * 60)
    (hit,) = search(talks, "小麦")
    (place,) = hit.places
    assert place.before == "…" + "一" * 40
    assert (place.match, place.role) == ("小麦", "assistant")
    assert place.after == " 在春天" + "二" * 36 + "…"


def test_the_place_is_right_where_letters_change_their_number_when_folded(talks: Conversations) -> None:
    said(talks, "ßßß wheat grows", "x")
    (place,) = search(talks, "Wheat")[0].places
    assert (place.before, place.match, place.after) == ("ßßß ", "wheat", " grows")


def test_the_newest_places_come_first_and_the_rest_is_counted(talks: Conversations) -> None:
    conversation = said(talks, "wheat 0", "no")
    for n in range(1, 5):
        said(talks, f"wheat {n}", "no", conversation)
    (hit,) = search(talks, "wheat")
    assert [place.after for place in hit.places] == [" 4", " 3", " 2"]
    assert hit.count == 5


def test_a_title_alone_is_found_without_a_place(talks: Conversations) -> None:
    conversation = said(talks, "x", "y")
    talks.rename(conversation, "Ernte Übersicht")
    (hit,) = search(talks, "übersicht")
    assert (hit.conversation.title, hit.places, hit.count) == ("Ernte Übersicht", (), 0)


def test_what_lies_on_a_hidden_branch_is_found_too(talks: Conversations) -> None:
    talk = Talk(talks, "me")
    first = talk.say("old wheat", "x")
    talk.say("rye", "y", instead_of=first.id)
    (hit,) = search(talks, "old wheat")
    assert [place.message for place in hit.places] == [first.id]


def test_the_last_used_come_first_and_no_more_than_asked_for(talks: Conversations) -> None:
    ids = [said(talks, f"wheat {n}", "x") for n in range(5)]
    assert [hit.conversation.id for hit in search(talks, "wheat", limit=3)] == ids[:1:-1]
