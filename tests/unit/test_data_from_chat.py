"""What was said becomes rows: real conversations, votes, collections and traces, each row with where it is from."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from backend.chat import uploads
from backend.chat.answers import Answers
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.compare import votes
from backend.compare.comparisons import Comparisons
from backend.compare.records import BETTER, TIE, Contender
from backend.data import from_chat
from backend.data.collected import Collected
from backend.data.from_chat import Sources
from backend.data.rows import Row, trained
from backend.data.store import Datasets, image_path
from backend.errors import DataError
from backend.workspace import Workspace
from tests.support.talk import Talk, living


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    opened = Conversations(workspace)
    with living(opened):
        yield opened
    opened.close()


@pytest.fixture
def comparisons(workspace: Workspace) -> Iterator[Comparisons]:
    opened = Comparisons(workspace)
    with living(opened.columns):
        yield opened
    opened.columns.close()


def talk(talks: Conversations, model: str = "starter") -> Talk:
    return Talk(talks, "me", model=model)


def rows(items: Iterator[from_chat.Item]) -> list[Row]:
    return [found for _number, found, _text in items if not isinstance(found, DataError)]


def said(row: Row) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in row["messages"]]


# --- conversations


def test_a_conversation_is_one_row_with_its_system_prompt_and_where_it_is_from(
    workspace: Workspace, talks: Conversations
) -> None:
    one = talk(talks)
    one.say("小麦是什么？", "一种谷物。", params=ChatParams(system=" Be short. "))
    one.say("And rye?", "A cereal too.", params=ChatParams(system="Be shorter."))
    (row,) = rows(from_chat.conversations(workspace))
    assert said(row) == [
        ("system", "Be shorter."),
        ("user", "小麦是什么？"),
        ("assistant", "一种谷物。"),
        ("user", "And rye?"),
        ("assistant", "A cereal too."),
    ]
    assert [trained(m) for m in row["messages"]] == [False, False, True, False, True]
    meta = row["meta"]
    assert (meta["source"], meta["id"]) == ("chat", one.id)
    lineage = meta["lineage"]
    assert (lineage["conversation"], lineage["model"], lineage["partial"]) == (one.id, "starter", 0)
    assert lineage["title"] == "小麦是什么？"


def test_only_the_branch_that_is_shown_and_only_what_was_chosen(workspace: Workspace, talks: Conversations) -> None:
    one, other = talk(talks), talk(talks)
    one.say("Wheat?", "No idea.")
    one.again("A cereal.")
    other.say("Rye?", "Bread.")
    (row,) = rows(from_chat.conversations(workspace, [one.id]))
    assert said(row) == [("user", "Wheat?"), ("assistant", "A cereal.")]
    assert len(rows(from_chat.conversations(workspace))) == 2


def test_an_answer_that_was_stopped_is_there_but_not_learned_and_one_that_failed_is_left_out(
    workspace: Workspace, talks: Conversations
) -> None:
    one = talk(talks)
    answers = Answers(talks)
    one.say("Wheat?", "A cereal.")
    for prompt, state, text in (("Tell me all.", "stopped", "Once upon"), ("Again?", "failed", "")):
        _, reply = answers.ask(one.id, prompt, model="m", params=ChatParams(), owner="me")
        assert answers.finish(reply.id, "me", state, text)
    one.say("And rye?", "A cereal too.")
    (row,) = rows(from_chat.conversations(workspace))
    assert [(m["content"], trained(m)) for m in row["messages"] if m["role"] == "assistant"] == [
        ("A cereal.", True),
        ("Once upon", False),
        ("A cereal too.", True),
    ]
    assert "Again?" not in [content for _role, content in said(row)]
    assert row["meta"]["lineage"]["partial"] == 1


def test_a_conversation_without_a_whole_answer_is_refused_by_its_title(
    workspace: Workspace, talks: Conversations
) -> None:
    answers = Answers(talks)
    _, reply = answers.ask(None, "Wheat?", model="m", params=ChatParams(), owner="me")
    assert answers.finish(reply.id, "me", "stopped", "A cer")
    ((number, found, title),) = from_chat.conversations(workspace)
    assert isinstance(found, DataError)
    assert (number, found.code, title) == (1, "row_no_answer", "Wheat?")


def test_files_of_a_prompt_are_in_the_row_texts_in_words_and_pictures_beside_it(
    workspace: Workspace, talks: Conversations
) -> None:
    drawn = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(drawn, "PNG")
    files = uploads.check_all([("red.png", drawn.getvalue()), ("note.txt", b"rye <image>")])
    answers = Answers(talks)
    _, reply = answers.ask(None, "What is this?", model="m", params=ChatParams(), owner="me", files=files)
    assert answers.finish(reply.id, "me", "done", "Red.")
    (named,) = rows(from_chat.conversations(workspace))
    assert "[red.png]" in said(named)[0][1]
    assert "images" not in named["messages"][0]
    info = from_chat.make(workspace, "seen", Sources(ids=(reply.conversation,)))
    (kept,) = Datasets(workspace).open("seen").rows(0, 9)
    prompt = kept["messages"][0]
    assert prompt["content"].count("<image>") == len(prompt["images"]) == 1
    assert prompt["content"].startswith("<image>\n")
    assert "rye" in prompt["content"]
    assert image_path(workspace, prompt["images"][0]).is_file()
    assert info.rows == 1


# --- votes


def compared(comparisons: Comparisons, *asked: tuple[str, tuple[str, str]]) -> tuple[str, list[int]]:
    """A comparison of two columns with these prompts and answers."""
    contenders = (Contender("a", ChatParams(system="Be kind.")), Contender("b"))
    made = comparisons.create(contenders, seed=3)
    answers, turns = Answers(comparisons.columns), []
    for prompt, texts in asked:
        turns.append(comparisons.add_turn(made.id, prompt, 3))
        for place, (column, text) in enumerate(zip(made.columns, texts, strict=True)):
            contender = contenders[place]
            _, reply = answers.ask(column, prompt, model=contender.model, params=contender.params, owner="me")
            assert answers.finish(reply.id, "me", "done", text)
            comparisons.set_answer(turns[-1], place, reply.id)
    return made.id, turns


def test_the_winning_answer_is_learned_and_what_its_side_said_before_is_only_there(
    workspace: Workspace, comparisons: Comparisons
) -> None:
    made, turns = compared(comparisons, ("Wheat?", ("A cereal.", "Dunno.")), ("Rye?", ("Bread.", "Grass.")))
    votes.cast(comparisons, made, turns[0], TIE)
    votes.cast(comparisons, made, turns[1], BETTER, 0)
    votes.explain(comparisons, turns[1], "true")
    (row,) = rows(from_chat.votes(workspace))
    assert said(row) == [
        ("system", "Be kind."),
        ("user", "Wheat?"),
        ("assistant", "A cereal."),
        ("user", "Rye?"),
        ("assistant", "Bread."),
    ]
    assert [m["content"] for m in row["messages"] if trained(m)] == ["Bread."]
    lineage = row["meta"]["lineage"]
    assert (row["meta"]["source"], lineage["model"], lineage["reason"]) == ("comparison", "a", "true")
    assert lineage["rejected"] == ["Grass."]


# --- collections and traces


def test_collected_rows_keep_their_lineage_and_each_row_is_there_once(
    workspace: Workspace, talks: Conversations
) -> None:
    one = talk(talks)
    one.say("Wheat?", "A cereal.")
    turns = [{"role": "user", "content": "Wheat?"}, {"role": "assistant", "content": "A cereal."}]
    Collected(workspace).add("From chat", turns, {"source": "chat", "model": "starter", "corrected": False})
    Collected(workspace).add("From chat", [*turns[:1], {"role": "assistant", "content": "Food."}], {"source": "chat"})
    sources = Sources(collections=("From chat", "gone"), ids=(one.id,))
    info = from_chat.make(workspace, "Mine", sources)
    found = list(Datasets(workspace).open("Mine"))
    assert [said(row)[-1][1] for row in found] == ["A cereal.", "Food."]  # the conversation is the first of them
    assert found[0]["meta"]["lineage"]["model"] == "starter"
    assert info.steps == [
        {"do": "from_chat", "collections": ["From chat", "gone"], "conversations": 1, "votes": False, "traces": []}
    ]


def test_traces_keep_their_tool_calls_and_loss_flags_and_a_bad_one_is_refused_with_its_number(
    workspace: Workspace, tmp_path: Path
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 2}}}
    traces = [
        {
            "id": "t1",
            "conversation": [
                {"role": "user", "content": "2+2?", "loss": False},
                {"role": "assistant", "content": "Thought: hm", "loss": False},
                {"role": "user", "content": "Go on.", "loss": False},
                {"role": "assistant", "content": "Action: add", "loss": True},
            ],
        },
        {
            "id": "t2",
            "conversation": [
                {"role": "user", "content": "2+2?"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "4", "tool_call_id": "c1"},
                {"role": "assistant", "content": "It is 4."},
            ],
            "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
        },
        {"id": "t3", "conversation": [{"role": "user", "content": "Nobody answers."}]},
        {"id": "t4", "conversation": [{"role": "wizard", "content": "?"}]},
    ]
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(map(json.dumps, traces)), encoding="utf-8")
    items = list(from_chat.file(workspace, path, "trace"))
    first, second = (found for _n, found, _t in items[:2])
    assert not isinstance(first, DataError)
    assert not isinstance(second, DataError)
    assert [trained(m) for m in first["messages"]] == [False, False, False, True]
    (kept,) = second["messages"][1]["tool_calls"]
    assert json.loads(kept["function"]["arguments"]) == {"a": 2, "b": 2}
    assert second["messages"][2]["tool_call_id"] == "c1"
    assert second["tools"][0]["function"]["name"] == "add"
    assert [row["meta"]["source"] for row in (first, second)] == ["trace", "trace"]
    assert [(n, f.code) for n, f, _t in items[2:] if isinstance(f, DataError)] == [
        (3, "row_no_answer"),
        (4, "row_role_unknown"),
    ]
    info = from_chat.make(workspace, "Agent", Sources(traces=(path,)))
    assert (info.rows, info.rejected) == (2, 2)


def test_nothing_to_learn_makes_no_dataset(workspace: Workspace, talks: Conversations) -> None:
    answers = Answers(talks)
    _, reply = answers.ask(None, "Wheat?", model="m", params=ChatParams(), owner="me")
    answers.finish(reply.id, "me", "failed", "")
    with pytest.raises(DataError, match="no finished answer") as caught:
        from_chat.make(workspace, "Empty", Sources(ids=(reply.conversation,), collections=("gone",)))
    assert caught.value.code == "chat_no_row"
    assert not Datasets(workspace).exists("Empty")
